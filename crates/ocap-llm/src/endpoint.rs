//! Where a model is to be had, and the key to it.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroize;

use crate::limits;

/// A secret that proves who asks. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// A key, without the space around it.
    ///
    /// # Errors
    /// If it is empty, or cannot be part of an HTTP header.
    pub fn new(text: &str) -> Result<Key, EndpointError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EndpointError::Key);
        }
        Ok(Key(text.to_owned()))
    }

    /// The key in a file.
    ///
    /// # Errors
    /// If there is none.
    pub fn read(path: &Path) -> Result<Key, EndpointError> {
        let unreadable = |source: std::io::Error| EndpointError::KeyFile {
            path: path.display().to_string(),
            source,
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(limits::KEY_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Key::new(&text)
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// An OpenAI-compatible endpoint and the model it is asked for.
#[derive(Clone, Debug)]
pub struct Endpoint {
    url: String,
    /// The model.
    pub model: String,
    /// The key, if it wants one.
    pub key: Option<Key>,
    /// How long one request may take.
    pub time_max: Duration,
}

/// Why an endpoint cannot be one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The base URL is none.
    #[error(
        "{0:?} is not the base URL of an endpoint; it looks like https://host or https://host/v1"
    )]
    Url(String),
    /// The key is none.
    #[error("the key is empty, or has spaces or other characters that keys do not have")]
    Key,
    /// The key's file cannot be read.
    #[error("cannot read the key in {path}: {source}")]
    KeyFile {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Endpoint {
    /// An endpoint. `base` is what comes before `/v1/chat/completions`, with or without the `/v1`.
    ///
    /// # Errors
    /// If `base` is no http or https URL.
    pub fn new(base: &str, model: &str, key: Option<Key>) -> Result<Endpoint, EndpointError> {
        let trimmed = base.trim().trim_end_matches('/');
        let trimmed = trimmed.strip_suffix("/v1").unwrap_or(trimmed);
        let rest = trimmed.strip_prefix("http://").or_else(|| trimmed.strip_prefix("https://"));
        let url = format!("{trimmed}/v1/chat/completions");
        let is_url = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', '?', '#']));
        if !is_url || url.parse::<ureq::http::Uri>().is_err() {
            return Err(EndpointError::Url(base.to_owned()));
        }
        Ok(Endpoint { url, model: model.to_owned(), key, time_max: limits::REQUEST_TIME_MAX })
    }

    /// Where chats are sent.
    pub fn url(&self) -> &str {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_leads_to_the_place_for_chats() {
        for base in ["http://h:1", "http://h:1/", "http://h:1/v1", " http://h:1/v1/ "] {
            let endpoint = Endpoint::new(base, "m", None).unwrap();
            assert_eq!(endpoint.url(), "http://h:1/v1/chat/completions", "{base}");
        }
        let below = Endpoint::new("https://h/api/", "m", None).unwrap();
        assert_eq!(below.url(), "https://h/api/v1/chat/completions");
        for bad in ["", "h", "ftp://h", "http://", "http://u:p@h", "http://h?x", "http://a b"] {
            assert!(Endpoint::new(bad, "m", None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::new(" secret\n").unwrap();
        assert_eq!(key.bearer(), "Bearer secret");
        let endpoint = Endpoint::new("http://h", "m", Some(key)).unwrap();
        assert!(!format!("{endpoint:?}").contains("secret"));
        for bad in ["", " ", "a b", "a\r\nX: y", "schlüssel"] {
            assert!(Key::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_read_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let missing = Key::read(&path).unwrap_err().to_string();
        assert!(missing.contains("cannot read the key"), "{missing}");
        std::fs::write(&path, "secret\n").unwrap();
        assert_eq!(Key::read(&path).unwrap(), Key::new("secret").unwrap());
    }
}
