//! What lies between the tokens of a text.

use oxc_ast::ast::Comment;

/// Finds tokens that the parsed program has no place for.
pub(crate) struct Trivia<'s> {
    source: &'s str,
    /// In the order of the text.
    comments: &'s [Comment],
}

impl<'s> Trivia<'s> {
    pub(crate) fn new(source: &'s str, comments: &'s [Comment]) -> Self {
        Trivia { source, comments }
    }

    /// The first offset from `at` on where neither white space nor a comment is.
    pub(crate) fn skip(&self, mut at: u32) -> u32 {
        loop {
            let rest = &self.source[at as usize..];
            let space = rest.len() - rest.trim_start().len();
            at += space as u32;
            let found = self.comments.binary_search_by_key(&at, |comment| comment.span.start);
            match found {
                Ok(index) => at = self.comments[index].span.end,
                Err(_) => return at,
            }
        }
    }

    /// The last offset up to `at` before which neither white space nor a comment is.
    pub(crate) fn skip_back(&self, mut at: u32) -> u32 {
        loop {
            at = self.source[..at as usize].trim_end().len() as u32;
            // White space ends a line comment, but not where it begins.
            let found = self.comments.partition_point(|comment| comment.span.start < at);
            match found.checked_sub(1).map(|index| self.comments[index].span) {
                Some(span) if at <= span.end => at = span.start,
                _ => return at,
            }
        }
    }

    /// Where the next token is, if it begins with this.
    pub(crate) fn next(&self, at: u32, token: &str) -> Option<u32> {
        let at = self.skip(at);
        self.source[at as usize..].starts_with(token).then_some(at)
    }

    /// The word at the next token (empty if it is none), and where it is.
    pub(crate) fn word(&self, at: u32) -> (u32, &'s str) {
        let at = self.skip(at);
        let rest = &self.source[at as usize..];
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        (at, &rest[..end])
    }
}
