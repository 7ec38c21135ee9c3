//! The files a vat's modules may be made of: those below one folder.
//!
//! An import is followed as authors of TypeScript are used to: a file may be named without its
//! ending or, as the compiler's output will be called, with `.js`. Names that are no paths mean
//! packages below the folder (`package.rs`).

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::package;
use crate::limits;

/// Endings that may be left out, in the order they are tried.
const ENDINGS: [&str; 5] = [".ts", ".mts", ".js", ".mjs", ".json"];

/// A folder, and how to get at what is below.
pub(crate) struct ModuleFolder {
    root: PathBuf,
    handle: OwnedFd,
}

impl ModuleFolder {
    /// `root` is a path without links.
    pub(crate) fn open(root: &Path) -> Result<Self, String> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(CWD, root, flags, Mode::empty())
            .map_err(|error| format!("cannot open {}: {error}", root.display()))?;
        Ok(ModuleFolder { root: root.to_path_buf(), handle })
    }

    /// The name and text of what `specifier` means in `referrer`; `None` if it means no file.
    pub(crate) fn load(
        &self,
        referrer: &str,
        specifier: &str,
    ) -> Result<Option<(String, String)>, String> {
        let told = |problem: String| format!("import {specifier:?} in {referrer}: {problem}");
        let outside = || {
            let root = self.root.display();
            format!("import {specifier:?} in {referrer} leads outside {root}")
        };
        let path = if specifier.starts_with("./") || specifier.starts_with("../") {
            let wanted = wanted(referrer, specifier).ok_or_else(outside)?;
            let found = self.find_module(&wanted).map_err(told)?;
            found.ok_or_else(|| told(format!("there is no file {}", wanted.display())))?
        } else {
            match package::find(self, referrer, specifier).map_err(told)? {
                Some(path) => path,
                None => return Ok(None),
            }
        };
        let Some(path) = path.below() else { return Err(outside()) };
        let text = self.read(path).map_err(told)?;
        let name = path.to_str().ok_or_else(|| told("its name is not UTF-8".into()))?;
        package::check_module(self, path, &text).map_err(told)?;
        Ok(Some((name.to_owned(), text)))
    }

    /// The file that an import names, with or without its ending.
    pub(crate) fn find_module(&self, wanted: &Path) -> Result<Option<Found>, String> {
        for candidate in candidates(wanted) {
            if let Some(found) = self.find(&candidate)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Where a path below the folder leads, if that is a file. Links are followed here, and where
    /// they lead counts.
    pub(crate) fn find(&self, wanted: &Path) -> Result<Option<Found>, String> {
        let path = match std::fs::canonicalize(self.root.join(wanted)) {
            Ok(path) => path,
            Err(error) => return missing(&error).map_err(|problem| told(wanted, &problem)),
        };
        match std::fs::metadata(&path) {
            Ok(kind) if kind.is_file() => {
                Ok(Some(Found(path.strip_prefix(&self.root).ok().map(Path::to_path_buf))))
            }
            Ok(_) => Ok(None),
            Err(error) => missing(&error).map_err(|problem| told(wanted, &problem)),
        }
    }

    /// The text of a file that was found. It is opened below the folder and through no link, so
    /// that nothing can change between finding and reading.
    pub(crate) fn read(&self, path: &Path) -> Result<String, String> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file = rustix::fs::openat2(&self.handle, path, flags, Mode::empty(), resolve)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        read_all(File::from(file), path)
    }
}

/// A file: its path below the folder, or none if it lies elsewhere.
pub(crate) struct Found(Option<PathBuf>);

impl Found {
    pub(crate) fn below(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

fn told(path: &Path, problem: &str) -> String {
    format!("{}: {problem}", path.display())
}

/// Nothing, if that is what the error says.
fn missing<T>(error: &std::io::Error) -> Result<Option<T>, String> {
    use std::io::ErrorKind::{InvalidInput, NotADirectory, NotFound};
    match error.kind() {
        NotFound | NotADirectory | InvalidInput => Ok(None),
        _ => Err(error.to_string()),
    }
}

/// A file's text, if there is not too much of it.
pub(crate) fn read_all(file: File, path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if !file.metadata().map_err(told)?.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let mut text = String::new();
    file.take(limits::CODE_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(told)?;
    if text.len() as u64 > limits::CODE_FILE_BYTES_MAX {
        let max = limits::CODE_FILE_BYTES_MAX;
        return Err(format!("{} is larger than {max} bytes", path.display()));
    }
    Ok(text)
}

/// The files an import may mean, the first that exists.
fn candidates(wanted: &Path) -> Vec<PathBuf> {
    let mut all = vec![wanted.to_path_buf()];
    let Some(name) = wanted.file_name().and_then(|name| name.to_str()) else { return all };
    for (written, source) in [(".js", ".ts"), (".mjs", ".mts")] {
        if let Some(stem) = name.strip_suffix(written) {
            all.push(wanted.with_file_name(format!("{stem}{source}")));
        }
    }
    all.extend(ENDINGS.iter().map(|end| wanted.with_file_name(format!("{name}{end}"))));
    all.extend(ENDINGS.iter().map(|end| wanted.join(format!("index{end}"))));
    all
}

/// The path below the root that an import names; `None` if it leads out.
pub(crate) fn wanted(referrer: &str, specifier: &str) -> Option<PathBuf> {
    let folder = Path::new(referrer).parent().unwrap_or(Path::new(""));
    normal(&folder.join(specifier))
}

/// A relative path without `.` and `..`; `None` if it climbs out.
pub(crate) fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(root: &Path) -> ModuleFolder {
        ModuleFolder::open(&root.canonicalize().unwrap()).unwrap()
    }

    #[test]
    fn imports_stay_below_the_root() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().canonicalize().unwrap().join("in");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("a.js"), "a").unwrap();
        std::fs::write(outer.path().join("secret.js"), "s").unwrap();
        std::os::unix::fs::symlink("../secret.js", root.join("link.js")).unwrap();
        let folder = folder(&root);
        assert_eq!(folder.load("m.js", "./a.js"), Ok(Some(("a.js".into(), "a".into()))));
        assert_eq!(folder.load("m.js", "@endo/far"), Ok(None));
        assert!(folder.load("m.js", "../secret.js").is_err_and(|m| m.contains("outside")));
        assert!(folder.load("m.js", "./link.js").is_err_and(|m| m.contains("outside")));
        assert!(folder.load("m.js", "./none.js").is_err_and(|m| m.contains("no file none.js")));
        // What became a link after it was found is not followed.
        assert!(folder.read(Path::new("link.js")).is_err());
    }

    #[test]
    fn endings_are_found_as_authors_of_typescript_write_them() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a.ts", "b.js", "b.ts", "c/index.ts", "d.json", "e"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let folder = folder(root.path());
        for (specifier, name) in [
            ("./a.js", "a.ts"),
            ("./a", "a.ts"),
            ("./a.ts", "a.ts"),
            ("./b.js", "b.js"),
            ("./b", "b.ts"),
            ("./c", "c/index.ts"),
            ("./d", "d.json"),
            ("./d.json", "d.json"),
            ("./e", "e"),
        ] {
            let loaded = folder.load("m.js", specifier);
            assert_eq!(loaded, Ok(Some((name.into(), name.into()))), "{specifier}");
        }
    }
}
