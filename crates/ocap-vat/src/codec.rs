//! Frames on the wire: a length (32 bits, little endian) and a postcard message.
//!
//! [`FrameBuffer`] is what the kernel reads with: it is fed whatever a socket gave and hands out
//! whole frames. It believes nothing: it holds no more than what was received, refuses a length over
//! the limit when it sees it, and once it has met an error it stays in it. [`FrameReader`] and
//! [`write_frame`] wait.

mod bounded;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use bounded::Bounded;

use crate::limits::{
    FRAME_ELEMENTS_MAX, FRAME_FROM_WORKER_BYTES_MAX, READ_CHUNK_BYTES, READ_FIRST_BYTES,
};

/// Bytes of the length before each frame.
const PREFIX_BYTES: usize = 4;

/// Bytes that are no frame of the protocol. The connection cannot be used any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame longer than the limit.
    #[error("a frame of {bytes} bytes, {bytes_max} are allowed")]
    TooLong {
        /// What the prefix says.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A frame that is no message of the expected type.
    #[error("a frame that is no message: {0}")]
    Malformed(String),
    /// More was put in without taking frames out.
    #[error("too many unread frames")]
    Backlog,
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// Encodes one frame with its length.
pub fn encode<T: Serialize>(message: &T, bytes_max: usize) -> Result<Vec<u8>, FrameError> {
    encode_into(Vec::with_capacity(256), message, bytes_max)
}

/// Appends one frame to `out`.
fn encode_into<T: Serialize>(
    mut out: Vec<u8>,
    message: &T,
    bytes_max: usize,
) -> Result<Vec<u8>, FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    let mut out = postcard::to_extend(message, out)
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    let bytes = out.len() - start - PREFIX_BYTES;
    match u32::try_from(bytes) {
        Ok(length) if bytes <= bytes_max => {
            out[start..start + PREFIX_BYTES].copy_from_slice(&length.to_le_bytes());
            Ok(out)
        }
        _ => Err(FrameError::TooLong { bytes, bytes_max }),
    }
}

/// Decodes the content of one frame.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    let malformed = |error: postcard::Error| FrameError::Malformed(error.to_string());
    let left = Cell::new(FRAME_ELEMENTS_MAX);
    let mut inner = postcard::Deserializer::from_bytes(bytes);
    let message = T::deserialize(Bounded::new(&mut inner, &left)).map_err(malformed)?;
    match inner.finalize().map_err(malformed)? {
        [] => Ok(message),
        rest => Err(FrameError::Malformed(format!("{} bytes too many", rest.len()))),
    }
}

/// The length in front of `bytes`, if it is there.
fn prefix(bytes: &[u8]) -> Option<usize> {
    let prefix: [u8; PREFIX_BYTES] = bytes.get(..PREFIX_BYTES)?.try_into().ok()?;
    Some(u32::from_le_bytes(prefix) as usize)
}

/// Cuts received bytes into frames.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// What lies before was handed out.
    start: usize,
    bytes_max: usize,
    broken: Option<FrameError>,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        FrameBuffer::new(FRAME_FROM_WORKER_BYTES_MAX)
    }
}

impl FrameBuffer {
    /// One that refuses frames longer than `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        FrameBuffer { bytes: Vec::new(), start: 0, bytes_max, broken: None }
    }

    /// Takes in received bytes. Take frames out with [`FrameBuffer::next`] until there is none
    /// before putting in more.
    pub fn fill(&mut self, received: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        let unread = self.bytes.len() - self.start;
        if unread > self.bytes_max.saturating_add(PREFIX_BYTES) {
            return self.break_with(FrameError::Backlog);
        }
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(received);
        if let Err(error) = self.frame_end() {
            self.break_with(error);
        }
    }

    /// The next whole frame, `None` if more bytes are needed first. After an error the same error
    /// again.
    #[allow(clippy::should_implement_trait)] // an iterator cannot be asked for a type
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        match self.take_next() {
            Ok(message) => Ok(message),
            Err(error) => {
                self.break_with(error.clone());
                Err(error)
            }
        }
    }

    /// Whether a frame has begun and is not complete: an end of the stream here is a cut.
    pub fn is_partial(&self) -> bool {
        self.start < self.bytes.len()
    }

    fn take_next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let Some(end) = self.frame_end()? else { return Ok(None) };
        let message = decode(&self.bytes[self.start + PREFIX_BYTES..end])?;
        self.start = end;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
            // One large frame must not keep its memory for the connection's life.
            self.bytes.shrink_to(READ_CHUNK_BYTES);
        }
        Ok(Some(message))
    }

    /// Where the first frame ends, if all of it is there.
    fn frame_end(&self) -> Result<Option<usize>, FrameError> {
        let Some(length) = prefix(&self.bytes[self.start..]) else { return Ok(None) };
        if length > self.bytes_max {
            return Err(FrameError::TooLong { bytes: length, bytes_max: self.bytes_max });
        }
        let end = self.start + PREFIX_BYTES + length;
        Ok((end <= self.bytes.len()).then_some(end))
    }

    fn break_with(&mut self, error: FrameError) {
        self.broken = Some(error);
        self.bytes = Vec::new();
        self.start = 0;
    }
}

/// Writes one frame, and waits until it is written.
pub fn write_frame<T: Serialize>(
    stream: &mut impl Write,
    message: &T,
    bytes_max: usize,
) -> io::Result<()> {
    stream.write_all(&encode(message, bytes_max)?)
}

/// Waits for frames.
#[derive(Debug)]
pub struct FrameReader {
    frames: FrameBuffer,
    chunk: Vec<u8>,
}

impl FrameReader {
    /// One that refuses frames longer than `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        FrameReader { frames: FrameBuffer::new(bytes_max), chunk: vec![0; READ_FIRST_BYTES] }
    }

    /// The next frame. `None` if the stream ended before one began.
    pub fn read<T: DeserializeOwned>(&mut self, stream: &mut impl Read) -> io::Result<Option<T>> {
        loop {
            if let Some(message) = self.frames.next()? {
                return Ok(Some(message));
            }
            match stream.read(&mut self.chunk) {
                Ok(0) if self.frames.is_partial() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(0) => return Ok(None),
                Ok(n) => {
                    self.frames.fill(&self.chunk[..n]);
                    if n == self.chunk.len() && n < READ_CHUNK_BYTES {
                        self.chunk.resize(READ_CHUNK_BYTES, 0);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
