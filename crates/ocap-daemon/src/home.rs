//! The home folder of a kernel: where its files are, and who holds it.
//!
//! The main items in this module are [`Home`] and [`HomeLock`]. Whoever runs a kernel on a home
//! holds its lock for as long as it does; the lock is the only truth about that. The pid in
//! `daemon.pid` is for people and tools, and means nothing without the lock.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::limits;

/// Why a home could not be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// There is no home to choose.
    #[error("there is no home directory; set OCAP_HOME or give --home DIR")]
    NoHome,
    /// The path cannot be used.
    #[error("{path}: {problem}")]
    Unusable {
        /// Which.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Somebody else runs a kernel here.
    #[error(
        "a kernel is already running on {home}{}; use `ocap daemon stop` first, or another --home",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Held {
        /// Which home.
        home: String,
        /// Who, if known.
        pid: Option<u32>,
    },
}

/// The name of what was typed.
const HISTORY: &str = "repl.history";

fn unusable(path: &Path, problem: impl std::fmt::Display) -> HomeError {
    HomeError::Unusable { path: path.display().to_string(), problem: problem.to_string() }
}

/// The folder that holds everything a kernel keeps. Always an absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home for this invocation: `chosen` (from `--home`), else `$OCAP_HOME`, else `~/.ocap`.
    pub fn choose(chosen: Option<&Path>) -> Result<Home, HomeError> {
        let path = match chosen {
            Some(path) => path.to_path_buf(),
            None => match non_empty_variable("OCAP_HOME") {
                Some(path) => PathBuf::from(path),
                None => std::env::home_dir()
                    .filter(|path| !path.as_os_str().is_empty())
                    .ok_or(HomeError::NoHome)?
                    .join(".ocap"),
            },
        };
        Home::at(&path)
    }

    /// A home at `path`; a relative one is taken from the current directory.
    pub fn at(path: &Path) -> Result<Home, HomeError> {
        let root = std::path::absolute(path).map_err(|error| unusable(path, error))?;
        let home = Home { root };
        let socket = home.socket();
        if socket.as_os_str().len() > limits::SOCKET_PATH_BYTES_MAX {
            let problem = format!(
                "too long for the path of a socket (at most {} bytes); choose a shorter --home",
                limits::SOCKET_PATH_BYTES_MAX
            );
            return Err(unusable(&socket, problem));
        }
        Ok(home)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The RPC socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("daemon.sock")
    }

    /// The pid file: decimal, no newline.
    pub fn pid_file(&self) -> PathBuf {
        self.root.join("daemon.pid")
    }

    /// Sources of vats that come with the binary, as they were when they were launched.
    pub fn shipped(&self) -> PathBuf {
        self.root.join("shipped")
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.root.join("daemon.log")
    }

    /// What the operator has set; need not be there.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The lock file.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("daemon.lock")
    }

    /// The kernel's database.
    pub fn database(&self) -> PathBuf {
        self.root.join("kernel.sqlite")
    }

    /// The copy that this process makes an export of a running kernel from; there only meanwhile.
    pub fn export_copy(&self) -> PathBuf {
        self.root.join(format!("kernel.sqlite.export.{}", std::process::id()))
    }

    /// What was typed in conversations with objects.
    pub fn history(&self) -> PathBuf {
        self.root.join(HISTORY)
    }

    /// Creates the folder with mode 0700 if it is missing, and takes the access of others away if
    /// it is there.
    pub fn prepare(&self) -> Result<(), HomeError> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&self.root);
        created.map_err(|error| unusable(&self.root, format!("cannot be created: {error}")))?;
        let metadata =
            std::fs::metadata(&self.root).map_err(|error| unusable(&self.root, error))?;
        if !metadata.is_dir() {
            return Err(unusable(&self.root, "is not a folder; choose another --home"));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(unusable(&self.root, "belongs to another user; choose another --home"));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            let private = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(&self.root, private).map_err(|error| {
                unusable(&self.root, format!("cannot be made private: {error}"))
            })?;
        }
        Ok(())
    }

    /// Takes the lock, without waiting. The folder must exist.
    pub fn lock(&self) -> Result<HomeLock, HomeError> {
        let path = self.lock_file();
        let file = open_lock_file(&path).map_err(|error| unusable(&path, error))?;
        // Somebody who only looks whether the lock is held has it for a moment: hence the tries.
        for left in (0..limits::LOCK_TRIES).rev() {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(HomeLock { file }),
                Err(rustix::io::Errno::WOULDBLOCK) if left > 0 => {
                    std::thread::sleep(limits::LOCK_RETRY);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => break,
                Err(error) => return Err(unusable(&path, format!("cannot be locked: {error}"))),
            }
        }
        Err(HomeError::Held { home: display(&self.root), pid: self.running_pid() })
    }

    /// Whether somebody runs a kernel here. A home that cannot be looked at has none.
    pub fn is_held(&self) -> bool {
        let Ok(file) = OpenOptions::new().read(true).open(self.lock_file()) else { return false };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => false,
            Err(error) => error == rustix::io::Errno::WOULDBLOCK,
        }
    }

    /// The process that runs a kernel here. The number in `daemon.pid` counts only if the lock is
    /// held and that process has the lock file open: a recycled pid is nobody.
    pub fn running_pid(&self) -> Option<u32> {
        let pid = self.written_pid()?;
        (self.is_held() && has_open(pid, &self.lock_file())).then_some(pid)
    }

    /// Sends a signal to the process that runs a kernel here; false if there is none.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = self.running_pid() else { return Ok(false) };
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        // Looked up again now that the handle names one process for good.
        if self.running_pid().and_then(|pid| i32::try_from(pid).ok()) != Some(pid.as_raw_pid()) {
            return Ok(false);
        }
        pidfd_send_signal(&handle, signal)?;
        Ok(true)
    }

    fn written_pid(&self) -> Option<u32> {
        let mut text = String::new();
        let file = File::open(self.pid_file()).ok()?;
        file.take(limits::PID_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
        text.trim().parse().ok().filter(|pid| *pid > 0)
    }

    /// Writes this process's pid. Only for who holds the lock.
    pub fn write_pid(&self, _lock: &HomeLock) -> Result<(), HomeError> {
        let path = self.pid_file();
        let written = remove_if_present(&path).and_then(|()| {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(std::process::id().to_string().as_bytes())
        });
        written.map_err(|error| unusable(&path, error))
    }

    /// Removes the pid file. Only for who holds the lock.
    pub fn remove_pid(&self, _lock: &HomeLock) {
        let _ = remove_if_present(&self.pid_file());
    }

    /// Makes room for the RPC socket: removes one that nobody listens on any more, and refuses to
    /// touch anything else. Only for who holds the lock.
    pub fn clear_socket(&self, _lock: &HomeLock) -> Result<(), HomeError> {
        let path = self.socket();
        let metadata = match std::fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unusable(&path, error)),
        };
        if !metadata.file_type().is_socket() {
            return Err(unusable(&path, "is not a socket and is left alone; move it away"));
        }
        if UnixStream::connect(&path).is_ok() {
            let problem = "another process listens on it; stop that one, or choose another --home";
            return Err(unusable(&path, problem));
        }
        remove_if_present(&path).map_err(|error| unusable(&path, error))
    }

    /// Deletes what a kernel keeps here: database, compiled code, logs, pid file, socket. Only for who holds the
    /// lock. Other files, the settings and the sockets of IO channels are left alone.
    pub fn purge(&self, lock: &HomeLock) -> Result<(), HomeError> {
        self.clear_socket(lock)?;
        let failed = |error| unusable(&self.root, error);
        for entry in std::fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if entry.file_name().to_str().is_some_and(is_state) {
                remove_if_present(&path).map_err(|error| unusable(&path, error))?;
            }
        }
        for folder in [self.root.join("compiled"), self.shipped()] {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unusable(&folder, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a file of this name in a home is the database or a part of it, what a command that was
/// killed has left of one, a log, the pid file, or what was typed.
fn is_state(name: &str) -> bool {
    let database = ["", "-wal", "-shm", "-journal", ".new", ".partial"];
    if let Some(rest) = name.strip_prefix("kernel.sqlite") {
        return database.contains(&rest) || rest.starts_with(".export.");
    }
    if let Some(rest) = name.strip_prefix("daemon.log") {
        let number = rest.strip_prefix('.').unwrap_or_default();
        let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        return rest.is_empty() || numbered;
    }
    ["daemon.pid", HISTORY].contains(&name)
}

/// Held for as long as a kernel runs on a home. The operating system lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct HomeLock {
    #[expect(dead_code, reason = "the lock lives as long as the open file")]
    file: File,
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn non_empty_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether a process has a file open, as far as we may look.
fn has_open(pid: u32, path: &Path) -> bool {
    let Ok(wanted) = std::fs::metadata(path) else { return false };
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.flatten().any(|entry| {
        std::fs::metadata(entry.path())
            .is_ok_and(|found| found.dev() == wanted.dev() && found.ino() == wanted.ino())
    })
}

/// A path as people write it: under `~` where it is there.
pub fn display(path: &Path) -> String {
    let user = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    match user.and_then(|home| path.strip_prefix(home).ok().map(Path::to_path_buf)) {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::Builder::new().prefix("oc-").tempdir_in("/tmp").unwrap();
        let home = Home::at(&dir.path().join("h")).unwrap();
        home.prepare().unwrap();
        (dir, home)
    }

    #[test]
    fn the_folder_is_private_even_if_it_was_not() {
        let (_dir, home) = home();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(home.root()), 0o700);
        std::fs::set_permissions(home.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
        home.prepare().unwrap();
        assert_eq!(mode(home.root()), 0o700);
    }

    #[test]
    fn the_lock_is_exclusive_and_names_its_holder() {
        let (_dir, home) = home();
        assert!(!home.is_held());
        let lock = home.lock().unwrap();
        home.write_pid(&lock).unwrap();
        assert!(home.is_held());
        assert_eq!(home.running_pid(), Some(std::process::id()));
        let refused = home.lock().unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(lock);
        assert_eq!(home.running_pid(), None);
        home.lock().unwrap();
    }

    #[test]
    fn a_recycled_pid_is_nobody() {
        let (_dir, home) = home();
        std::fs::write(home.pid_file(), "1").unwrap();
        assert_eq!(home.running_pid(), None);
        // Even while somebody else holds the lock.
        let _lock = home.lock().unwrap();
        assert_eq!(home.running_pid(), None);
        assert!(!home.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn a_purge_knows_its_own() {
        let ours = "kernel.sqlite kernel.sqlite-wal kernel.sqlite-shm kernel.sqlite-journal \
                    kernel.sqlite.new kernel.sqlite.partial kernel.sqlite.export.7 \
                    kernel.sqlite.export.7.partial daemon.log daemon.log.1 daemon.log.17 daemon.pid";
        assert!(ours.split_whitespace().all(is_state));
        let others = "kernel.sqlite.lock kernel.sqlite.bak kernel.sqlite2 kernel daemon.log.gz \
                      daemon.log. daemon.log.1.gz daemon.logs daemon.lock daemon.sock config.toml";
        assert!(!others.split_whitespace().any(is_state));
    }

    #[test]
    fn only_a_dead_socket_is_removed() {
        let (_dir, home) = home();
        let lock = home.lock().unwrap();
        home.clear_socket(&lock).unwrap();
        std::fs::write(home.socket(), "precious").unwrap();
        assert!(home.clear_socket(&lock).unwrap_err().to_string().contains("not a socket"));
        assert_eq!(std::fs::read(home.socket()).unwrap(), b"precious");
        std::fs::remove_file(home.socket()).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(home.socket()).unwrap();
        assert!(home.clear_socket(&lock).unwrap_err().to_string().contains("listens"));
        drop(listener);
        home.clear_socket(&lock).unwrap();
        assert!(!home.socket().exists());
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_at_once() {
        let error = Home::at(Path::new(&format!("/tmp/{}", "x".repeat(120)))).unwrap_err();
        assert!(error.to_string().contains("shorter --home"), "{error}");
    }
}
