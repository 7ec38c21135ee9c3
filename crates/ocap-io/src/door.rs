//! Where peers of a channel come in: a listening socket, or a connection that the kernel makes.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::channel::{Channel, ChannelKey};
use crate::claims::{Claim, Claims, Resource};
use crate::limits::{DIAL_MS_MAX, PART_CHUNK_BYTES, PART_CHUNKS_MAX};
use crate::retry::Refusal;
use crate::socket::{Bound, canonical, listen_at, resolve};

/// What a channel's peers are reached by.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// A Unix socket the kernel listens on.
    Socket(String),
    /// A TCP port the kernel listens on.
    Port(String),
    /// A Unix socket the kernel connects to.
    DialSocket(String),
    /// A TCP server the kernel connects to.
    DialPort(String),
}

/// A connection to a peer.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_read(buffer),
            Stream::Tcp(stream) => stream.try_read(buffer),
        }
    }

    pub(crate) fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_write(data),
            Stream::Tcp(stream) => stream.try_write(data),
        }
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => stream.readable().await,
            Stream::Tcp(stream) => stream.readable().await,
        }
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => stream.writable().await,
            Stream::Tcp(stream) => stream.writable().await,
        }
    }

    /// Ends it so that the peer gets what was written and sees an end. A system answers what is left
    /// unread with a reset, which may overtake both, so that is passed over, as far as it is there.
    pub(crate) fn part(self) {
        let _ = shutdown(&self, Shutdown::Write);
        let mut buffer = [0; PART_CHUNK_BYTES];
        for _ in 0..PART_CHUNKS_MAX {
            match recv(&self, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((_, 1..)) => {}
                Ok((_, 0)) | Err(_) => return,
            }
        }
    }

    fn tcp(stream: TcpStream) -> Stream {
        // Units are small and wait for answers. A connection that went dead is found out in time.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
        Stream::Tcp(stream)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Unix(stream) => stream.as_fd(),
            Stream::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// An open door.
pub(crate) enum Door {
    Socket {
        path: PathBuf,
        // Before the listener: the file is removed while it is still known to be ours.
        file: Bound,
        listener: UnixListener,
    },
    Port(TcpListener),
    Dial(Dialer),
}

impl Door {
    /// Opens it; fails if somebody else has what it needs, which the claim keeps. A door that dials
    /// is always open.
    pub(crate) async fn open(
        channel: &Arc<Channel>,
        claims: &Arc<Claims>,
        home: &Path,
        address: &Address,
    ) -> Result<(Door, Option<Claim>), Refusal> {
        match address {
            Address::Socket(configured) => {
                let path = resolve(home, configured)?;
                let resource = blocking({
                    let path = path.clone();
                    move || canonical(&path)
                })
                .await?;
                let claim = claims.claim(Resource::Path(resource), channel)?;
                Ok((Door::at(path).await?, Some(claim)))
            }
            Address::Port(hostport) => {
                let address = lookup(hostport).await?;
                let claim = claims.claim(Resource::Port(address), channel)?;
                let listener = TcpListener::bind(address).await.map_err(|error| {
                    Refusal::Later(match error.kind() {
                        io::ErrorKind::AddrInUse => format!(
                            "{address} is in use by another process; stop that process or change \
                             the port"
                        ),
                        _ => format!("cannot listen on {address}: {error}"),
                    })
                })?;
                Ok((Door::Port(listener), Some(claim)))
            }
            Address::DialSocket(configured) => {
                let path = resolve(home, configured)?;
                Ok((Door::Dial(Dialer { target: Target::Socket(path), attempt: None }), None))
            }
            Address::DialPort(hostport) => {
                let target = Target::Port(hostport.clone());
                Ok((Door::Dial(Dialer { target, attempt: None }), None))
            }
        }
    }

    /// A socket at a path that is claimed.
    pub(crate) async fn at(path: PathBuf) -> Result<Door, Refusal> {
        let mut file = blocking({
            let path = path.clone();
            move || listen_at(&path)
        })
        .await?;
        let missing = || io::Error::other("its listener is gone");
        let listener = file
            .take_listener()
            .ok_or_else(missing)
            .and_then(UnixListener::from_std)
            .map_err(|error| Refusal::Later(format!("cannot watch the socket: {error}")))?;
        Ok(Door::Socket { path, file, listener })
    }

    /// Where peers find it, for a person.
    pub(crate) fn place(&self) -> String {
        match self {
            Door::Socket { path, .. } => path.display().to_string(),
            Door::Port(listener) => {
                listener.local_addr().map_or_else(|_| "its port".to_owned(), |at| at.to_string())
            }
            Door::Dial(dialer) => dialer.target.to_string(),
        }
    }

    /// Whether the kernel makes the connections.
    pub(crate) fn dials(&self) -> bool {
        matches!(self, Door::Dial(_))
    }

    /// The path of a socket file that somebody has removed.
    fn lost(&self) -> Option<&Path> {
        match self {
            Door::Socket { path, file, .. } if !file.is_ours() => Some(path),
            _ => None,
        }
    }

    /// The same, or one made anew if somebody has removed the socket file; `None` if that fails.
    pub(crate) async fn renewed(self, key: &ChannelKey) -> Option<Door> {
        let Some(path) = self.lost().map(PathBuf::from) else { return Some(self) };
        drop(self);
        match Door::at(path).await {
            Ok(door) => {
                tracing::info!("{key} listens again: its socket had been removed");
                Some(door)
            }
            Err(refusal) => {
                tracing::debug!("{key}: {refusal:?}");
                None
            }
        }
    }

    /// The next peer. Nothing is lost if this is dropped before it resolves.
    pub(crate) async fn next_peer(&mut self) -> io::Result<Stream> {
        match self {
            Door::Socket { listener, .. } => {
                listener.accept().await.map(|(stream, _)| Stream::Unix(stream))
            }
            Door::Port(listener) => listener.accept().await.map(|(stream, _)| Stream::tcp(stream)),
            Door::Dial(dialer) => dialer.next_peer().await,
        }
    }
}

/// Makes connections, one after the other.
pub(crate) struct Dialer {
    target: Target,
    attempt: Option<JoinHandle<io::Result<Stream>>>,
}

#[derive(Clone, Debug)]
enum Target {
    Socket(PathBuf),
    Port(String),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Socket(path) => write!(f, "{}", path.display()),
            Target::Port(hostport) => f.write_str(hostport),
        }
    }
}

impl Dialer {
    async fn next_peer(&mut self) -> io::Result<Stream> {
        let target = &self.target;
        let attempt = self.attempt.get_or_insert_with(|| tokio::spawn(connect(target.clone())));
        let outcome = attempt.await;
        self.attempt = None;
        outcome.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

impl Drop for Dialer {
    fn drop(&mut self) {
        if let Some(attempt) = &self.attempt {
            attempt.abort();
        }
    }
}

async fn connect(target: Target) -> io::Result<Stream> {
    let connecting = async {
        match &target {
            Target::Socket(path) => UnixStream::connect(path).await.map(Stream::Unix),
            Target::Port(hostport) => TcpStream::connect(hostport).await.map(Stream::tcp),
        }
    };
    timeout(Duration::from_millis(DIAL_MS_MAX), connecting)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn lookup(hostport: &str) -> Result<SocketAddr, Refusal> {
    let name = hostport.to_owned();
    blocking(move || {
        let found = name.to_socket_addrs().map(|mut addresses| addresses.next());
        match found {
            Ok(Some(address)) => Ok(address),
            Ok(None) => Err(Refusal::Later(format!("{name} has no address"))),
            Err(error) => Err(Refusal::Later(format!("{name} cannot be looked up: {error}"))),
        }
    })
    .await
}

/// File systems and name servers may hang, so they are asked where waiting harms nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Refusal::Later(format!("interrupted: {error}"))))
}
