//! Cutting a byte stream into lines of UTF-8, in linear time.

use crate::channel::Channel;
use crate::limits::{READ_CHUNK_BYTES, UNIT_BYTES_MAX};

/// Why a stream cannot be cut any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    /// The line that just ended is not UTF-8.
    #[error("a line is not valid UTF-8")]
    NotUtf8,
    /// The line in progress is too long.
    #[error("a line is longer than the limit of {UNIT_BYTES_MAX} bytes")]
    TooLong,
}

/// Holds at most one chunk as it arrived, and the beginning of the line that the chunk continues.
/// Each byte is looked at once.
#[derive(Debug, Default)]
pub(crate) struct LineFramer {
    partial: Vec<u8>,
    chunk: Vec<u8>,
    next: usize,
}

impl LineFramer {
    /// Takes the next bytes. Only to be called when `next_line` has answered `None`.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.chunk.clear();
        self.chunk.extend_from_slice(chunk);
        self.next = 0;
    }

    /// The next complete line without its newline; `None` when more bytes are needed.
    pub(crate) fn next_line(&mut self) -> Result<Option<String>, LineError> {
        let rest = self.chunk.get(self.next..).unwrap_or_default();
        let newline = rest.iter().position(|byte| *byte == b'\n');
        let piece = newline.and_then(|at| rest.get(..at)).unwrap_or(rest);
        if self.partial.len() + piece.len() > UNIT_BYTES_MAX {
            return Err(LineError::TooLong);
        }
        self.partial.extend_from_slice(piece);
        if let Some(at) = newline {
            self.next += at + 1;
            return self.take_partial().map(Some);
        }
        self.next = self.chunk.len();
        Ok(None)
    }

    /// After the last byte: what came behind the last newline, if anything did.
    pub(crate) fn finish(&mut self) -> Result<Option<String>, LineError> {
        if self.partial.is_empty() { Ok(None) } else { self.take_partial().map(Some) }
    }

    fn take_partial(&mut self) -> Result<String, LineError> {
        String::from_utf8(std::mem::take(&mut self.partial)).map_err(|_| LineError::NotUtf8)
    }
}

/// What a stream needs before more units can be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// More bytes from the peer.
    Input,
    /// Room, which comes when units are consumed.
    Room,
    /// Nothing: everything up to the end of input is handed out.
    Ended,
    /// Nothing: it is broken, and everything before the break is handed out.
    Broken(LineError),
}

/// The inbound half of one stream: framed, and held back while there is no room.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    framer: LineFramer,
    held: Option<String>,
    ended: bool,
    any_bytes: bool,
}

impl Inbound {
    /// Takes bytes from the peer, at most [`READ_CHUNK_BYTES`]; none mean the end of input. Only to
    /// be called when `deliver` has answered [`Flow::Input`].
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        debug_assert!(chunk.len() <= READ_CHUNK_BYTES);
        if chunk.is_empty() {
            self.ended = true;
        } else {
            self.any_bytes = true;
            self.framer.push(chunk);
        }
    }

    /// Whether the peer ever sent anything.
    pub(crate) fn any_bytes(&self) -> bool {
        self.any_bytes
    }

    /// Hands units to the channel's sink as long as there are some and there is room.
    pub(crate) fn deliver(&mut self, channel: &Channel) -> Flow {
        loop {
            let unit = match self.next_unit() {
                Ok(Some(unit)) => unit,
                Ok(None) if self.ended => return Flow::Ended,
                Ok(None) => return Flow::Input,
                Err(error) => return Flow::Broken(error),
            };
            if !channel.take_room(unit.len()) {
                self.held = Some(unit);
                return Flow::Room;
            }
            channel.emit_unit(unit);
        }
    }

    fn next_unit(&mut self) -> Result<Option<String>, LineError> {
        if let Some(unit) = self.held.take() {
            return Ok(Some(unit));
        }
        match self.framer.next_line()? {
            None if self.ended => self.framer.finish(),
            line => Ok(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]]) -> Result<Vec<String>, LineError> {
        let mut framer = LineFramer::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(line) = framer.next_line()? {
                lines.push(line);
            }
        }
        lines.extend(framer.finish()?);
        Ok(lines)
    }

    #[test]
    fn keeps_empty_lines_and_carriage_returns() {
        let lines = cut(&[b"a\n\n\r\nb\r", b"\n"]).expect("valid");
        assert_eq!(lines, ["a", "", "\r", "b\r"]);
    }

    #[test]
    fn an_unterminated_tail_is_a_line() {
        assert_eq!(cut(&[b"a\nb", b"c"]).expect("valid"), ["a", "bc"]);
        assert_eq!(cut(&[b"a\n"]).expect("valid"), ["a"]);
    }

    #[test]
    fn refuses_what_is_not_utf8() {
        assert_eq!(cut(&[b"\xff\n"]), Err(LineError::NotUtf8));
        assert_eq!(cut(&["\u{1f600}".as_bytes().split_at(2).0]), Err(LineError::NotUtf8));
    }

    #[test]
    fn the_longest_line_passes_and_one_byte_more_does_not() {
        let longest = vec![b'x'; UNIT_BYTES_MAX];
        let lines = cut(&[&longest, b"\n"]).expect("at the limit");
        assert_eq!(lines[0].len(), UNIT_BYTES_MAX);
        assert_eq!(cut(&[&longest, b"x"]), Err(LineError::TooLong));
    }

    proptest! {
        #[test]
        fn where_chunks_end_makes_no_difference(
            text in "[a-z\u{e9}\u{1f600}\r\n]{0,200}",
            sizes in proptest::collection::vec(1usize..9, 1..50),
        ) {
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            let mut sizes = sizes.iter().cycle();
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(rest.len().min(*sizes.next().expect("cycle")));
                chunks.push(chunk);
                rest = after;
            }
            let mut expected: Vec<String> = text.split('\n').map(str::to_owned).collect();
            if expected.last().is_some_and(String::is_empty) {
                expected.pop();
            }
            prop_assert_eq!(cut(&chunks).expect("valid UTF-8"), expected);
        }
    }
}
