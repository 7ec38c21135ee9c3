//! Socket files: where they lie, who holds them, how they come and go.
//!
//! Everything here may block on a file system, but never on a peer.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use crate::limits::{LISTEN_BACKLOG, SOCKET_PATH_BYTES_MAX};
use crate::place;
use crate::retry::Refusal;

/// Where a configured socket lies.
pub(crate) fn resolve(home: &Path, configured: &str) -> Result<PathBuf, Refusal> {
    let path = place::absolute(home, configured, "socket")?;
    let length = path.as_os_str().as_bytes().len();
    if length > SOCKET_PATH_BYTES_MAX {
        return Err(Refusal::Never(format!(
            "the socket path {} is {length} bytes long; the system allows {SOCKET_PATH_BYTES_MAX}",
            path.display()
        )));
    }
    Ok(path)
}

/// The same path for every spelling of its folder. Fails if the folder is not there.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf, Refusal> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let there = folder.display();
    let real = fs::canonicalize(folder).map_err(|error| {
        Refusal::Later(match error.kind() {
            io::ErrorKind::NotFound => format!("the directory {there} does not exist; create it"),
            _ => format!("the directory {there} cannot be used: {error}"),
        })
    })?;
    if !real.is_dir() {
        return Err(Refusal::Later(format!("{there} is not a directory")));
    }
    Ok(path.file_name().map_or(real.clone(), |name| real.join(name)))
}

/// A socket that listens, with its file. Dropping it removes the file if it is still ours.
#[derive(Debug)]
pub(crate) struct Bound {
    /// Not blocking. Taken out by whoever accepts.
    listener: Option<UnixListener>,
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Bound {
    /// The listener, once.
    pub(crate) fn take_listener(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }

    /// Whether the file at the path is still the one we made. (As long as we listen, the system
    /// does not give its inode to another file.)
    pub(crate) fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|file| file.dev() == self.device && file.ino() == self.inode)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.is_ours()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("cannot remove the socket {}: {error}", self.path.display());
        }
    }
}

/// Listens at a path that nothing else holds. The file has mode 0600 before anybody can connect.
pub(crate) fn listen_at(path: &Path) -> Result<Bound, Refusal> {
    let there = path.display();
    clear(path)?;
    let later = |what: &str, error: Errno| {
        Refusal::Later(format!("cannot {what} the socket {there}: {}", io::Error::from(error)))
    };
    let address = SocketAddrUnix::new(path).map_err(|error| later("address", error))?;
    let socket = new_socket(SocketType::STREAM).map_err(|error| later("make", error))?;
    bind(&socket, &address).map_err(|error| later("bind", error))?;
    // Until `listen`, connecting is refused, so there is no moment in which others get in.
    let file = fs::symlink_metadata(path)
        .map_err(|error| Refusal::Later(format!("the socket {there} is gone again: {error}")))?;
    let mut bound =
        Bound { listener: None, path: path.to_owned(), device: file.dev(), inode: file.ino() };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|error| {
        Refusal::Later(format!("cannot set the mode of the socket {there}: {error}"))
    })?;
    listen(&socket, LISTEN_BACKLOG).map_err(|error| later("listen on", error))?;
    bound.listener = Some(UnixListener::from(socket));
    Ok(bound)
}

fn new_socket(kind: SocketType) -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// Makes way for a new socket: removes a socket file that nobody holds, and nothing else.
fn clear(path: &Path) -> Result<(), Refusal> {
    let there = path.display();
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Refusal::Later(format!("cannot look at {there}: {error}"))),
    };
    let kind = file.file_type();
    if !kind.is_socket() {
        let what = if kind.is_file() {
            "a regular file"
        } else if kind.is_dir() {
            "a directory"
        } else if kind.is_symlink() {
            "a symbolic link"
        } else {
            "not a socket"
        };
        return Err(Refusal::Later(format!(
            "{there} is {what}, which is left alone; move it away or change the path"
        )));
    }
    if is_held(path).map_err(|error| {
        let error = io::Error::from(error);
        Refusal::Later(format!("cannot find out whether the socket {there} is in use: {error}"))
    })? {
        return Err(Refusal::Later(format!(
            "{there} is in use by another process; stop that process or change the path"
        )));
    }
    let unchanged = fs::symlink_metadata(path)
        .is_ok_and(|now| now.dev() == file.dev() && now.ino() == file.ino());
    if unchanged {
        fs::remove_file(path).map_err(|error| {
            Refusal::Later(format!("cannot remove the stale socket {there}: {error}"))
        })?;
    }
    Ok(())
}

/// Whether some process holds the socket at `path`.
fn is_held(path: &Path) -> Result<bool, Errno> {
    // A datagram socket cannot connect to a stream socket: where one is held the answer is "wrong
    // type", and its holder, whose only client we might else become, notices nothing. A refusal is
    // confirmed with a stream socket, because removing a file that is in use would be worse.
    for kind in [SocketType::DGRAM, SocketType::STREAM] {
        let probe = new_socket(kind)?;
        match connect(&probe, &SocketAddrUnix::new(path)?) {
            Err(Errno::CONNREFUSED) => {}
            Err(Errno::NOENT) => return Ok(false),
            Ok(()) | Err(Errno::PROTOTYPE | Errno::AGAIN | Errno::INPROGRESS) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// What a peer has left of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It may send more.
    Full,
    /// It will send no more (there may be more to read), but takes what we write.
    Listens,
    /// It is gone (there may be more to read).
    Gone,
}

/// Looks at a connection without reading from it.
pub(crate) fn presence(socket: impl AsFd) -> Presence {
    #[cfg(target_os = "linux")]
    let half = PollFlags::RDHUP;
    #[cfg(not(target_os = "linux"))]
    let half = PollFlags::empty();
    let mut polled = [PollFd::new(&socket, half)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut polled, Some(&now)).is_err() {
        return Presence::Full;
    }
    let seen = polled[0].revents();
    if seen.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        Presence::Gone
    } else if seen.intersects(half) {
        Presence::Listens
    } else {
        Presence::Full
    }
}
