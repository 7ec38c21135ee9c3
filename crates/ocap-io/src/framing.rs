//! Cutting a byte stream into units, in linear time, and making bytes of units.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ocap_types::config::IoUnit;

use crate::channel::Channel;
use crate::limits::READ_CHUNK_BYTES;

/// What stands at one place of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A unit.
    Unit(String),
    /// Bytes that make no unit, and why: the end of a sentence that begins with the channel. What
    /// follows them is not harmed.
    Bad(String),
}

impl Piece {
    /// How much it counts against the channel's room, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Piece::Unit(unit) => unit.len(),
            Piece::Bad(_) => 0,
        }
    }
}

/// Bytes of the longest character in UTF-8.
const CHARACTER_BYTES_MAX: usize = 4;

fn not_utf8(what: &str) -> Piece {
    Piece::Bad(format!("received {what} that is not valid UTF-8"))
}

/// The bytes of a unit on the wire; the error is the end of a sentence that begins with the channel.
pub(crate) fn to_bytes(unit: IoUnit, data: String, max: usize) -> Result<Vec<u8>, String> {
    if data.len() > max {
        let length = data.len();
        return Err(format!("cannot take a unit of {length} bytes: the limit is {max} bytes"));
    }
    match unit {
        IoUnit::Line => {
            let mut bytes = data.into_bytes();
            bytes.push(b'\n');
            Ok(bytes)
        }
        IoUnit::String | IoUnit::Chars => Ok(data.into_bytes()),
        IoUnit::Bytes => BASE64
            .decode(data)
            .map_err(|error| format!("was given bytes that are no base64 text: {error}")),
    }
}

/// Holds at most one chunk as it arrived, and the beginning of the unit that the chunk continues.
/// Each byte is looked at once.
#[derive(Debug)]
pub(crate) struct Framer {
    unit: IoUnit,
    /// Bytes of a line at most.
    unit_bytes_max: usize,
    /// Of a line: what is there of it. Of text: the first bytes of a character.
    partial: Vec<u8>,
    /// The line in progress is too long, which has been said: the rest of it is passed over.
    skipping: bool,
    chunk: Vec<u8>,
    next: usize,
}

impl Framer {
    pub(crate) fn new(unit: IoUnit, unit_bytes_max: usize) -> Self {
        let (partial, chunk) = (Vec::new(), Vec::new());
        Framer { unit, unit_bytes_max, partial, skipping: false, chunk, next: 0 }
    }

    /// What is not yet handed out is cut otherwise from now on.
    fn set_unit(&mut self, unit: IoUnit) {
        if unit != self.unit {
            let mut rest = std::mem::take(&mut self.partial);
            rest.extend_from_slice(self.chunk.get(self.next..).unwrap_or_default());
            (self.unit, self.skipping, self.chunk, self.next) = (unit, false, rest, 0);
        }
    }

    /// Takes the next bytes. Only to be called when `next` has answered `None`.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.chunk.clear();
        if self.unit != IoUnit::Line {
            self.chunk.append(&mut self.partial);
        }
        self.chunk.extend_from_slice(chunk);
        self.next = 0;
    }

    /// The next piece; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        match self.unit {
            IoUnit::Line => self.next_line(),
            IoUnit::String => self.next_text(str::len),
            IoUnit::Chars => self.next_text(|text| text.chars().next().map_or(0, char::len_utf8)),
            IoUnit::Bytes => {
                let rest = self.chunk.get(self.next..).filter(|rest| !rest.is_empty())?;
                let unit = BASE64.encode(rest);
                self.next = self.chunk.len();
                Some(Piece::Unit(unit))
            }
        }
    }

    fn next_line(&mut self) -> Option<Piece> {
        let max = self.unit_bytes_max;
        loop {
            let rest = self.chunk.get(self.next..).unwrap_or_default();
            let newline = rest.iter().position(|byte| *byte == b'\n');
            let piece = newline.and_then(|at| rest.get(..at)).unwrap_or(rest);
            let too_long = !self.skipping && self.partial.len() + piece.len() > max;
            if !self.skipping && !too_long {
                self.partial.extend_from_slice(piece);
            }
            self.next = newline.map_or(self.chunk.len(), |at| self.next + at + 1);
            if too_long {
                self.partial = Vec::new();
                self.skipping = newline.is_none();
                let why = format!("received a line longer than {max} bytes");
                return Some(Piece::Bad(why));
            }
            newline?;
            if !std::mem::take(&mut self.skipping) {
                return Some(self.take_line());
            }
        }
    }

    fn take_line(&mut self) -> Piece {
        String::from_utf8(std::mem::take(&mut self.partial))
            .map_or_else(|_| not_utf8("a line"), Piece::Unit)
    }

    /// Text as far as it is there; `length` says how much of it is one unit.
    fn next_text(&mut self, length: impl FnOnce(&str) -> usize) -> Option<Piece> {
        let rest = self.chunk.get(self.next..).filter(|rest| !rest.is_empty())?;
        // Each byte is looked at a few times at most, also if each unit is one character.
        let rest = match self.unit {
            IoUnit::Chars => rest.get(..CHARACTER_BYTES_MAX).unwrap_or(rest),
            _ => rest,
        };
        let error = match std::str::from_utf8(rest) {
            Ok(text) => {
                let unit = text.get(..length(text)).unwrap_or(text).to_owned();
                self.next += unit.len();
                return Some(Piece::Unit(unit));
            }
            Err(error) => error,
        };
        let valid = rest.get(..error.valid_up_to()).map(String::from_utf8_lossy);
        match (valid, error.error_len()) {
            (Some(text), _) if !text.is_empty() => {
                let unit = text.get(..length(&text)).unwrap_or(&text).to_owned();
                self.next += unit.len();
                Some(Piece::Unit(unit))
            }
            (_, Some(length)) => {
                self.next += length;
                Some(not_utf8("text"))
            }
            // The beginning of a character.
            (_, None) => {
                self.partial = rest.to_vec();
                self.next = self.chunk.len();
                None
            }
        }
    }

    /// After the last byte: what came behind the last unit, if anything did.
    pub(crate) fn finish(&mut self) -> Option<Piece> {
        if self.partial.is_empty() {
            return None;
        }
        if self.unit == IoUnit::Line {
            return Some(self.take_line());
        }
        self.partial = Vec::new();
        Some(not_utf8("text"))
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
}

/// The inbound half of one stream: framed, and held back while there is no room.
#[derive(Debug)]
pub(crate) struct Inbound {
    framer: Framer,
    held: Option<Piece>,
    ended: bool,
    any_bytes: bool,
}

impl Inbound {
    pub(crate) fn new(unit: IoUnit, unit_bytes_max: usize) -> Self {
        let framer = Framer::new(unit, unit_bytes_max);
        Inbound { framer, held: None, ended: false, any_bytes: false }
    }

    /// What is not yet handed out is cut otherwise from now on.
    pub(crate) fn set_unit(&mut self, unit: IoUnit) {
        self.framer.set_unit(unit);
    }

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
            let Some(piece) = self.next_piece() else {
                return if self.ended { Flow::Ended } else { Flow::Input };
            };
            if !channel.take_room(piece.bytes()) {
                self.held = Some(piece);
                return Flow::Room;
            }
            channel.emit_piece(piece);
        }
    }

    fn next_piece(&mut self) -> Option<Piece> {
        let piece = self.held.take().or_else(|| self.framer.next());
        if piece.is_none() && self.ended { self.framer.finish() } else { piece }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::UNIT_BYTES_MAX;
    use proptest::prelude::*;

    fn cut(unit: IoUnit, chunks: &[&[u8]]) -> Vec<Piece> {
        let mut framer = Framer::new(unit, UNIT_BYTES_MAX);
        let mut pieces = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(piece) = framer.next() {
                pieces.push(piece);
            }
        }
        pieces.extend(framer.finish());
        pieces
    }

    fn units(texts: &[&str]) -> Vec<Piece> {
        texts.iter().map(|text| Piece::Unit((*text).to_owned())).collect()
    }

    fn is_bad(piece: &Piece) -> bool {
        matches!(piece, Piece::Bad(_))
    }

    #[test]
    fn keeps_empty_lines_and_carriage_returns() {
        let lines = cut(IoUnit::Line, &[b"a\n\n\r\nb\r", b"\n"]);
        assert_eq!(lines, units(&["a", "", "\r", "b\r"]));
    }

    #[test]
    fn an_unterminated_tail_is_a_line() {
        assert_eq!(cut(IoUnit::Line, &[b"a\nb", b"c"]), units(&["a", "bc"]));
        assert_eq!(cut(IoUnit::Line, &[b"a\n"]), units(&["a"]));
    }

    #[test]
    fn a_line_that_is_not_utf8_harms_no_other() {
        let pieces = cut(IoUnit::Line, &[b"a\n\xff\nb\n", "\u{1f600}".as_bytes().split_at(2).0]);
        assert_eq!(pieces[0], Piece::Unit("a".into()));
        assert!(is_bad(&pieces[1]) && is_bad(&pieces[3]), "{pieces:?}");
        assert_eq!(pieces[2], Piece::Unit("b".into()));
        assert_eq!(pieces.len(), 4);
    }

    #[test]
    fn the_longest_line_passes_and_a_longer_one_is_passed_over() {
        let longest = vec![b'x'; UNIT_BYTES_MAX];
        let pieces = cut(IoUnit::Line, &[&longest, b"\n", &longest, b"xx", &longest, b"y\nnext\n"]);
        assert!(matches!(&pieces[0], Piece::Unit(line) if line.len() == UNIT_BYTES_MAX));
        assert!(is_bad(&pieces[1]), "{:?}", pieces[1]);
        assert_eq!(pieces[2..], units(&["next"]));
        // The same if all of it is in one chunk.
        let one = [&longest[..], b"x\nnext\n"].concat();
        let pieces = cut(IoUnit::Line, &[&one]);
        assert!(is_bad(&pieces[0]));
        assert_eq!(pieces[1..], units(&["next"]));
    }

    #[test]
    fn text_comes_as_it_arrives_and_no_character_is_torn() {
        let smile = "\u{1f600}".as_bytes();
        let pieces = cut(IoUnit::String, &[b"ab\n", &smile[..1], &smile[1..3], &smile[3..], b"c"]);
        assert_eq!(pieces, units(&["ab\n", "\u{1f600}", "c"]));
        let pieces = cut(IoUnit::String, &[b"ab\xffcd", &smile[..2]]);
        assert_eq!((&pieces[0], &pieces[2]), (&units(&["ab"])[0], &units(&["cd"])[0]));
        assert!(is_bad(&pieces[1]) && is_bad(&pieces[3]));
    }

    #[test]
    fn characters_come_one_by_one() {
        let pieces = cut(IoUnit::Chars, &["a\u{e9}\n".as_bytes(), b"b"]);
        assert_eq!(pieces, units(&["a", "\u{e9}", "\n", "b"]));
    }

    #[test]
    fn bytes_are_base64_both_ways() {
        assert_eq!(cut(IoUnit::Bytes, &[b"\x00\xff\n", b"", b"a"]), units(&["AP8K", "YQ=="]));
        assert_eq!(to_bytes(IoUnit::Bytes, "AP8K".into(), 9), Ok(vec![0, 255, 10]));
        assert!(to_bytes(IoUnit::Bytes, "*".into(), 9).expect_err("bad").contains("base64"));
        assert_eq!(to_bytes(IoUnit::Line, "a".into(), 9), Ok(b"a\n".to_vec()));
        assert_eq!(to_bytes(IoUnit::Chars, "a".into(), 9), Ok(b"a".to_vec()));
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
            let mut expected: Vec<&str> = text.split('\n').collect();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            prop_assert_eq!(cut(IoUnit::Line, &chunks), units(&expected));
            let whole: String = cut(IoUnit::String, &chunks)
                .into_iter()
                .map(|piece| match piece { Piece::Unit(unit) => unit, Piece::Bad(why) => why })
                .collect();
            prop_assert_eq!(whole, text.clone());
            let characters: Vec<String> = text.chars().map(String::from).collect();
            let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
            prop_assert_eq!(cut(IoUnit::Chars, &chunks), units(&characters));
        }
    }
}
