//! Errors the kernel itself gives to vats and callers, and texts for people.

use ocap_types::smallcaps::{self, error_message};
use ocap_types::{KCapData, KRef};

pub(crate) use ocap_types::error::KernelErrorCode as Code;

use crate::limits;

/// A text cut to what is kept of details.
pub(crate) fn clipped(text: &str) -> String {
    text.chars().take(limits::DETAIL_CHARS_MAX).collect()
}

/// The reference a value consists of, if it is nothing but one.
pub(crate) fn single_reference(data: &KCapData) -> Option<KRef> {
    if data.body.len() > limits::REFERENCE_BODY_BYTES_MAX {
        return None;
    }
    smallcaps::single_reference(data).copied()
}

/// A rejection's reason for a person: an Error's message, a string's text, else the body.
pub(crate) fn reason_text(data: &KCapData) -> String {
    let text = || match smallcaps::decode(data).ok()? {
        ocap_types::passable::Passable::String(text) => Some(text),
        _ => None,
    };
    clipped(&error_message(data).or_else(text).unwrap_or_else(|| data.body.clone()))
}
