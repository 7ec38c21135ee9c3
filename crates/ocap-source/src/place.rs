//! Where in a text something is, for a person.

/// Line and column of a byte offset, both from 1; columns in characters.
pub(crate) fn of(text: &str, offset: u32) -> (usize, usize) {
    let end = text.floor_char_boundary((offset as usize).min(text.len()));
    let before = &text[..end];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

/// `name:line:column: problem`.
pub(crate) fn told(name: &str, text: &str, offset: u32, problem: &str) -> String {
    let (line, column) = of(text, offset);
    format!("{name}:{line}:{column}: {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        assert_eq!(of("ab\nc", 0), (1, 1));
        assert_eq!(of("ab\näc", 5), (2, 2));
        assert_eq!(of("ab", 99), (1, 3));
    }
}
