//! Where something stands in a text: bytes for machines, line and column for people.

use std::ops::Range;

use serde::Serialize;

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters, not in bytes.
    pub column: usize,
}

/// The lines of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    /// Offset of the first byte of each line.
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    /// Number of the line that holds the byte, from 1.
    pub(super) fn number(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).max(1)
    }

    /// Where the byte stands. A byte within a character is that character's.
    pub(super) fn position(&self, text: &str, at: usize) -> Position {
        let line = self.number(at);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = text.as_bytes().get(start..at.min(text.len()));
        // Bytes that begin a character.
        let column = before.unwrap_or_default().iter();
        let column = column.filter(|b| **b & 0xC0 != 0x80).count();
        Position {
            line,
            column: column + 1,
        }
    }

    /// The bytes of the line that holds the byte, without its end.
    pub(super) fn line(&self, text: &str, at: usize) -> Range<usize> {
        let line = self.number(at);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let rest = text.get(start..).unwrap_or_default();
        start..start + rest.lines().next().unwrap_or_default().len()
    }
}

/// The range without white space and semicolons at its ends.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = text.get(range.clone()).unwrap_or_default();
    let idle = |c: char| c.is_whitespace() || c == ';';
    let start = range.start + (part.len() - part.trim_start_matches(idle).len());
    start..start + part.trim_matches(idle).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let text = "a\nä b\n";
        let lines = Lines::of(text);
        let at = text.find('b').unwrap();
        assert_eq!(lines.position(text, at), Position { line: 2, column: 3 });
        assert_eq!(text.get(lines.line(text, at)), Some("ä b"));
        assert_eq!(lines.position(text, 99), Position { line: 3, column: 1 });
        assert_eq!(lines.line("", 0), 0..0);
        assert_eq!(trimmed(" a; ; ", 0..6), 1..2);
    }
}
