//! The RPC socket: connections, their limits, and nothing about what requests mean.
//!
//! The main items in this module are [`Server`] and [`Handler`]. A client sends a line, gets a
//! line, and the connection ends; or its first line is `hello`, and the connection becomes a
//! session (`session`) of many requests. Only processes of our own user, and root, are served. No
//! client can make the daemon hold more than a bounded amount of memory, hold a connection for ever
//! without having asked something, or delay shutdown.

mod lines;
mod pace;
mod session;
mod work;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::limits;
use crate::rpc::{self, Request, RpcError};
use crate::settings::RpcSettings;
use lines::{Lines, Received};
use pace::Pace;
pub use session::{Sink, Unheard};
use work::Gate;

/// What feeds a subscription: it ends when there is nothing more to tell.
pub type Feed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whoever knows what requests mean.
pub trait Handler: Send + Sync + 'static {
    /// Carries out a request; the result is JSON text. Once begun it runs to its end, even if the
    /// client leaves.
    fn call(&self, request: Request) -> impl Future<Output = Result<String, RpcError>> + Send;

    /// The result of `hello`, which turns a connection into a session.
    fn hello(&self, params: &Value) -> Result<String, RpcError>;

    /// Begins a subscription of a session.
    fn subscribe(&self, params: &Value, sink: Sink) -> Result<Feed, RpcError>;
}

/// A listening RPC socket.
#[derive(Debug)]
pub struct Server {
    /// The socket, if it is ours to remove.
    path: Option<PathBuf>,
    stop: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on `path`, which must be free. The socket has mode 0600.
    pub fn listen<H: Handler>(
        path: &Path,
        settings: RpcSettings,
        handler: Arc<H>,
    ) -> io::Result<Server> {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Server::start(listener, Some(path.to_path_buf()), settings, handler))
    }

    /// Serves a socket that somebody else listens on too, and goes on to when this is over.
    pub fn adopt<H: Handler>(
        listener: std::os::unix::net::UnixListener,
        settings: RpcSettings,
        handler: Arc<H>,
    ) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        Ok(Server::start(UnixListener::from_std(listener)?, None, settings, handler))
    }

    fn start<H: Handler>(
        listener: UnixListener,
        path: Option<PathBuf>,
        settings: RpcSettings,
        handler: Arc<H>,
    ) -> Server {
        let stop = Arc::new(Semaphore::new(0));
        let gate = Arc::new(Gate::new(settings));
        let task = tokio::spawn(accept(listener, gate, handler, Arc::clone(&stop)));
        Server { path, stop, task }
    }

    /// Stops listening and removes the socket, if it is ours. Requests that are being worked on go on.
    pub fn close(&self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
        self.stop.close();
    }

    /// Closes, gives open connections a moment to take their answers, and ends them.
    pub async fn finish(mut self) {
        self.close();
        if timeout(limits::CONNECTIONS_STOP_MAX, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Accepts until `stop` is closed, then waits for the connections. Aborting it ends them.
async fn accept<H: Handler>(
    listener: UnixListener,
    gate: Arc<Gate>,
    handler: Arc<H>,
    stop: Arc<Semaphore>,
) {
    let us = rustix::process::geteuid().as_raw();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.acquire() => break,
        };
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: give connections a moment to end.
                tracing::warn!("cannot accept a client: {error}");
                tokio::time::sleep(limits::ACCEPT_RETRY).await;
                continue;
            }
        };
        let peer = stream.peer_cred().map(|peer| peer.uid());
        if !peer.as_ref().is_ok_and(|&peer| may_ask(peer, us)) {
            tracing::warn!("a client of another user was turned away: {peer:?}");
            let message = "only the user who runs the daemon, and root, may use it";
            turn_away(&stream, &RpcError::new(rpc::FORBIDDEN, message));
        } else if connections.len() >= gate.settings.connections {
            let max = gate.settings.connections;
            let message = format!("too many clients at once (at most {max}); try again");
            turn_away(&stream, &RpcError::new(rpc::OVERLOADED, message));
        } else {
            let (handler, gate, stop) =
                (Arc::clone(&handler), Arc::clone(&gate), Arc::clone(&stop));
            connections.spawn(serve(stream, handler, gate, stop));
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Whether a process of the user `peer` may use a daemon that runs as `us`.
fn may_ask(peer: u32, us: u32) -> bool {
    peer == us || peer == 0
}

/// Tells a client why it is not served.
fn turn_away(stream: &UnixStream, error: &RpcError) {
    let line = rpc::response_line(&Value::Null, Err(error));
    // Fits into the buffer of a fresh socket, so nothing has to be waited for.
    let _ = stream.try_write(line.as_bytes());
}

async fn serve<H: Handler>(
    mut stream: UnixStream,
    handler: Arc<H>,
    gate: Arc<Gate>,
    stop: Arc<Semaphore>,
) {
    let mut lines = Lines::new();
    let received = tokio::select! {
        received = lines.next(&mut stream, &gate.large, Some(limits::CLIENT_IDLE_MAX)) => received,
        // It has not asked anything yet.
        _ = stop.acquire() => return,
    };
    let parsed = match received {
        Received::End | Received::Silent => return,
        Received::Refused(error) => Err((Value::Null, error)),
        Received::Line(line) => match gate.parse(line).await {
            Ok(parsed) if parsed.request.method == "hello" => {
                return session::run(stream, lines, parsed, handler, gate, stop).await;
            }
            // Without a greeting a connection is good for one request.
            _ if lines.has_more() => {
                let message = "Only one request per connection is allowed";
                Err((Value::Null, RpcError::new(rpc::INVALID_REQUEST, message)))
            }
            parsed => parsed,
        },
    };
    let (answer, refused) = match parsed {
        Err((id, error)) => (gate.answer(&id, Err(error)), true),
        Ok(parsed) => {
            let id = parsed.request.id.clone();
            let outcome = work::outcome(work::begin(&handler, parsed).await);
            let Some(outcome) = wait_for(outcome, &stream).await else { return };
            (gate.answer(&id, outcome), false)
        }
    };
    let sent = write_all(&mut stream, answer.line.as_bytes()).await;
    if sent.is_ok() && stream.shutdown().await.is_ok() && refused {
        drain(&mut stream, &gate.refused, &stop).await;
    }
}

/// Waits for the outcome, or for the client to leave (then the work goes on alone).
async fn wait_for<T>(outcome: impl Future<Output = T>, stream: &UnixStream) -> Option<T> {
    let mut outcome = std::pin::pin!(outcome);
    loop {
        if let Ok(outcome) = timeout(limits::GONE_CLIENT_CHECK, &mut outcome).await {
            return Some(outcome);
        }
        if has_left(stream) {
            return None;
        }
    }
}

/// Whether the peer has closed the connection. One that has only ended its own side still waits
/// for an answer.
fn has_left(stream: &UnixStream) -> bool {
    let fd = stream.as_fd();
    let mut asked = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    match poll(&mut asked, Some(&Timespec::default())) {
        Ok(_) => asked[0].revents().intersects(PollFlags::HUP | PollFlags::ERR),
        Err(_) => false,
    }
}

/// Writes everything, as long as the client takes some of it now and then.
async fn write_all(stream: &mut UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = timeout(limits::CLIENT_IDLE_MAX, stream.write(bytes)).await??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Reads on for a while after a refusal, unless `stop` is closed: a client that is still sending
/// would otherwise see a broken connection before our answer.
async fn drain(stream: &mut UnixStream, pace: &Pace, stop: &Semaphore) {
    let mut left = limits::REFUSED_DRAIN_BYTES_MAX;
    let mut piece = vec![0; limits::READ_BYTES_MAX];
    let deadline = Instant::now() + limits::REFUSED_DRAIN_TIME_MAX;
    let mut turn = Instant::now();
    while left > 0 {
        let read = async {
            sleep_until(turn).await;
            stream.read(&mut piece).await
        };
        let count = tokio::select! {
            read = timeout_at(deadline, read) => match read {
                Ok(Ok(count @ 1..)) => count,
                _ => return,
            },
            _ = stop.acquire() => return,
        };
        left = left.saturating_sub(count);
        turn = pace.count(count, Instant::now());
        // Others want to be heard between two pieces.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests;
