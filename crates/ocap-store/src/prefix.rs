//! The range of keys that start with a prefix.

/// The least text that is greater than every text starting with `prefix`, bytewise; `None` if there
/// is none, so that the range has no end.
pub(crate) fn end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // UTF-8 orders bytewise as its characters order by number.
        if let Some(next) = successor(last) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// The next character; the surrogates are none.
fn successor(c: char) -> Option<char> {
    match c {
        char::MAX => None,
        '\u{D7FF}' => Some('\u{E000}'),
        _ => char::from_u32(u32::from(c) + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::end;

    #[test]
    fn the_end_is_the_next_prefix_of_the_same_length_or_less() {
        assert_eq!(end("v1."), Some("v1/".into()));
        assert_eq!(end("a\u{7f}"), Some("a\u{80}".into()));
        assert_eq!(end("\u{D7FF}"), Some("\u{E000}".into()));
        assert_eq!(end("a\u{10FFFF}"), Some("b".into()));
        assert_eq!(end("\u{10FFFF}"), None);
        assert_eq!(end(""), None);
    }
}
