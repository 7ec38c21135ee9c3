//! Foreign text inside error messages: cut to a bounded length, control characters escaped.

use crate::limits::QUOTED_CHARS_MAX;

/// The text without quotation marks.
pub(crate) fn bare(text: &str) -> String {
    let mut out: String =
        text.chars().take(QUOTED_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// The text in quotation marks.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", bare(text))
}
