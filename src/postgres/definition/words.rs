//! A definition as a tree of words: what stands in parentheses or brackets is one branch. Literals, quoted names and bodies
//! of functions are single words that nothing looks into. Of bytes, since a database need not be UTF-8. Pure.

use std::borrow::Cow;

use crate::sql::lex::{Kind, Lexer};

/// Deepest nesting that is read. What is nested deeper is compared as it stands.
const DEEPEST: usize = 400;

/// A word, or what stands between an opening and a closing bracket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word<'a> {
    One(Cow<'a, [u8]>),
    Group(u8, Vec<Word<'a>>),
}

impl<'a> Word<'a> {
    pub(super) fn one(text: &'a str) -> Self {
        Word::One(Cow::Borrowed(text.as_bytes()))
    }

    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self, Word::One(word) if word.as_ref() == text.as_bytes())
    }

    /// What stands between the brackets, if it is a group of this kind.
    pub(super) fn group(&self, open: u8) -> Option<&[Word<'a>]> {
        match self {
            Word::Group(kind, words) if *kind == open => Some(words),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&[u8]> {
        match self {
            Word::One(word) => Some(word),
            Word::Group(..) => None,
        }
    }

    /// A literal in single quotes.
    pub(super) fn is_literal(&self) -> bool {
        matches!(self, Word::One(word) if word.ends_with(b"'"))
    }

    /// A name, without its quotes.
    pub(super) fn name(&self) -> Option<Vec<u8>> {
        let word = self.text()?;
        let Some(inner) = word.strip_prefix(b"\"").and_then(|w| w.strip_suffix(b"\"")) else {
            let first = *word.first()?;
            let plain = first.is_ascii_alphabetic() || first == b'_' || first >= 0x80;
            return (plain && !self.is_literal()).then(|| word.to_vec());
        };
        let mut name = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter().peekable();
        while let Some(byte) = bytes.next() {
            name.push(*byte);
            if *byte == b'"' {
                bytes.next_if_eq(&&b'"');
            }
        }
        Some(name)
    }
}

/// Reads a definition. `None` where brackets do not fit each other, or are nested too deep.
pub(super) fn read(text: &[u8]) -> Option<Vec<Word<'_>>> {
    let mut open: Vec<(u8, Vec<Word<'_>>)> = Vec::new();
    let mut words: Vec<Word<'_>> = Vec::new();
    // Marks without a space between them are one operator.
    let mut mark_ends = None;
    for lexeme in Lexer::of_bytes(text) {
        let piece = text.get(lexeme.range.clone())?;
        match lexeme.kind {
            Kind::Space => {}
            Kind::Open => {
                if open.len() >= DEEPEST {
                    return None;
                }
                open.push((*piece.first()?, std::mem::take(&mut words)));
            }
            Kind::Close => {
                let (kind, before) = open.pop()?;
                let closes = if kind == b'(' { b')' } else { b']' };
                if piece != [closes] {
                    return None;
                }
                let inside = std::mem::replace(&mut words, before);
                words.push(Word::Group(kind, inside));
            }
            Kind::Mark if mark_ends == Some(lexeme.range.start) => {
                if let Some(Word::One(word)) = words.last_mut() {
                    word.to_mut().extend_from_slice(piece);
                }
            }
            _ => words.push(Word::One(Cow::Borrowed(piece))),
        }
        mark_ends = (lexeme.kind == Kind::Mark).then_some(lexeme.range.end);
    }
    open.is_empty().then_some(words)
}

/// The words again, one space between them.
pub(super) fn print(words: &[Word<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    write(words, &mut out);
    out
}

fn write(words: &[Word<'_>], out: &mut Vec<u8>) {
    for word in words {
        if out.last().is_some_and(|last| !b" ([".contains(last)) {
            out.push(b' ');
        }
        match word {
            Word::One(word) => out.extend_from_slice(word),
            Word::Group(kind, inside) => {
                out.push(*kind);
                write(inside, out);
                out.push(if *kind == b'(' { b')' } else { b']' });
            }
        }
    }
}

/// The parts between separators; the separators themselves are not among them.
pub(super) fn split<'w, 'a>(words: &'w [Word<'a>], separator: &str) -> Vec<&'w [Word<'a>]> {
    words.split(|word| word.is(separator)).collect()
}

/// The parts again, with separators between them.
pub(super) fn join<'a>(parts: Vec<Vec<Word<'a>>>, separator: &'a str) -> Vec<Word<'a>> {
    let mut words = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        if at > 0 {
            words.push(Word::one(separator));
        }
        words.extend(part);
    }
    words
}

/// Where these words stand one after the other.
pub(super) fn find(words: &[Word<'_>], wanted: &[&str]) -> Option<usize> {
    words
        .windows(wanted.len().max(1))
        .position(|w| w.iter().zip(wanted).all(|(word, text)| word.is(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g23_a_definition_is_read_and_printed_and_its_literals_stay_as_they_are() {
        for (text, printed) in [
            ("a  =\n ANY ( ARRAY['x  y'])", "a = ANY (ARRAY ['x  y'])"),
            ("(a)::text <@ $1", "(a) :: text <@ $ 1"),
            (
                "E'a\\'b(' \"odd \"\" (name\"",
                "E'a\\'b(' \"odd \"\" (name\"",
            ),
            ("AS $f$ a ( b $f$;", "AS $f$ a ( b $f$ ;"),
        ] {
            let words = read(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(print(&words)).unwrap(), printed);
        }
        for broken in ["(a", "a)", "(a]"] {
            assert_eq!(read(broken.as_bytes()), None, "{broken}");
        }
        let deep = "(".repeat(DEEPEST + 1) + &")".repeat(DEEPEST + 1);
        assert_eq!(read(deep.as_bytes()), None);
        assert_eq!(
            read(b"CHECK ((v = '\xe9t\xe9(')) \xe9").unwrap().len(),
            3,
            "a database in LATIN1"
        );
    }
}
