//! `[log]`: what goes into the log, how it is written, and how much of it is kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Deserializer};

use crate::limits;
use crate::settings::ranged;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogLevel {
    /// What went wrong. There is no quieter level: an end always leaves a line.
    Error,
    /// Also what may go wrong.
    Warn,
    /// Also what happens.
    #[default]
    Info,
    /// Also why.
    Debug,
    /// Also every step.
    Trace,
}

impl TryFrom<String> for LogLevel {
    type Error = String;

    fn try_from(text: String) -> Result<LogLevel, String> {
        let levels =
            [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
        let found = levels.into_iter().find(|level| level.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is not error, warn, info, debug or trace"))
    }
}

impl LogLevel {
    fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: a JSON object per line.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<LogFormat, String> {
        match text.as_str() {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("{text:?} is not text or json")),
        }
    }
}

/// Where events come from: the path of a module, such as `ocap_io`, or `ocap::vat` for what vats log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Target(String);

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Target, String> {
        // Anything else would mean something to the filter.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if text.is_empty() || !text.chars().all(plain) {
            let expected = "a target is the path of a module, such as ocap_io, or ocap::vat";
            return Err(format!("{text:?} is no target: {expected}"));
        }
        Ok(Target(text))
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// How much is told.
    pub level: LogLevel,
    /// The same for single targets (`ocap::vat`, `ocap_io`) and those below them.
    pub levels: BTreeMap<Target, LogLevel>,
    /// How a line looks.
    pub format: LogFormat,
    /// Bytes of a file; then a new one is begun.
    #[serde(deserialize_with = "bytes_per_file")]
    pub bytes_per_file: u64,
    /// Older files kept, `daemon.log.1` being the youngest of them.
    #[serde(deserialize_with = "files_kept")]
    pub files_kept: u32,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings {
            level: LogLevel::default(),
            levels: BTreeMap::new(),
            format: LogFormat::default(),
            bytes_per_file: limits::LOG_BYTES,
            files_kept: limits::LOG_FILES,
        }
    }
}

impl LogSettings {
    /// The levels as a filter writes them.
    pub(crate) fn directives(&self) -> String {
        let mut text = self.level.as_str().to_owned();
        for (target, level) in &self.levels {
            let _ = write!(text, ",{}={}", target.0, level.as_str());
        }
        text
    }
}

fn bytes_per_file<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    ranged(from, limits::LOG_BYTES_MIN, limits::LOG_BYTES_MAX)
}

fn files_kept<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    ranged(from, 0, u64::from(limits::LOG_FILES_MAX)).map(|number| number as u32)
}
