//! Names that may occur in a config, and which of the known ones was probably meant.

use crate::limits::NAME_BYTES_MAX;

/// The host globals a vat can ask for (kernel.md section 18.4).
pub const GLOBAL_NAMES: [&str; 21] = [
    "setTimeout",
    "clearTimeout",
    "setInterval",
    "clearInterval",
    "Date",
    "Math",
    "crypto",
    "SubtleCrypto",
    "fetch",
    "Request",
    "Headers",
    "Response",
    "TextEncoder",
    "TextDecoder",
    "URL",
    "URLSearchParams",
    "atob",
    "btoa",
    "AbortController",
    "AbortSignal",
    "structuredClone",
];

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("a name must not be empty")]
    Empty,
    /// It is too long.
    #[error("a name has at most {NAME_BYTES_MAX} bytes")]
    Long,
    /// It has a character that names do not have.
    #[error(
        "a name begins with a letter, a digit, _ or $, and goes on with these, '-', '.' and '@'"
    )]
    Character,
    /// JavaScript gives it a meaning.
    #[error("__proto__ cannot be a name")]
    Reserved,
}

/// Whether a text can name a vat, a channel, a bundle or a cluster: names appear in keys, paths and
/// log lines, and as properties of JavaScript objects.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    match name {
        "" => Err(NameError::Empty),
        "__proto__" => Err(NameError::Reserved),
        _ if name.len() > NAME_BYTES_MAX => Err(NameError::Long),
        _ if !name.starts_with(plain) => Err(NameError::Character),
        _ if name.chars().all(|c| plain(c) || matches!(c, '-' | '.' | '@')) => Ok(()),
        _ => Err(NameError::Character),
    }
}

/// Edits between a misspelt key and the one that was meant.
const EDITS_MAX: usize = 2;

/// The known key that was probably meant, if one is close.
pub(super) fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    if key.len() > NAME_BYTES_MAX {
        return None;
    }
    let key = key.to_lowercase();
    let distances = known.iter().map(|known| (edits(&key, &known.to_lowercase()), *known));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= EDITS_MAX && distance < nearest.len()).then_some(nearest)
}

/// Insertions, deletions and replacements that make one text of the other.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
