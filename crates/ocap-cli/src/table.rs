//! Tables: columns that line up, cut to the width of the terminal.

use anstyle::Style;
use unicode_width::UnicodeWidthChar;

use crate::terminal::{self, HEADING, PLAIN};

/// Columns narrower than this are not cut further.
const COLUMN_MIN: usize = 6;

/// A text in a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
    to_the_right: bool,
}

impl Cell {
    /// In a style.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell { text: text.into(), style, to_the_right: false }
    }

    /// A state, in its colour.
    pub(crate) fn state(state: impl Into<String>) -> Cell {
        let state = state.into();
        let style = terminal::of_state(&state);
        Cell::styled(state, style)
    }

    /// A reference, in its colour.
    pub(crate) fn reference(kref: impl Into<String>) -> Cell {
        Cell::styled(kref, terminal::REFERENCE)
    }

    /// A number, at the right of its column.
    pub(crate) fn number(text: impl std::fmt::Display) -> Cell {
        Cell { text: text.to_string(), style: PLAIN, to_the_right: true }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::styled(text, PLAIN)
    }
}

/// Rows of cells.
#[derive(Debug, Default)]
pub(crate) struct Table {
    indent: &'static str,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// With a line of headings.
    pub(crate) fn new(headings: &[&str]) -> Table {
        let row = headings.iter().map(|heading| Cell::styled(*heading, HEADING)).collect();
        Table { indent: "", rows: vec![row] }
    }

    /// Without headings, each line indented.
    pub(crate) fn indented(indent: &'static str) -> Table {
        Table { indent, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// A line for each row. No line is longer than `width`, where that can be had by cutting cells.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        for row in &self.rows {
            let mut line = self.indent.to_owned();
            let last = row.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or(0);
            for (place, (cell, &width)) in row.iter().zip(&widths).enumerate().take(last + 1) {
                let shown = cut(&cell.text, width);
                let padding = " ".repeat(width - columns(&shown));
                let shown = terminal::styled(cell.style, &shown);
                match (cell.to_the_right, place == last) {
                    (true, _) => line.extend([padding.as_str(), &shown]),
                    (false, true) => line.push_str(&shown),
                    (false, false) => line.extend([shown.as_str(), &padding]),
                }
                if place < last {
                    line.push_str("  ");
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self, max: Option<usize>) -> Vec<usize> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let of_column = |place: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(place));
            cells.map(|cell| columns(&cell.text)).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..count).map(of_column).collect();
        let Some(max) = max else { return widths };
        loop {
            let used = columns(self.indent) + widths.iter().sum::<usize>() + 2 * count.max(1) - 2;
            let Some(excess @ 1..) = used.checked_sub(max) else { return widths };
            let Some(widest) = widths.iter_mut().max_by_key(|width| **width) else { return widths };
            if *widest <= COLUMN_MIN {
                return widths;
            }
            *widest = (*widest - excess.min(4)).max(COLUMN_MIN);
        }
    }
}

/// Columns a text takes on a terminal.
fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The beginning of a text that takes no more columns than this, and a mark if it is not all.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut left = width.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or(0)) else { break };
        left = rest;
        shown.push(c);
    }
    shown.push('…');
    shown
}

/// The same for a text with styles in it, which take no columns and end with it.
pub(crate) fn cut_styled(text: &str, width: usize) -> String {
    if columns(&anstream::adapter::strip_str(text).to_string()) <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut left = width.saturating_sub(1);
    let mut in_escape = false;
    for c in text.chars() {
        in_escape = in_escape || c == '\x1b';
        if !in_escape {
            let Some(rest) = left.checked_sub(c.width().unwrap_or(0)) else { break };
            left = rest;
        }
        shown.push(c);
        // Ours all end with this.
        in_escape = in_escape && c != 'm';
    }
    format!("{shown}{}…", anstyle::Reset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["ID", "NAME", "N", "NOTE"]);
        table.row(["s1".into(), "guestbook".into(), Cell::number(5), "".into()]);
        table.row(["s10".into(), "日本".into(), Cell::number(12), "x".into()]);
        assert_eq!(
            plain(&table.render(None)),
            "ID   NAME       N   NOTE\ns1   guestbook   5\ns10  日本       12  x\n"
        );
        assert_eq!(Table::indented("  ").render(Some(10)), "");
    }

    #[test]
    fn lines_fit_the_terminal_by_cutting_the_widest_column() {
        let mut table = Table::indented("  ");
        table.row(["s1".into(), "a long name of a cluster".into(), "a reason".into()]);
        let text = plain(&table.render(Some(30)));
        assert_eq!(text, "  s1  a long name o…  a reason\n");
        // What cannot be had is not tried for ever.
        assert!(plain(&table.render(Some(3))).starts_with("  s1  a lon…"));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("abc", 0), "…");
        let styled = format!("{}{}", terminal::styled(HEADING, "日本語"), "abc");
        assert_eq!(cut_styled(&styled, 9), styled);
        assert_eq!(plain(&cut_styled(&styled, 8)), "日本語a…");
        assert_eq!(plain(&cut_styled(&styled, 5)), "日本…");
    }
}
