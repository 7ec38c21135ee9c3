//! OCAP URLs as text: `ocap:<oid>@<peer id>`, and the secret an oid of ours is.
//!
//! The form is the reference's, whose clients take apart what we write and the other way round:
//! the oid is `z` and base58 of some bytes, the peer id names the kernel that gave the URL out, and
//! what follows a comma are hints how to reach it. In URLs of this kernel the bytes are
//! [`OID_VERSION`] and 32 bytes of chance; those of the reference are at least 60 bytes.

use std::fmt;
use std::str::FromStr;

use crate::limits;
use crate::secret::Secret;

/// First byte of an oid.
pub const OID_VERSION: u8 = 1;

/// Bytes of chance in an oid.
pub const URL_SECRET_BYTES: usize = 32;

/// Before base58 as the Bitcoin alphabet has it, in multibase.
const BASE58: char = 'z';

/// An OCAP URL taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct OcapUrl {
    /// What it is a URL of. Whoever knows it can redeem it: not for logs.
    pub oid: String,
    /// The peer id of the kernel that gave it out.
    pub host: String,
    /// Where that may be reached. Anybody may have changed them.
    pub hints: Vec<String>,
}

/// Why a text is no OCAP URL, in the reference's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL at all, or longer than any of ours.
    #[error("unparseable URL")]
    Unparseable,
    /// Its scheme is another.
    #[error("not an ocap URL")]
    OtherScheme,
    /// It has not one oid and one host.
    #[error("bad ocap URL")]
    Bad,
}

impl FromStr for OcapUrl {
    type Err = UrlError;

    /// As the URL standard reads it, so that a query and a fragment do not count.
    fn from_str(text: &str) -> Result<OcapUrl, UrlError> {
        if text.len() > limits::URL_BYTES_MAX {
            return Err(UrlError::Unparseable);
        }
        let url = url::Url::parse(text).map_err(|_| UrlError::Unparseable)?;
        if url.scheme() != "ocap" {
            return Err(UrlError::OtherScheme);
        }
        let (oid, place) = url.path().split_once('@').ok_or(UrlError::Bad)?;
        let mut places = place.split(',');
        let host = places.next().unwrap_or_default();
        if oid.is_empty() || host.is_empty() || place.contains('@') {
            return Err(UrlError::Bad);
        }
        let hints = places.filter(|hint| !hint.is_empty()).map(str::to_owned).collect();
        Ok(OcapUrl { oid: oid.to_owned(), host: host.to_owned(), hints })
    }
}

impl fmt::Display for OcapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ocap:{}@{}", self.oid, self.host)?;
        self.hints.iter().try_for_each(|hint| write!(f, ",{hint}"))
    }
}

/// Without the oid.
impl fmt::Debug for OcapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OcapUrl(ocap:..@{} {:?})", self.host, self.hints)
    }
}

/// The oid of a secret.
pub fn oid_of(secret: &[u8; URL_SECRET_BYTES]) -> String {
    let mut bytes = vec![OID_VERSION];
    bytes.extend(secret);
    oid_of_bytes(&bytes)
}

/// The secret that an oid of ours is; `None` if it is one of another kind, or none.
pub fn secret_of(oid: &str) -> Option<Secret> {
    // The longest base58 text of that many bytes.
    if oid.len() > 1 + (URL_SECRET_BYTES + 1) * 138 / 100 + 1 {
        return None;
    }
    let mut bytes = bytes_of_oid(oid)?;
    if bytes.len() != 1 + URL_SECRET_BYTES || bytes.first() != Some(&OID_VERSION) {
        return None;
    }
    Some(Secret::new(bytes.split_off(1)))
}

/// Bytes as an oid.
pub fn oid_of_bytes(bytes: &[u8]) -> String {
    format!("{BASE58}{}", bs58::encode(bytes).into_string())
}

/// The bytes of an oid, if it is base58. Takes time with the square of its length, which a URL's
/// limit bounds.
pub fn bytes_of_oid(oid: &str) -> Option<Vec<u8>> {
    let text = oid.strip_prefix(BASE58)?;
    if text.len() > limits::URL_BYTES_MAX {
        return None;
    }
    bs58::decode(text).into_vec().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oid_is_its_secret() {
        for secret in [[0; 32], [0xff; 32], [7; 32]] {
            let oid = oid_of(&secret);
            assert_eq!(secret_of(&oid).unwrap().expose(), secret, "{oid}");
            let url = format!("ocap:{oid}@12D3KooWP7CwQswqLKZbwvYd9wrEynnL9F2aKVP1X9huNASBTuqj");
            let parsed: OcapUrl = url.parse().unwrap();
            assert_eq!(parsed.to_string(), url);
            assert!(!format!("{parsed:?}").contains(&oid));
        }
    }

    #[test]
    fn other_oids_are_not_ours() {
        let oid = oid_of(&[9; 32]);
        let longer = oid_of_bytes(&[OID_VERSION; 34]);
        let newer = oid_of_bytes(&[2; 33]);
        let long = format!("z{}", "2".repeat(4_000));
        // The reference's kind.
        let theirs =
            "zFmkfVu9ETN9BWjn2hWSX9MjnTKTJ4b4if4HZULva5CWBVU1i5jQ6dPQKLcG6emqDpycM61XPQYC8tHzk1a";
        let bare = oid.strip_prefix('z').unwrap();
        for other in ["", "z", "z0", "zI", "é", bare, &oid[..20], &longer, &newer, &long, theirs] {
            assert_eq!(secret_of(other), None, "{other}");
        }
    }

    #[test]
    fn texts_without_end_are_no_urls() {
        let long = format!("ocap:{}@b", "a".repeat(limits::URL_BYTES_MAX));
        assert_eq!(long.parse::<OcapUrl>(), Err(UrlError::Unparseable));
    }
}
