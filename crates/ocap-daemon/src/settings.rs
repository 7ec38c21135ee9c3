//! `config.toml` in the home: what an operator may set.
//!
//! The main items in this module are [`Settings`] and [`Loaded`]. The file is optional and so is
//! everything in it; what is not known, or makes no sense, is refused with its line rather than
//! overlooked. Each section is a struct in a file of its own below this one, and a field of
//! [`Settings`]; `docs/config.toml` shows all of it.

mod language_model;
mod log;
mod rpc;
mod vats;

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

pub use language_model::LanguageModelSettings;
pub use log::{LogFormat, LogLevel, LogSettings, Target};
pub use rpc::RpcSettings;
pub use vats::VatSettings;

use crate::home::Home;
use crate::limits;

/// Everything that can be set. [`Settings::default`] is what holds without a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `[log]`
    pub log: LogSettings,
    /// `[vats]`
    pub vats: VatSettings,
    /// `[rpc]`
    pub rpc: RpcSettings,
    /// `[language_model]`; without it there is no such service.
    pub language_model: Option<LanguageModelSettings>,
}

/// The settings of a home, and where they are from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What holds.
    pub settings: Settings,
    /// The file that was read; `None` if there is none.
    pub file: Option<PathBuf>,
}

/// A file that cannot be used. The text says where, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct SettingsError {
    place: String,
    problem: String,
}

impl SettingsError {
    fn new(path: &Path, line: Option<usize>, problem: impl fmt::Display) -> SettingsError {
        let path = path.display();
        let place = line.map_or_else(|| path.to_string(), |line| format!("{path}, line {line}"));
        SettingsError { place, problem: problem.to_string() }
    }
}

impl Loaded {
    /// Reads the file of a home, if there is one.
    pub fn of(home: &Home) -> Result<Loaded, SettingsError> {
        let path = home.config();
        let Some(text) = read(&path)? else { return Ok(Loaded::default()) };
        let settings = Settings::parse(&text, &path)?;
        Ok(Loaded { settings, file: Some(path) })
    }
}

impl Settings {
    /// Settings from the text of a file; `path` is only named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Settings, SettingsError> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| before.matches('\n').count() + 1);
            SettingsError::new(path, line, error.message())
        })
    }
}

/// `None` if there is no such file.
fn read(path: &Path) -> Result<Option<String>, SettingsError> {
    let at = |error: io::Error| SettingsError::new(path, None, error);
    // Non-blocking, because opening a pipe would wait for its writer.
    let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(error)),
    };
    if !file.metadata().map_err(at)?.is_file() {
        return Err(SettingsError::new(path, None, "is not a file"));
    }
    let mut text = String::new();
    file.take(limits::CONFIG_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(at)?;
    if text.len() as u64 > limits::CONFIG_FILE_BYTES_MAX {
        let problem = format!("longer than {} bytes", limits::CONFIG_FILE_BYTES_MAX);
        return Err(SettingsError::new(path, None, problem));
    }
    Ok(Some(text))
}

/// A whole number within a range.
fn ranged<'de, D: Deserializer<'de>>(from: D, least: u64, most: u64) -> Result<u64, D::Error> {
    from.deserialize_u64(Range { least, most })
}

struct Range {
    least: u64,
    most: u64,
}

impl Visitor<'_> for Range {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", self.least, self.most)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        match u64::try_from(number) {
            Ok(fits) if (self.least..=self.most).contains(&fits) => Ok(fits),
            _ => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../docs/config.toml");

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, Path::new("config.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_shows_what_holds_without_a_file() {
        assert_eq!(parse(EXAMPLE).unwrap(), Settings::default());
        assert_eq!(parse("").unwrap(), Settings::default());
    }

    #[test]
    fn what_the_example_only_hints_at_is_right_too() {
        // Lines like `# key = value`; prose begins with `# ` and a word.
        let hints = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
            Some(hint) if hint.contains(" = ") || hint.starts_with('[') => hint,
            _ => line,
        });
        let text = hints.collect::<Vec<_>>().join("\n");
        let settings = parse(&text).unwrap();
        assert!(settings.vats.allowed_globals.is_some(), "{settings:?}");
        assert!(!settings.log.levels.is_empty(), "{settings:?}");
        assert!(settings.language_model.is_some(), "{settings:?}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_is_allowed() {
        for (text, place, told) in [
            ("[log]\nlevel = \"info\"\ncolour = 1\n", "line 3", "`bytes_per_file`"),
            ("[logs]\n", "line 1", "`vats`"),
            ("\n[log]\nlevel = \"loud\"\n", "line 3", "debug or trace"),
            ("[log]\nformat = \"xml\"\n", "line 2", "text or json"),
            ("[log]\nbytes_per_file = 5\n", "line 2", "from 65536 to"),
            ("[log]\nfiles_kept = -1\n", "line 2", "from 0 to"),
            ("[log.levels]\n\"a=b\" = \"info\"\n", "line 2", "target"),
            ("[vats]\nallowed_globals = [\"Date\",\n\"Clock\"]\n", "line 2", "structuredClone"),
            ("[rpc]\nconnections = 0\n", "line 2", "from 1 to 2048"),
            ("[rpc]\nsession_idle_seconds = 1.5\n", "line 2", "a whole number from 1 to"),
            ("[vats\n", "line 1", "]"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("config.toml, {place}")), "{text:?}: {error}");
            assert!(error.contains(told), "{text:?}: {error}");
        }
    }

    #[test]
    fn no_file_is_no_error_and_a_strange_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path()).unwrap();
        assert_eq!(Loaded::of(&home).unwrap().file, None);
        std::fs::write(home.config(), "# nothing\n").unwrap();
        assert_eq!(Loaded::of(&home).unwrap().file, Some(home.config()));
        let large = vec![b'#'; limits::CONFIG_FILE_BYTES_MAX as usize + 1];
        std::fs::write(home.config(), large).unwrap();
        assert!(Loaded::of(&home).unwrap_err().to_string().contains("longer than"));
        std::fs::write(home.config(), b"\xff").unwrap();
        assert!(Loaded::of(&home).unwrap_err().to_string().contains("UTF-8"));
        std::fs::remove_file(home.config()).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, home.config(), rustix::fs::Mode::RUSR).unwrap();
        assert!(Loaded::of(&home).unwrap_err().to_string().contains("not a file"));
    }
}
