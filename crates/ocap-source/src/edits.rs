//! Changes to a text, made all at once.

use std::borrow::Cow;

use oxc_span::Span;

/// The changes, in any order. Where one lies within another, the outer one counts.
pub(crate) struct Edits<'s> {
    source: &'s str,
    edits: Vec<Edit>,
}

struct Edit {
    start: u32,
    end: u32,
    with: With,
}

enum With {
    /// Spaces, so that every line and column stays; with a semicolon first or last if so said.
    Blank { first: Option<char>, last: Option<char> },
    /// Another text.
    Text(Cow<'static, str>),
}

/// How far back the blank that ends a statement is looked for.
const TAIL_EDITS_MAX: usize = 4;

impl<'s> Edits<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Edits { source, edits: Vec::new() }
    }

    fn push(&mut self, start: u32, end: u32, with: With) {
        self.edits.push(Edit { start, end, with });
    }

    /// Puts spaces there.
    pub(crate) fn blank(&mut self, start: u32, end: u32) {
        if start < end {
            self.push(start, end, With::Blank { first: None, last: None });
        }
    }

    /// Puts spaces there, after one other character.
    pub(crate) fn blank_after(&mut self, first: char, start: u32, end: u32) {
        self.push(start, end, With::Blank { first: Some(first), last: None });
    }

    /// Puts spaces there, before one other character.
    pub(crate) fn blank_before(&mut self, start: u32, end: u32, last: char) {
        self.push(start, end, With::Blank { first: None, last: Some(last) });
    }

    /// Takes a statement away. What was before it does not go on after it.
    pub(crate) fn remove_statement(&mut self, span: Span) {
        self.blank_after(';', span.start, span.end);
    }

    /// Ends the statement that ends here, if what it ended with is blanked and what follows could
    /// be read as more of it.
    pub(crate) fn end_statement(&mut self, end: u32) {
        for edit in self.edits.iter_mut().rev().take(TAIL_EDITS_MAX) {
            if edit.end == end
                && let With::Blank { first: None, last } = &mut edit.with
            {
                *last = Some(';');
                return;
            }
        }
    }

    pub(crate) fn insert(&mut self, at: u32, text: impl Into<Cow<'static, str>>) {
        self.push(at, at, With::Text(text.into()));
    }

    pub(crate) fn replace(&mut self, start: u32, end: u32, text: impl Into<Cow<'static, str>>) {
        self.push(start, end, With::Text(text.into()));
    }

    /// Replaces, and keeps the line breaks that were there, after the new text.
    pub(crate) fn replace_on_lines(&mut self, start: u32, end: u32, text: &str) {
        let old = &self.source[start as usize..end as usize];
        let mut new = text.to_owned();
        new.extend(old.chars().filter(|c| is_line_end(*c)));
        self.push(start, end, With::Text(new.into()));
    }

    /// The text with all of it done.
    pub(crate) fn apply(mut self) -> String {
        // Stable: what is inserted at one place comes in the order it was. What encloses another
        // comes before it, except that an insertion at the start of something comes first.
        self.edits
            .sort_by_key(|edit| (edit.start, edit.start != edit.end, std::cmp::Reverse(edit.end)));
        let mut out = String::with_capacity(self.source.len());
        let mut at = 0usize;
        for Edit { start, end, with } in self.edits {
            let (start, end) = (start as usize, end as usize);
            if start < at {
                continue;
            }
            out.push_str(&self.source[at..start]);
            match with {
                With::Text(text) => out.push_str(&text),
                With::Blank { first, last } => {
                    blank(&mut out, &self.source[start..end], first, last);
                }
            }
            at = end;
        }
        out.push_str(&self.source[at..]);
        out
    }
}

pub(crate) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

fn blank(out: &mut String, old: &str, first: Option<char>, last: Option<char>) {
    let from = out.len();
    out.extend(old.chars().map(|c| if is_line_end(c) { c } else { ' ' }));
    if let Some(last) = last
        && out.len() > from
        && out.ends_with(' ')
    {
        out.pop();
        out.push(last);
    }
    if let Some(first) = first
        && out[from..].starts_with(' ')
    {
        let rest = out.split_off(from + 1);
        out.pop();
        out.push(first);
        out.push_str(&rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_keep_lines_and_columns() {
        let mut edits = Edits::new("a: T<\n x> = 1");
        edits.blank(1, 9);
        assert_eq!(edits.apply(), "a    \n    = 1");
    }

    #[test]
    fn the_outer_edit_counts_and_insertions_keep_their_order() {
        let mut edits = Edits::new("abcdef");
        edits.replace(2, 3, "X");
        edits.replace(1, 4, "Y");
        edits.insert(1, "1");
        edits.insert(1, "2");
        assert_eq!(edits.apply(), "a12Yef");
    }

    #[test]
    fn a_blanked_end_of_a_statement_can_end_it() {
        let mut edits = Edits::new("x as T\n(y)");
        edits.blank(1, 6);
        edits.end_statement(6);
        assert_eq!(edits.apply(), "x    ;\n(y)");
        let mut edits = Edits::new("type T = 1\n");
        edits.remove_statement(Span::new(0, 10));
        assert_eq!(edits.apply(), ";         \n");
    }
}
