//! The RPC socket: connections, their limits, and nothing about what requests mean.
//!
//! The main items in this module are [`Server`] and [`Handler`]. One request per connection: a
//! client sends a line, gets a line, and the connection ends. No client can make the daemon hold
//! more than a bounded amount of memory, hold a connection for ever without having asked
//! something, or delay shutdown.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use crate::limits;
use crate::rpc::{self, Request, RpcError};

/// Whoever knows what requests mean.
pub trait Handler: Send + Sync + 'static {
    /// Carries out a request; the result is JSON text. Once begun it runs to its end, even if the
    /// client leaves.
    fn call(&self, request: Request) -> impl Future<Output = Result<String, RpcError>> + Send;
}

/// A listening RPC socket.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on `path`, which must be free. The socket has mode 0600.
    pub fn listen<H: Handler>(path: &Path, handler: Arc<H>) -> io::Result<Server> {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let stop = Arc::new(Semaphore::new(0));
        let task = tokio::spawn(accept(listener, handler, Arc::clone(&stop)));
        Ok(Server { path: path.to_path_buf(), stop, task })
    }

    /// Stops listening and removes the socket. Requests that are being worked on go on.
    pub fn close(&self) {
        let _ = std::fs::remove_file(&self.path);
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
async fn accept<H: Handler>(listener: UnixListener, handler: Arc<H>, stop: Arc<Semaphore>) {
    let large = Arc::new(Semaphore::new(limits::LARGE_REQUESTS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.acquire() => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) if connections.len() < limits::CONNECTIONS_MAX => {
                connections.spawn(serve(stream, Arc::clone(&handler), Arc::clone(&large)));
            }
            Ok((stream, _)) => {
                let message = format!(
                    "too many clients at once (at most {}); try again",
                    limits::CONNECTIONS_MAX
                );
                let error = RpcError::new(rpc::OVERLOADED, message);
                let line = rpc::response_line(&Value::Null, Err(&error));
                // Fits into the buffer of a fresh socket, so nothing has to be waited for.
                let _ = stream.try_write(line.as_bytes());
            }
            Err(error) => {
                // Out of descriptors, most likely: give connections a moment to end.
                tracing::warn!("cannot accept a client: {error}");
                tokio::time::sleep(limits::ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// What a client sent.
enum Received<'a> {
    /// A line, without its newline; and if it is a large one, the permit for it, to be held until
    /// it has been parsed.
    Line(Vec<u8>, Option<SemaphorePermit<'a>>),
    /// It left, or fell silent, before it had asked anything.
    Nothing,
    /// Something that is refused.
    Refused(RpcError),
}

async fn serve<H: Handler>(mut stream: UnixStream, handler: Arc<H>, large: Arc<Semaphore>) {
    let outcome = match receive(&mut stream, &large).await {
        Received::Nothing => return,
        Received::Refused(error) => Err((Value::Null, error)),
        Received::Line(line, _permit) => rpc::parse_request(&line),
    };
    let (line, refused) = match outcome {
        Err((id, error)) => (rpc::response_line(&id, Err(&error)), true),
        Ok(request) => {
            let id = request.id.clone();
            // In a task of its own, so that a client that leaves does not cancel half of it.
            let work = tokio::spawn(async move { handler.call(request).await });
            let Some(outcome) = wait_for(work, &stream).await else { return };
            (rpc::response_line(&id, outcome.as_deref()), false)
        }
    };
    if send(&mut stream, line.as_bytes()).await.is_ok() && refused {
        drain(&mut stream).await;
    }
}

/// Reads one line.
async fn receive<'a>(stream: &mut UnixStream, large: &'a Semaphore) -> Received<'a> {
    let mut line = Vec::new();
    let mut permit = None;
    let deadline = Instant::now() + limits::REQUEST_TIME_MAX;
    loop {
        if line.len() > limits::SMALL_REQUEST_BYTES_MAX && permit.is_none() {
            let Ok(Ok(granted)) = timeout_at(deadline, large.acquire()).await else {
                let message = "too many large requests at once; try again";
                return Received::Refused(RpcError::new(rpc::OVERLOADED, message));
            };
            permit = Some(granted);
        }
        let searched = line.len();
        let pause = deadline.min(Instant::now() + limits::CLIENT_IDLE_MAX);
        // A byte beyond the limit tells "too long" from "just fits".
        let room = limits::REQUEST_BYTES_MAX + 2 - line.len();
        match timeout_at(pause, (&mut *stream).take(room as u64).read_buf(&mut line)).await {
            Err(_) if line.is_empty() => return Received::Nothing,
            Err(_) => {
                let error = RpcError::new(rpc::OVERLOADED, "the request took too long");
                return Received::Refused(error);
            }
            // Without a newline there was no request.
            Ok(Err(_) | Ok(0)) => return Received::Nothing,
            Ok(Ok(_)) => {}
        }
        if let Some(at) = line[searched..].iter().position(|byte| *byte == b'\n') {
            let end = searched + at;
            if end + 1 < line.len() {
                let message = "Only one request per connection is allowed";
                return Received::Refused(RpcError::new(rpc::INVALID_REQUEST, message));
            }
            line.truncate(end);
            return Received::Line(line, permit);
        }
        if line.len() > limits::REQUEST_BYTES_MAX {
            let message =
                format!("Invalid request: longer than {} bytes", limits::REQUEST_BYTES_MAX);
            return Received::Refused(RpcError::new(rpc::INVALID_REQUEST, message));
        }
    }
}

/// Waits for the outcome, or for the client to leave (then the work goes on alone).
async fn wait_for(
    mut work: JoinHandle<Result<String, RpcError>>,
    stream: &UnixStream,
) -> Option<Result<String, RpcError>> {
    loop {
        if let Ok(joined) = timeout(limits::GONE_CLIENT_CHECK, &mut work).await {
            return Some(joined.unwrap_or_else(|error| {
                tracing::error!("a request ended abnormally: {error}");
                Err(RpcError::new(rpc::INTERNAL_ERROR, "Internal error; see daemon.log"))
            }));
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

/// Writes everything, as long as the client takes some of it now and then, and ends our side.
async fn send(stream: &mut UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = timeout(limits::CLIENT_IDLE_MAX, stream.write(bytes)).await??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    stream.shutdown().await
}

/// Reads on for a while after a refusal: a client that is still sending would otherwise see a
/// broken connection before our answer.
async fn drain(stream: &mut UnixStream) {
    let mut left = limits::REFUSED_DRAIN_BYTES_MAX;
    let mut piece = vec![0; 64 * 1024];
    let deadline = Instant::now() + limits::REFUSED_DRAIN_TIME_MAX;
    while let Ok(Ok(count @ 1..)) = timeout_at(deadline, stream.read(&mut piece)).await {
        left = left.saturating_sub(count);
        if left == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
