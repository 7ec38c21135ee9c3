//! The terminal, if there is one: how wide it is, and what its colours mean here.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};

/// Works as it should.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// On its way.
pub(crate) const UNSETTLED: Style = AnsiColor::Yellow.on_default();
/// Does not work.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// A reference.
pub(crate) const REFERENCE: Style = AnsiColor::Cyan.on_default();
/// A heading.
pub(crate) const HEADING: Style = Style::new().bold();
/// Of less interest.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Nothing special.
pub(crate) const PLAIN: Style = Style::new();

/// Columns of the terminal that results go to; `None` if they go elsewhere.
pub(crate) fn width() -> Option<usize> {
    size().map(|(columns, _)| columns)
}

/// Columns and lines of the terminal that results go to; `None` if they go elsewhere.
pub(crate) fn size() -> Option<(usize, usize)> {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&out).ok()?;
    let (columns, lines) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns > 0 && lines > 0).then_some((columns, lines))
}

/// The colour of a state of a vat or a channel.
pub(crate) fn of_state(state: &str) -> Style {
    match state {
        "running" | "connected" | "listening" | "fulfilled" => GOOD,
        "starting" | "opening" | "connecting" | "unresolved" => UNSETTLED,
        "failed" | "suspended" | "unavailable" | "rejected" | "revoked" => BAD,
        _ => PLAIN,
    }
}

/// A text in a style. The escapes are taken out again where nobody would see colours.
pub(crate) fn styled(style: Style, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}
