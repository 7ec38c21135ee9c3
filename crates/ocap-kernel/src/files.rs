//! The global `fs` of vats: paths are resolved by the system in one step, below the vat's folder and
//! through no link, so that nothing can change between check and use.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::limits;
use crate::reach::Files;

/// The content of a file, as the outcome of an ask.
pub(crate) fn read(files: &Files, path: &str) -> Value {
    let read = || {
        if !files.read {
            return Err("this operation is not enabled".to_owned());
        }
        // A pipe must not make this wait for somebody to write to it.
        let file = open(files, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = rustix::fs::fstat(&file).map_err(|error| text_of(error, path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(format!("'{path}' is not a file"));
        }
        let mut bytes = Vec::new();
        let most = limits::FILE_BYTES_MAX;
        let read = File::from(file).take(most + 1).read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        if bytes.len() as u64 > most {
            return Err(format!("'{path}' is larger than {most} bytes"));
        }
        Ok(STANDARD.encode(bytes))
    };
    match read() {
        Ok(body) => json!({"body": body}),
        Err(failed) => json!({"failed": failed}),
    }
}

/// Whether a file can be used like this, as the outcome of an ask.
pub(crate) fn access(files: &Files, path: &str, mode: u32) -> Value {
    let access = || {
        if !files.access {
            return Err("this operation is not enabled".to_owned());
        }
        let file = open(files, path, OFlags::PATH)?;
        let mode = Access::from_bits_truncate(mode);
        // By way of the open file: a name could mean another one by now.
        let same = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::accessat(CWD, same, mode, AtFlags::empty())
            .map_err(|error| text_of(error, path))
    };
    match access() {
        Ok(()) => json!({}),
        Err(failed) => json!({"failed": failed}),
    }
}

/// Whether there is a file. What cannot be reached is not there.
pub(crate) fn exists(files: &Files, path: &str) -> bool {
    files.exists && open(files, path, OFlags::PATH).is_ok()
}

fn open(files: &Files, path: &str, flags: OFlags) -> Result<OwnedFd, String> {
    if path.len() > limits::FILE_PATH_BYTES_MAX || path.contains('\0') {
        return Err("not a possible path".to_owned());
    }
    let below = below(&files.root, Path::new(path))
        .ok_or_else(|| format!("'{path}' is outside the vat's folder"))?;
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, &files.root, folder, Mode::empty())
        .map_err(|error| format!("the vat's folder cannot be opened: {error}"))?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(&root, below, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
        .map_err(|error| text_of(error, path))
}

/// A path as seen from the folder; `None` if it says by itself that it lies elsewhere.
fn below(root: &Path, path: &Path) -> Option<PathBuf> {
    let path = if path.is_absolute() { path.strip_prefix(root).ok()? } else { path };
    let mut depth = 0usize;
    for component in path.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    Some(if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_path_buf() })
}

fn text_of(error: Errno, path: &str) -> String {
    match error {
        Errno::NOENT => format!("ENOENT: no such file or directory, '{path}'"),
        Errno::ACCESS | Errno::PERM => format!("EACCES: permission denied, '{path}'"),
        Errno::NOTDIR => format!("ENOTDIR: not a directory, '{path}'"),
        Errno::LOOP => format!("Symlinks are prohibited: '{path}'"),
        Errno::XDEV => format!("'{path}' is outside the vat's folder"),
        other => format!("'{path}': {other}"),
    }
}
