//! Request lines out of a stream of bytes, within limits.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::pace::Pace;
use crate::limits;
use crate::rpc::{self, RpcError};

/// What all connections share to read large lines.
#[derive(Debug)]
pub(super) struct Large {
    /// A permit for each that is read.
    permits: Arc<Semaphore>,
    /// Reading as fast as clients can send would take the processors away from others.
    pace: Pace,
}

impl Large {
    pub(super) fn new(at_once: usize) -> Large {
        let pace =
            Pace::new(limits::LARGE_REQUEST_BYTES_PER_SECOND, limits::LARGE_REQUEST_BURST_BYTES);
        Large { permits: Arc::new(Semaphore::new(at_once)), pace }
    }
}

/// What has been read of a connection and not yet been understood.
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// What came before it of a large line, in pieces: one buffer of megabytes would be copied as it
    /// grows, and take milliseconds to give back, in which nobody else is heard.
    pieces: Vec<Vec<u8>>,
    /// Bytes in the pieces.
    pieced: usize,
    /// Where the line begins.
    start: usize,
    /// Up to where it has been searched for its end.
    searched: usize,
    /// Held while the line is a large one.
    permit: Option<OwnedSemaphorePermit>,
    /// When its first byte came, or when the rest of a large one could.
    began: Instant,
    /// When anything came last.
    heard: Instant,
    /// How long the rest of a large one may take.
    large_time: Duration,
    /// Before this nothing is read of a large one.
    turn: Instant,
}

/// A request line without its newline; and if it is a large one, the permit for it, to be held until
/// it is not needed any more.
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// What came of a connection.
pub(super) enum Received {
    Line(Line),
    /// No further line will come: the peer's side has ended, or is broken.
    End,
    /// Nothing has come for as long as it may.
    Silent,
    /// Something that is refused; nothing after it can be read.
    Refused(RpcError),
}

impl Lines {
    pub(super) fn new() -> Lines {
        let now = Instant::now();
        Lines {
            buffer: Vec::new(),
            pieces: Vec::new(),
            pieced: 0,
            start: 0,
            searched: 0,
            permit: None,
            began: now,
            heard: now,
            large_time: limits::LARGE_REQUEST_TIME_MAX,
            turn: now,
        }
    }

    /// Whether more has been read than the lines that were taken.
    pub(super) fn has_more(&self) -> bool {
        self.pieced > 0 || self.start < self.buffer.len()
    }

    /// The time in which nobody listened does not count.
    pub(super) fn resume(&mut self) {
        self.heard = Instant::now();
        self.began = self.heard;
    }

    /// The next line. Between two lines there may be a pause of `rest`. Can be cancelled and called
    /// again.
    pub(super) async fn next(
        &mut self,
        stream: &mut UnixStream,
        large: &Large,
        rest: Option<Duration>,
    ) -> Received {
        loop {
            if let Some(line) = self.cut() {
                return Received::Line(line);
            }
            let length = self.pieced + self.buffer.len() - self.start;
            if length > limits::REQUEST_BYTES_MAX {
                self.forget().await;
                let message =
                    format!("Invalid request: longer than {} bytes", limits::REQUEST_BYTES_MAX);
                return Received::Refused(RpcError::new(rpc::INVALID_REQUEST, message));
            }
            let deadline = self.began
                + match self.permit {
                    Some(_) => self.large_time,
                    None => limits::REQUEST_TIME_MAX,
                };
            if length > limits::SMALL_REQUEST_BYTES_MAX && self.permit.is_none() {
                let permit = timeout_at(deadline, Arc::clone(&large.permits).acquire_owned()).await;
                let Ok(Ok(permit)) = permit else {
                    let message = "too many large requests at once; try again";
                    return Received::Refused(RpcError::new(rpc::OVERLOADED, message));
                };
                self.permit = Some(permit);
                // The pause was ours. From now on others wait for it.
                self.resume();
                continue;
            }
            if self.permit.is_some() && self.turn > Instant::now() {
                sleep_until(self.turn).await;
                // This pause was ours too.
                self.heard = Instant::now();
            }
            self.make_room();
            let pause = match (length, rest) {
                (0, Some(rest)) => self.heard + rest,
                (0, None) => self.heard + limits::FOREVER,
                _ => deadline.min(self.heard + limits::CLIENT_IDLE_MAX),
            };
            // A byte beyond the limit tells "too long" from "just fits".
            let room = (limits::REQUEST_BYTES_MAX + 2 - length).min(match self.permit {
                Some(_) => limits::READ_BYTES_MAX - self.buffer.len(),
                None => limits::READ_BYTES_MAX,
            });
            let mut read = (&mut *stream).take(room as u64);
            match timeout_at(pause, read.read_buf(&mut self.buffer)).await {
                Err(_) if length == 0 => return Received::Silent,
                Err(_) => {
                    let error = RpcError::new(rpc::OVERLOADED, "the request took too long");
                    return Received::Refused(error);
                }
                // Without a newline there was no request.
                Ok(Err(_) | Ok(0)) => return Received::End,
                Ok(Ok(count)) => {
                    self.heard = Instant::now();
                    if length == 0 {
                        self.began = self.heard;
                    }
                    // A client that sends faster than we read would have this task run on and on.
                    if self.permit.is_some() {
                        self.turn = large.pace.count(count, self.heard);
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }

    /// The line at the front, if it is complete.
    fn cut(&mut self) -> Option<Line> {
        let from = self.searched.max(self.start);
        let Some(at) = self.buffer[from..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = from + at;
        let bytes = if self.pieced > 0 {
            let mut bytes = Vec::with_capacity(self.pieced + end);
            for piece in self.pieces.drain(..) {
                bytes.extend_from_slice(&piece);
            }
            self.pieced = 0;
            bytes.extend_from_slice(&self.buffer[..end]);
            bytes
        } else if self.start == 0 && end + 1 == self.buffer.len() {
            let mut bytes = std::mem::take(&mut self.buffer);
            bytes.truncate(end);
            bytes
        } else {
            self.buffer[self.start..end].to_vec()
        };
        self.start = if self.buffer.is_empty() { 0 } else { end + 1 };
        self.searched = self.start;
        self.began = Instant::now();
        Some(Line { bytes, permit: self.permit.take() })
    }

    /// Gives back what was read of a line that is too long, bit by bit. Its length stays, so that it is
    /// too long also for who is cancelled in between.
    async fn forget(&mut self) {
        while self.pieces.pop().is_some() {
            tokio::task::yield_now().await;
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
            self.buffer.shrink_to(limits::READ_BYTES_MAX);
        }
        // All of it has been searched.
        if self.permit.is_some() && self.buffer.len() >= limits::READ_BYTES_MAX {
            self.pieced += self.buffer.len();
            self.pieces.push(std::mem::take(&mut self.buffer));
            self.searched = 0;
        }
        if self.permit.is_some() {
            self.buffer.reserve_exact(limits::READ_BYTES_MAX - self.buffer.len());
        } else {
            let more = self.buffer.len().clamp(limits::READ_BYTES_MIN, limits::READ_BYTES_MAX);
            self.buffer.reserve(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_large_request_that_does_not_get_on_gives_way_to_others() {
        let large = Large::new(1);
        let (mut client, mut server) = UnixStream::pair().unwrap();
        let mut lines = Lines { large_time: Duration::from_millis(50), ..Lines::new() };
        let sending = tokio::spawn(async move {
            let piece = vec![b'x'; limits::SMALL_REQUEST_BYTES_MAX + 1];
            client.write_all(&piece).await.unwrap();
            // A byte now and then: never silent, and never done.
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        match lines.next(&mut server, &large, None).await {
            Received::Refused(error) => assert_eq!(error.code, rpc::OVERLOADED),
            _ => panic!("it was not refused"),
        }
        drop((lines, server));
        assert_eq!(large.permits.available_permits(), 1);
        sending.await.unwrap();
    }

    #[tokio::test]
    async fn a_large_line_is_read_on_after_a_pause() {
        let large = Large::new(1);
        let (mut client, mut server) = UnixStream::pair().unwrap();
        let mut lines = Lines::new();
        let part = vec![b'x'; limits::READ_BYTES_MAX * 2 + 5];
        for _ in 0..3 {
            let mut next = std::pin::pin!(lines.next(&mut server, &large, None));
            tokio::select! {
                biased;
                _ = &mut next => panic!("the line has no end yet"),
                sent = client.write_all(&part) => sent.unwrap(),
            }
        }
        let sending = tokio::spawn(async move { client.write_all(b"y\nz").await.map(|()| client) });
        let Received::Line(line) = lines.next(&mut server, &large, None).await else {
            panic!("no line")
        };
        assert_eq!(line.bytes, [part.repeat(3), vec![b'y']].concat());
        assert!(lines.has_more());
        drop(sending.await.unwrap().unwrap());
        assert!(matches!(lines.next(&mut server, &large, None).await, Received::End));
    }

    #[tokio::test]
    async fn lines_are_the_same_however_they_arrive() {
        let large = Large::new(1);
        let long = "y".repeat(limits::SMALL_REQUEST_BYTES_MAX * 3);
        let sent = ["a", "", "bc", &long, "d", "", &long, "e"];
        let text = sent.join("\n") + "\n";
        for size in [1_000, 7, limits::READ_BYTES_MAX, text.len()] {
            let (mut client, mut server) = UnixStream::pair().unwrap();
            let text = text.clone();
            let sending = tokio::spawn(async move {
                for piece in text.as_bytes().chunks(size) {
                    client.write_all(piece).await.unwrap();
                    if size < 10 {
                        continue;
                    }
                    tokio::task::yield_now().await;
                }
            });
            let mut lines = Lines::new();
            for expected in sent {
                match lines.next(&mut server, &large, None).await {
                    Received::Line(line) => {
                        assert_eq!(line.bytes.len(), expected.len());
                        assert_eq!(line.bytes, expected.as_bytes());
                        let is_large = expected.len() > limits::SMALL_REQUEST_BYTES_MAX;
                        assert_eq!(line.permit.is_some(), is_large);
                    }
                    _ => panic!("no line where {} bytes should be", expected.len()),
                }
            }
            assert!(matches!(lines.next(&mut server, &large, None).await, Received::End));
            sending.await.unwrap();
        }
    }
}
