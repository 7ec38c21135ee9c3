//! What the engine threw, as text.

use rquickjs::{Ctx, Error, Value};

use super::limits::ERROR_CHARACTERS_MAX;

/// Cuts a text to what the kernel is told.
fn cut(text: String) -> String {
    match text.char_indices().nth(ERROR_CHARACTERS_MAX) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// A property as text, if reading it does not fail.
fn text(ctx: &Ctx<'_>, value: &Value<'_>, key: &str) -> Option<String> {
    let read = value.as_object()?.get::<_, Option<String>>(key);
    if read.is_err() {
        ctx.catch();
    }
    read.ok().flatten()
}

/// A thrown value: the message of an `Error`, with its name unless that is `Error`.
pub(super) fn describe(ctx: &Ctx<'_>, thrown: &Value<'_>) -> String {
    if let Some(string) = thrown.as_string() {
        return cut(string.to_string().unwrap_or_else(|_| "a malformed string".into()));
    }
    let message = text(ctx, thrown, "message").filter(|m| !m.is_empty());
    let name = text(ctx, thrown, "name").filter(|n| !n.is_empty());
    cut(match (name, message) {
        (Some(name), Some(message)) if name != "Error" => format!("{name}: {message}"),
        (_, Some(message)) => message,
        (Some(name), None) => name,
        (None, None) => format!("{} thrown", thrown.type_name()),
    })
}

/// The stack of a thrown `Error`, for the log.
pub(super) fn stack(ctx: &Ctx<'_>, thrown: &Value<'_>) -> String {
    cut(text(ctx, thrown, "stack").unwrap_or_default())
}

/// An error of the binding; the pending exception, if that is what it is.
pub(super) fn caught(ctx: &Ctx<'_>, error: &Error) -> String {
    match error {
        Error::Exception => describe(ctx, &ctx.catch()),
        other => cut(other.to_string()),
    }
}

/// The pending syntax error, with the place it names.
pub(super) fn syntax_error(ctx: &Ctx<'_>, name: &str) -> String {
    let thrown = ctx.catch();
    let what = describe(ctx, &thrown);
    // The first line of the stack of a syntax error is `    at name:line:column`.
    let stack = stack(ctx, &thrown);
    let place = stack.lines().next().and_then(|line| line.trim().strip_prefix("at "));
    match place {
        Some(place) if place.starts_with(name) => format!("{place}: {what}"),
        _ => format!("{name}: {what}"),
    }
}
