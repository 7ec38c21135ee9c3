//! `[language_model]`: the model that vats may talk to.

use std::path::PathBuf;

use serde::Deserialize;

/// `[language_model]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageModelSettings {
    /// An OpenAI-compatible endpoint.
    pub base_url: String,
    /// The model that is asked if a chat names none.
    pub model: String,
    /// Other models that a chat may name.
    #[serde(default)]
    pub other_models: Vec<String>,
    /// A file with the endpoint's key.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// An environment variable with the key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// Seconds one request may take.
    #[serde(default)]
    pub timeout_s: Option<u64>,
    /// Requests of one subcluster in a day; as many as it likes if not given.
    #[serde(default)]
    pub requests_per_day: Option<u64>,
    /// Tokens of one subcluster in a day, prompts and answers together.
    #[serde(default)]
    pub tokens_per_day: Option<u64>,
}
