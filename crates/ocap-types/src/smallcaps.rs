//! Values as text: the smallcaps encoding (kernel.md section 17), both ways.
//!
//! [`encode`] and [`decode`] are the codec. The rest are the few shapes the kernel itself makes and
//! looks at: messages, errors, a lone reference, and [`prettify`] for people.
//!
//! Strings that begin with a character from `!` to `-` mean something else than themselves. Bodies
//! without the leading `#` are in the older encoding, where objects with the key `@qclass` do; they
//! are read but never written. Strings with lone surrogates, which JavaScript can have, are not
//! text in Rust: they are refused.

mod decode;
mod encode;
mod legacy;
mod number;
mod pretty;

use std::borrow::Cow;

use serde_json::Value;

use crate::capdata::CapData;
use crate::passable::Passable;
use crate::refs::Reference;

pub use decode::{SmallcapsError, decode};
pub use encode::encode;
pub use pretty::prettify;

/// Whether a string does not stand for itself.
fn is_special(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(b'!'..=b'-'))
}

/// `undefined`.
pub fn undefined<R>() -> CapData<R> {
    CapData::without_slots("#\"#undefined\"")
}

/// A message: `[method, args]`.
pub fn message<R: Reference>(method: &str, args: Vec<Passable<R>>) -> CapData<R> {
    encode(&Passable::Array(vec![Passable::string(method), Passable::Array(args)]))
}

/// A message whose arguments are plain JSON: nothing in them becomes a reference.
pub fn message_from_json<R: Reference>(method: &str, args: Vec<Value>) -> CapData<R> {
    message(method, args.into_iter().map(Passable::from_json).collect())
}

/// The method and the arguments of a message. Methods named by a symbol, and calls of a function
/// without a method, are refused: no service has them.
pub fn decode_message<R: Reference>(
    data: &CapData<R>,
) -> Result<(String, Vec<Passable<R>>), SmallcapsError> {
    if let Passable::Array(parts) = decode(data)?
        && let Ok([Passable::String(method), Passable::Array(args)]) =
            <[Passable<R>; 2]>::try_from(parts)
    {
        return Ok((method, args));
    }
    Err(SmallcapsError::NoMessage)
}

/// An error value, as the kernel makes them: without an id.
pub fn error_capdata<R: Reference>(name: &str, message: &str) -> CapData<R> {
    encode(&Passable::Error { name: name.to_owned(), message: message.to_owned(), error_id: None })
}

/// The message, if the value is an error.
pub fn error_message<R: Reference>(data: &CapData<R>) -> Option<String> {
    // Most values are no errors; those need not be read.
    if !data.body.contains("error") {
        return None;
    }
    match decode(data).ok()? {
        Passable::Error { message, .. } => Some(message),
        _ => None,
    }
}

/// The reference, if the value is nothing but one reference (to an object or a promise).
pub fn single_reference<R: Reference>(data: &CapData<R>) -> Option<&R> {
    let [slot] = data.slots.as_slice() else { return None };
    let Some(json) = data.body.strip_prefix('#') else {
        let lone = matches!(decode(data).ok()?, Passable::Remotable { .. } | Passable::Promise(_));
        return lone.then_some(slot);
    };
    let text = serde_json::from_str::<Text<'_>>(json).ok()?.0;
    let index = text.strip_prefix(if slot.is_promise() { '&' } else { '$' })?;
    let index = index.split_once('.').map_or(index, |(index, _)| index);
    (index == "0").then_some(slot)
}

/// A JSON string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests;
