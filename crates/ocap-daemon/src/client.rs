//! Clients of the RPC socket: [`call`] for one request, [`Session`] for many.

mod session;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::limits;
use crate::rpc::{INTERNAL_ERROR, RpcError};
pub use session::{Asked, Event, Session, Terms};

/// Why a request got no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens: the request has certainly not been carried out.
    #[error("nobody listens on {path}: {source}")]
    Absent {
        /// The socket.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The socket is there, but we may not use it.
    #[error("no permission to use {0}")]
    Permission(String),
    /// The time is over. The request may still be carried out.
    #[error("Socket read timed out")]
    Timeout,
    /// The connection broke. Whether the request was carried out is unknown.
    #[error(
        "the connection to the daemon broke: {0}; whether the request was carried out is unknown"
    )]
    Broken(io::Error),
    /// What came back is no answer.
    #[error("what listens on the socket does not speak our protocol: {0}")]
    Protocol(String),
    /// The daemon's error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// Sends a request and waits for its result; at most `time` altogether if given.
pub fn call(
    socket: &Path,
    method: &str,
    params: &Value,
    time: Option<Duration>,
) -> Result<Value, ClientError> {
    let deadline = time.and_then(|time| Instant::now().checked_add(time));
    let mut stream = connect(socket)?;
    let request =
        serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let line = format!("{request}\n");
    let sent = write_all(&mut stream, line.as_bytes(), deadline);
    // A daemon that refuses a request may close before it has read all of it: its answer counts.
    match (sent, read_line(&mut stream, deadline)) {
        (Ok(()) | Err(ClientError::Broken(_)), Ok(line)) => outcome_of(&line),
        (Ok(()), Err(error)) | (Err(error), _) => Err(error),
    }
}

fn connect(socket: &Path) -> Result<UnixStream, ClientError> {
    UnixStream::connect(socket).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => ClientError::Permission(socket.display().to_string()),
        _ => ClientError::Absent { path: socket.display().to_string(), source },
    })
}

/// What is left until the deadline; `None` without one.
fn time_left(deadline: Option<Instant>) -> Result<Option<Duration>, ClientError> {
    let Some(deadline) = deadline else { return Ok(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ClientError::Timeout) } else { Ok(Some(left)) }
}

fn broken(error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Timeout,
        _ => ClientError::Broken(error),
    }
}

fn write_all(
    stream: &mut UnixStream,
    mut bytes: &[u8],
    deadline: Option<Instant>,
) -> Result<(), ClientError> {
    while !bytes.is_empty() {
        stream.set_write_timeout(time_left(deadline)?).map_err(ClientError::Broken)?;
        match stream.write(bytes) {
            Ok(0) => return Err(ClientError::Broken(io::ErrorKind::WriteZero.into())),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
    Ok(())
}

fn read_line(stream: &mut UnixStream, deadline: Option<Instant>) -> Result<Vec<u8>, ClientError> {
    let mut line = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        stream.set_read_timeout(time_left(deadline)?).map_err(ClientError::Broken)?;
        let count = match stream.read(&mut piece) {
            Ok(0) => return Err(ClientError::Broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(error)),
        };
        if let Some(end) = piece[..count].iter().position(|byte| *byte == b'\n') {
            line.extend_from_slice(&piece[..end]);
            return Ok(line);
        }
        line.extend_from_slice(&piece[..count]);
        if line.len() > limits::RESPONSE_BYTES_MAX {
            return Err(ClientError::Protocol("an endless line".to_owned()));
        }
    }
}

fn outcome_of(line: &[u8]) -> Result<Value, ClientError> {
    let protocol = |error: serde_json::Error| ClientError::Protocol(error.to_string());
    outcome_in(serde_json::from_slice(line).map_err(protocol)?)
}

fn outcome_in(mut answer: Value) -> Result<Value, ClientError> {
    if let Some(error) = answer.get("error") {
        let message = error.get("message").and_then(Value::as_str).unwrap_or("no message");
        let code = error.get("code").and_then(Value::as_i64).unwrap_or(INTERNAL_ERROR);
        return Err(RpcError::new(code, message).into());
    }
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(ClientError::Protocol("an answer without a result".to_owned())),
    }
}
