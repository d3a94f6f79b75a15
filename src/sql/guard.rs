//! What is done to a text before the parser sees it, so that nothing in it can silence a rule or exhaust the stack.
//!
//! Lengths never change: a byte is replaced by a space, so that every place stays what it was.

use std::ops::Range;

use super::hit::Hit;
use super::lex::{Kind, Lexeme, Lexer};
use super::lint::Rule;

/// Most brackets within brackets. PostgreSQL itself gives up at some thousands.
const MOST_NESTED: usize = 300;
/// Most words and operators in one chain (`a + b + c …`): the tree gets as deep as the chain is long.
const MOST_CHAINED: usize = 2_000;
/// What the parser's crate reads as an order to be quiet.
const SILENCERS: [&str; 2] = ["squawk-ignore", "squawk-disable"];

/// A text that may be parsed, or a reason why not.
#[derive(Debug)]
pub(super) struct Guarded {
    /// As long as the original.
    pub(super) text: String,
    /// What was found on the way.
    pub(super) hits: Vec<Hit>,
    /// Some statement is too deep for any parser.
    pub(super) too_deep: bool,
}

/// Looks through a text once.
pub(super) fn guard(text: &str) -> Guarded {
    let mut blanks: Vec<Range<usize>> = Vec::new();
    let mut hits = Vec::new();
    let mut depth = Depth::default();
    let mut too_deep = None;
    let mut copy = CopyFromStdin::default();
    let mut endless = false;
    let mut routine = Routine::default();
    let mut lexer = Lexer::new(text);
    while let Some(lexeme) = lexer.next() {
        match lexeme.kind {
            Kind::Space => continue,
            Kind::Comment => {
                if SILENCERS.iter().any(|s| lexeme.text(text).contains(s)) {
                    hits.push(Hit::new(
                        Rule::Lb409,
                        lexeme.range.clone(),
                        "this comment would switch rules off; it is not honoured",
                    ));
                    blanks.push(lexeme.range);
                }
                continue;
            }
            Kind::Backslash => {
                let end = end_of_line(text, lexeme.range.start);
                let command = text.get(lexeme.range.start..end).unwrap_or_default();
                let command = command.split_whitespace().next().unwrap_or_default();
                let message =
                    format!("`{command}` is a command of psql; the server does not know it");
                hits.push(Hit::new(Rule::Lb127, lexeme.range.start..end, &message).refused());
                blanks.push(lexeme.range.start..end);
                lexer.jump(end);
                continue;
            }
            _ => {}
        }
        if text.get(lexeme.range.clone()) == Some("\0") {
            hits.push(
                Hit::new(
                    Rule::Lb410,
                    lexeme.range.clone(),
                    "a NUL byte: PostgreSQL takes none in a statement",
                )
                .refused(),
            );
        }
        let body = routine.body(text, &lexeme);
        if too_deep.is_none() && (depth.exceeds(text, &lexeme) || body.is_some_and(is_deep)) {
            too_deep = Some(lexeme.range.clone());
        }
        // Looked for once: where no line ends the data, none ends those of a later COPY either.
        if copy.ends_with(text, &lexeme) && !endless {
            match data_after(text, lexeme.range.end) {
                Some(data) => {
                    lexer.jump(data.end);
                    blanks.push(data);
                }
                None => endless = true,
            }
        }
    }
    if let Some(at) = &too_deep {
        let message = format!(
            "nested too deeply: at most {MOST_NESTED} brackets in each other and {MOST_CHAINED} words or operators in one expression"
        );
        hits.push(Hit::new(Rule::Lb410, at.clone(), &message).refused());
    }
    Guarded {
        text: blanked(text, &blanks),
        hits,
        too_deep: too_deep.is_some(),
    }
}

fn end_of_line(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |n| at + n)
}

/// Lines of data after `COPY … FROM stdin;`, with the line `\.` that ends them. Without such a line there is no telling.
fn data_after(text: &str, semicolon: usize) -> Option<Range<usize>> {
    let start = end_of_line(text, semicolon);
    let mut at = start + 1;
    loop {
        let end = end_of_line(text, at);
        let line = text.get(at..end)?;
        if line.trim_end() == "\\." {
            return Some(start..end);
        }
        if end >= text.len() {
            return None;
        }
        at = end + 1;
    }
}

fn blanked(text: &str, blanks: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for blank in blanks {
        out.push_str(text.get(at..blank.start).unwrap_or_default());
        let gone = text.get(blank.clone()).unwrap_or_default().bytes();
        // Ends of lines stay: a comment ends there, and lines are counted.
        out.extend(gone.map(|b| if b == b'\n' { '\n' } else { ' ' }));
        at = blank.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// How deep a tree of the statement could become: one level for every bracket, CASE and word of a chain.
#[derive(Debug, Default)]
struct Depth {
    /// For each open bracket: links of the chain around it, and set operations, which commas do not end.
    levels: Vec<(usize, usize)>,
    here: (usize, usize),
    /// Sum of all `levels`.
    above: usize,
    after_comma: bool,
}

impl Depth {
    fn exceeds(&mut self, text: &str, lexeme: &Lexeme) -> bool {
        let after_comma = std::mem::take(&mut self.after_comma);
        match lexeme.kind {
            Kind::Semicolon => {
                self.here = (0, 0);
                if self.levels.is_empty() {
                    self.above = 0;
                }
            }
            Kind::Comma => {
                self.here.0 = 0;
                self.after_comma = true;
            }
            Kind::Open => {
                // A row after a row is not a chain; `a[1][2]` is.
                self.here.0 += usize::from(!after_comma);
                self.above += self.here.0 + self.here.1;
                self.levels.push(self.here);
                self.here = (0, 0);
            }
            Kind::Close => {
                if let Some(outer) = self.levels.pop() {
                    self.above -= outer.0 + outer.1;
                    self.here = outer;
                }
            }
            Kind::Word if is_kept(lexeme.text(text)) => self.here.1 += 1,
            Kind::Word | Kind::Mark => self.here.0 += 1,
            _ => {}
        }
        self.levels.len() > MOST_NESTED || self.above + self.here.0 + self.here.1 > MOST_CHAINED
    }
}

/// Words that nest although a comma follows: `SELECT 1, 2 UNION SELECT 1, 2 UNION …`.
fn is_kept(word: &str) -> bool {
    const KEPT: [&str; 8] = [
        "union",
        "intersect",
        "except",
        "case",
        "join",
        "explain",
        "prepare",
        "not",
    ];
    word.len() <= 9 && KEPT.iter().any(|k| word.eq_ignore_ascii_case(k))
}

fn is_deep(body: &str) -> bool {
    let mut depth = Depth::default();
    let mut told = Lexer::new(body).filter(|l| !matches!(l.kind, Kind::Space | Kind::Comment));
    told.any(|lexeme| depth.exceeds(body, &lexeme))
}

/// The body of a routine in SQL, which the parser also reads: `AS $$ … $$`. Any literal of a statement that makes
/// a routine counts, unless the language was already said and is another one.
#[derive(Debug, Default)]
struct Routine {
    words: usize,
    inside: bool,
    after_language: bool,
    other_language: bool,
}

impl Routine {
    fn body<'t>(&mut self, text: &'t str, lexeme: &Lexeme) -> Option<&'t str> {
        match lexeme.kind {
            Kind::Semicolon => *self = Self::default(),
            Kind::Word | Kind::Quoted | Kind::Text if self.after_language => {
                self.after_language = false;
                let name = lexeme.text(text).trim_matches(['\'', '"']);
                self.other_language = !name.eq_ignore_ascii_case("sql");
            }
            Kind::Word => {
                self.words += 1;
                self.inside |= self.words <= 4
                    && (lexeme.is(text, "function") || lexeme.is(text, "procedure"));
                self.after_language = self.inside && lexeme.is(text, "language");
            }
            Kind::Text | Kind::Dollar if self.inside && !self.other_language => {
                let body = lexeme.text(text);
                // Between the quotes; `$tag$` would make one literal of it again.
                let open = if lexeme.kind == Kind::Dollar {
                    body.get(1..).and_then(|b| b.find('$')).map_or(0, |n| n + 2)
                } else {
                    body.find('\'').map_or(0, |n| n + 1)
                };
                return body.get(open..body.len().saturating_sub(open).max(open));
            }
            _ => {}
        }
        None
    }
}

/// Notices the semicolon that ends a `COPY … FROM stdin`.
#[derive(Debug, Default)]
struct CopyFromStdin {
    words: usize,
    copy: bool,
    from: bool,
    stdin: bool,
}

impl CopyFromStdin {
    fn ends_with(&mut self, text: &str, lexeme: &Lexeme) -> bool {
        if lexeme.kind == Kind::Semicolon {
            let ends = self.stdin;
            *self = Self::default();
            return ends;
        }
        if self.words == 0 {
            self.copy = lexeme.is(text, "copy");
        }
        self.stdin |= self.copy && self.from && lexeme.is(text, "stdin");
        self.from = lexeme.is(text, "from");
        self.words += 1;
        false
    }
}
