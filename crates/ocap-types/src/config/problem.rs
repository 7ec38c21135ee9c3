//! What is wrong with a config, and where.

use serde_json::Value;

use crate::quote::{bare, quoted};

/// Why a config is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Something in it is missing, superfluous or wrong.
    #[error("At path: {path} -- {problem}")]
    At {
        /// The keys that lead to it, joined by dots.
        path: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The config as a whole is no object.
    #[error("{0}")]
    Whole(String),
    /// `bootstrap` names no vat.
    #[error("invalid bootstrap vat name {}", quoted(.0))]
    Bootstrap(String),
}

impl ConfigError {
    pub(super) fn at(path: &str, problem: impl Into<String>) -> Self {
        match path {
            "" => ConfigError::Whole(problem.into()),
            _ => ConfigError::At { path: path.to_owned(), problem: problem.into() },
        }
    }

    pub(super) fn expected(path: &str, what: &str, received: Option<&Value>) -> Self {
        Self::at(path, format!("Expected {what}, but received: {}", shown(received)))
    }
}

/// The path of a key inside `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    match path {
        "" => bare(key),
        _ => format!("{path}.{}", bare(key)),
    }
}

/// A value as JavaScript would name it.
fn shown(value: Option<&Value>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(Value::String(text)) => quoted(text),
        Some(Value::Object(_)) => "[object Object]".to_owned(),
        Some(Value::Array(_)) => "an array".to_owned(),
        Some(other) => other.to_string(),
    }
}
