//! The words of SQL as PostgreSQL's own scanner cuts them, before anything parses them.
//!
//! Needed where the parser must not look yet: comments that would silence it, lines that only psql knows, data
//! after COPY, and the depth of what is nested.

use std::ops::Range;

/// What a lexeme is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Space,
    Comment,
    /// A keyword, or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A literal in single quotes, with any prefix.
    Text,
    /// `$tag$ … $tag$`.
    Dollar,
    Number,
    Open,
    Close,
    Comma,
    Semicolon,
    Backslash,
    /// Any other character.
    Mark,
}

/// A piece of the text. All of them, one after the other, are the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lexeme {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

impl Lexeme {
    pub(super) fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.range.clone()).unwrap_or_default()
    }

    pub(super) fn is(&self, text: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.text(text).eq_ignore_ascii_case(word)
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn goes_on(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// Reads the text from a given byte on.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    /// Of a text in any encoding of a server: in none of them an ASCII byte is part of another character.
    pub(crate) fn of_bytes(bytes: &'t [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Goes on at another byte.
    pub(super) fn jump(&mut self, at: usize) {
        self.at = at;
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, test: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&test) {
            self.at += 1;
        }
    }

    /// After the opening quote: until the closing one, or the end of the text.
    fn skip_quoted(&mut self, quote: u8, backslash: bool) {
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == b'\\' && backslash {
                self.at += 1;
            } else if byte == quote {
                if self.peek(0) != Some(quote) {
                    break;
                }
                self.at += 1;
            }
        }
        self.at = self.at.min(self.bytes.len());
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return,
            }
        }
    }

    /// At `$`: a dollar-quoted literal, or nothing of that kind.
    fn skip_dollar(&mut self) -> bool {
        let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
        let tag = rest.iter().take_while(|b| goes_on(**b) && **b != b'$');
        let length = tag.count();
        if rest.first().is_some_and(u8::is_ascii_digit) || rest.get(length) != Some(&b'$') {
            return false;
        }
        let mark = self.bytes.get(self.at..self.at + length + 2);
        let mark = mark.unwrap_or_default();
        let body = self.at + mark.len();
        let after = self.bytes.get(body..).unwrap_or_default();
        self.at = match memchr::memmem::find(after, mark) {
            Some(end) => body + end + mark.len(),
            None => self.bytes.len(),
        };
        true
    }

    fn word(&mut self, first: u8) -> Kind {
        let quote = |at: usize| self.peek(at);
        let prefixed = match first {
            b'e' | b'E' if quote(1) == Some(b'\'') => Some((2, b'\'', true)),
            b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if quote(1) == Some(b'\'') => {
                Some((2, b'\'', false))
            }
            b'u' | b'U' if quote(1) == Some(b'&') => match quote(2) {
                Some(mark @ (b'\'' | b'"')) => Some((3, mark, false)),
                _ => None,
            },
            _ => None,
        };
        if let Some((length, mark, backslash)) = prefixed {
            self.at += length;
            self.skip_quoted(mark, backslash);
            return if mark == b'"' {
                Kind::Quoted
            } else {
                Kind::Text
            };
        }
        self.skip_while(goes_on);
        Kind::Word
    }
}

impl Iterator for Lexer<'_> {
    type Item = Lexeme;

    fn next(&mut self) -> Option<Lexeme> {
        let start = self.at;
        let first = self.peek(0)?;
        let kind = match first {
            b if is_space(b) => {
                self.skip_while(is_space);
                Kind::Space
            }
            b'-' if self.peek(1) == Some(b'-') => {
                self.skip_while(|b| b != b'\n' && b != b'\r');
                Kind::Comment
            }
            b'/' if self.peek(1) == Some(b'*') => {
                self.skip_block_comment();
                Kind::Comment
            }
            b'$' if self.skip_dollar() => Kind::Dollar,
            b'\'' => {
                self.at += 1;
                self.skip_quoted(b'\'', false);
                Kind::Text
            }
            b'"' => {
                self.at += 1;
                self.skip_quoted(b'"', false);
                Kind::Quoted
            }
            b if b.is_ascii_digit() => {
                self.skip_while(goes_on);
                Kind::Number
            }
            b if begins_word(b) => self.word(b),
            _ => {
                self.at += 1;
                match first {
                    b'(' | b'[' => Kind::Open,
                    b')' | b']' => Kind::Close,
                    b',' => Kind::Comma,
                    b';' => Kind::Semicolon,
                    b'\\' => Kind::Backslash,
                    _ => Kind::Mark,
                }
            }
        };
        Some(Lexeme {
            kind,
            range: start..self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let all: Vec<Lexeme> = Lexer::new(text).collect();
        let whole: String = all.iter().map(|l| l.text(text)).collect();
        assert_eq!(whole, text);
        let told = all.into_iter().map(|l| l.kind);
        told.filter(|k| *k != Kind::Space).collect()
    }

    #[rstest]
    #[case("/* a /* b */ ; */ x", &[Kind::Comment, Kind::Word])]
    #[case("'a''; b' ;", &[Kind::Text, Kind::Semicolon])]
    #[case(r"E'a\'; b' ;", &[Kind::Text, Kind::Semicolon])]
    #[case(r"'a\' ;", &[Kind::Text, Kind::Semicolon])]
    #[case("\"quoted;semicolon\"", &[Kind::Quoted])]
    #[case("$a$ ; $$ $a$ $1", &[Kind::Dollar, Kind::Mark, Kind::Number])]
    #[case("a$b$c", &[Kind::Word])]
    #[case("$open ;", &[Kind::Mark, Kind::Word, Kind::Semicolon])]
    #[case("$$open ;", &[Kind::Dollar])]
    #[case("U&\"a;\" U&'b;' x'1f'", &[Kind::Quoted, Kind::Text, Kind::Text])]
    #[case("-- a\n\\copy", &[Kind::Comment, Kind::Backslash, Kind::Word])]
    #[case("/* open", &[Kind::Comment])]
    #[case("E'\\", &[Kind::Text])]
    fn text_is_cut_as_postgresql_cuts_it(#[case] text: &str, #[case] want: &[Kind]) {
        assert_eq!(kinds(text), want, "{text}");
    }
}
