//! A file of a migration: decoded, cut into statements and segments, hashed.

use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::ahead::{self, Instead};
use super::batch::{self, Batch, Marked, Parts};
use super::class::Class;
use super::fact::Fact;
use super::guard;
use super::hit::Hit;
use super::lint::Rule;
use super::locks::Lock;
use super::marks::{self, Part};
use super::name::{Name, Object};
use super::need::Asks;
use super::order;
use super::place::{Lines, Position};
use super::segment::{self, Segment};
use super::tree;

/// Largest sum of all files of a migration, in bytes (a ConfigMap holds one MiB).
pub const MOST_BYTES: usize = 900 * 1024;

/// A statement of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// From 0, in the file.
    pub index: usize,
    /// Bytes in the file, without the semicolon.
    pub span: Range<usize>,
    /// Where it begins.
    pub at: Position,
    /// What it is, in PostgreSQL's words: `CREATE INDEX`.
    pub verb: String,
    /// How it is run.
    pub class: Class,
    /// Exactly what is sent to the server.
    pub text: String,
    /// SHA-256 of `text`, hex.
    pub sha256: String,
    /// What it touches, as far as its text shows.
    pub objects: Vec<Object>,
    /// The table that it locks against everybody, readers too, as far as its text shows.
    pub exclusive: Option<Name>,
    /// Relations that it names, with the strongest lock on each, on any major. Only what runs in a transaction; the measured table tells of the rest.
    pub locks: Vec<Lock>,
    /// Its time grows with a table.
    pub slow: bool,
    /// It runs in batches, each a transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    #[serde(skip)]
    pub(super) perhaps: bool,
    #[serde(skip)]
    pub(super) temporary: bool,
    #[serde(skip)]
    pub(super) facts: Vec<Fact>,
    #[serde(skip)]
    pub(super) partitioned: bool,
    #[serde(skip)]
    pub(super) row_security: bool,
    #[serde(skip)]
    pub(super) asks: Asks,
}

impl Statement {
    /// Its first line, for people.
    #[must_use]
    pub fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

/// A statement as it comes from the tree.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) span: Range<usize>,
    pub(super) verb: String,
    pub(super) class: Class,
    pub(super) objects: Vec<Object>,
    pub(super) exclusive: Option<Name>,
    pub(super) locks: Vec<Lock>,
    pub(super) slow: bool,
    pub(super) perhaps: bool,
    pub(super) temporary: bool,
    pub(super) facts: Vec<Fact>,
    pub(super) partitioned: bool,
    pub(super) row_security: bool,
    pub(super) asks: Asks,
    pub(super) parts: Result<Parts, &'static str>,
    pub(super) text: String,
}

/// All that needed the tree.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) statements: Vec<Raw>,
    pub(super) hits: Vec<Hit>,
}

/// A file that was read, well or not: what is wrong with it are findings of [`lint`](super::lint::lint).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As it was given: a path, or a key of a ConfigMap.
    pub name: String,
    /// SHA-256 of all its bytes, hex.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: usize,
    /// It leads back: what it is for is to undo.
    pub down: bool,
    /// Its text, without a byte order mark. Empty if it is no text.
    pub text: String,
    /// Its statements. Not to be run while [`refused`](Self::refused).
    pub statements: Vec<Statement>,
    /// Its segments.
    pub segments: Vec<Segment>,
    pub(super) hits: Vec<Hit>,
    pub(super) lines: Lines,
}

impl File {
    /// Reads a file; of one that keeps the way up and the way down together, the way up. Never fails: what cannot be read has no
    /// statements, and says why when linted.
    #[must_use]
    pub fn read(name: &str, bytes: &[u8]) -> Self {
        Self::part(name, bytes, false).0
    }

    /// Reads a file: one, or the way up and the way down that marks of goose, dbmate, sql-migrate or tern part in it.
    #[must_use]
    pub fn parts(name: &str, bytes: &[u8]) -> Vec<Self> {
        let (up, both) = Self::part(name, bytes, false);
        let down = both.then(|| Self::part(name, bytes, true).0);
        // Without a statement there is no way back.
        let down =
            down.filter(|d| !d.statements.is_empty() || d.hits.iter().any(|h| h.span != (0..0)));
        std::iter::once(up).chain(down).collect()
    }

    /// One part of it, and whether there is another.
    fn part(name: &str, bytes: &[u8], lower: bool) -> (Self, bool) {
        let version = order::version(name);
        let down = lower || version.down;
        let (text, mut hits) = decode(bytes);
        let mut statements = Vec::new();
        let lines = Lines::of(&text);
        let mut part = Part::default();
        let mut both = false;
        if order::is_dump(name) {
            let why = "a dump of the whole schema, as Rails writes it, and no migration: lint the migrations";
            hits.push(Hit::new(Rule::Lb410, 0..0, why).refused());
        }
        if hits.iter().all(|h| !h.refused) {
            hits.extend(version.flyway.then(|| marks::placeholder(&text)).flatten());
            let cut = marks::cut(&text);
            both = cut.down.is_some();
            hits.extend(cut.hits);
            part = if lower {
                cut.down.unwrap_or_default()
            } else {
                cut.up
            };
            let guarded = guard::guard(&only(&text, &part.range));
            hits.extend(guarded.hits);
            if !guarded.too_deep {
                let (instead, ahead) = ahead::unknown_to_the_parser(&guarded.text);
                hits.extend(ahead);
                let facts = tree::read(&shown_instead(guarded.text, &instead), down);
                hits.extend(facts.hits);
                let (marked, refused) = batch::marks(&text, &part.range);
                hits.extend(refused);
                let (taken, refused) = take(facts.statements, &text, &lines, marked);
                statements = taken;
                hits.extend(refused);
                // It is not one transaction.
                let apart = |h: &Hit| {
                    let mut of = statements.iter().filter(|s| s.span == h.span);
                    h.rule == Rule::Lb126 && of.any(|s| s.batch.is_some())
                };
                hits.retain(|h| !apart(h));
            }
            if statements.is_empty() && hits.is_empty() {
                let why =
                    "no statement: a migration that does nothing is a mistake more often than not";
                hits.push(Hit::new(Rule::Lb410, 0..0, why).refused());
            }
        }
        hits.sort_by_key(|h| (h.span.start, h.rule));
        hits.dedup_by(|a, b| {
            a.rule == b.rule && a.span.start == b.span.start && a.object == b.object
        });
        let file = Self {
            name: name.to_owned(),
            sha256: sha256(bytes),
            bytes: bytes.len(),
            down,
            segments: segment::segments(&statements, part.each_alone),
            statements,
            hits,
            lines,
            text,
        };
        (file, both)
    }

    /// Something in it can never be run, whatever is acknowledged.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.hits.iter().any(|h| h.refused || h.rule == Rule::Lb410)
    }

    /// What makes it [`refused`](Self::refused), and where: the first of it.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let mut hits = self.hits.iter();
        let hit = hits.find(|h| h.refused || h.rule == Rule::Lb410)?;
        let at = self.lines.position(&self.text, hit.span.start);
        Some(format!(
            "line {}, column {}: {}",
            at.line, at.column, hit.message
        ))
    }

    /// A part of its text for people: where a secret stands are asterisks, one for each character. Of a file that cannot be read
    /// nobody knows where: if it speaks of one at all, the rest of each line from its first quote on is taken for one.
    #[must_use]
    pub fn shown(&self, part: Range<usize>) -> String {
        if self.refused() && speaks_of_secrets(&self.text) {
            let text = self.text.get(part).unwrap_or_default();
            return text.split_inclusive('\n').map(without_strings).collect();
        }
        let secrets = self.hits.iter().filter(|h| h.rule == Rule::Lb408);
        let secrets: Vec<&Range<usize>> = secrets.map(|h| &h.span).collect();
        let text = self.text.get(part.clone()).unwrap_or_default();
        let blanked = |(at, c): (usize, char)| {
            let at = part.start + at;
            match secrets.iter().any(|s| s.contains(&at)) && c != '\n' {
                true => '*',
                false => c,
            }
        };
        text.char_indices().map(blanked).collect()
    }

    /// The statement that holds the byte.
    pub(super) fn statement_at(&self, at: usize) -> Option<&Statement> {
        let after = self.statements.partition_point(|s| s.span.start <= at);
        let statement = self.statements.get(after.checked_sub(1)?)?;
        (at <= statement.span.end).then_some(statement)
    }
}

fn speaks_of_secrets(text: &str) -> bool {
    let lower = text.to_lowercase();
    let words = [
        "password",
        "secret",
        "token",
        "api_key",
        "passphrase",
        "://",
    ];
    words.iter().any(|word| lower.contains(word))
}

/// A line with asterisks from its first quote on: where a string ends nobody knows who cannot read the file.
fn without_strings(line: &str) -> String {
    let at = line.find(['\'', '$']).unwrap_or(line.len());
    let (before, rest) = line.split_at(at);
    let blanked = |c: char| if c.is_whitespace() { c } else { '*' };
    before.chars().chain(rest.chars().map(blanked)).collect()
}

fn take(
    raw: Vec<Raw>,
    text: &str,
    lines: &Lines,
    mut marked: Vec<Marked>,
) -> (Vec<Statement>, Vec<Hit>) {
    let numbered = raw.into_iter().enumerate();
    let mut hits = Vec::new();
    let statements = numbered
        .map(|(index, mut raw)| {
            let (batch, refused) = batch::of(&mut marked, text, &raw.span, &raw.parts);
            hits.extend(refused);
            if batch.is_some() {
                raw.asks.reads_what_it_writes();
            }
            // The parser saw blanks where a comment stood; the server is sent what was written.
            let text_of = text.get(raw.span.clone()).map_or(raw.text, str::to_owned);
            Statement {
                index,
                at: lines.position(text, raw.span.start),
                sha256: sha256(text_of.as_bytes()),
                text: text_of,
                span: raw.span,
                verb: raw.verb,
                class: raw.class,
                objects: raw.objects,
                exclusive: raw.exclusive,
                locks: raw.locks,
                slow: raw.slow,
                batch,
                perhaps: raw.perhaps,
                temporary: raw.temporary,
                facts: raw.facts,
                partitioned: raw.partitioned,
                row_security: raw.row_security,
                asks: raw.asks,
            }
        })
        .collect();
    hits.extend(batch::left(marked));
    (statements, hits)
}

/// The text with other words in some places, each filled up with blanks: every place stays what it was.
fn shown_instead(mut text: String, instead: &[Instead]) -> String {
    for (range, words) in instead {
        let gone = text.get(range.clone()).unwrap_or_default();
        let blanks = gone.bytes().skip(words.len());
        let blanks: String = blanks
            .map(|b| if b == b'\n' { '\n' } else { ' ' })
            .collect();
        let fits = words.len() + blanks.len() == gone.len();
        if fits && text.is_char_boundary(range.start) && text.is_char_boundary(range.end) {
            text.replace_range(range.clone(), &format!("{words}{blanks}"));
        }
    }
    text
}

/// The text with blanks for what is not in the range: every place stays what it was.
fn only(text: &str, range: &Range<usize>) -> String {
    let blank = |part: Range<usize>| -> String {
        let part = text.get(part).unwrap_or_default().bytes();
        part.map(|b| if b == b'\n' { '\n' } else { ' ' }).collect()
    };
    let kept = text.get(range.clone()).unwrap_or_default();
    [&blank(0..range.start), kept, &blank(range.end..text.len())].concat()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn decode(bytes: &[u8]) -> (String, Vec<Hit>) {
    let refuse = |why: &str| Hit::new(Rule::Lb410, 0..0, why).refused();
    if bytes.len() > MOST_BYTES {
        let why = format!(
            "{} KiB: all files of a migration together are at most {} KiB; load data otherwise",
            bytes.len().div_ceil(1024),
            MOST_BYTES / 1024
        );
        return (String::new(), vec![refuse(&why)]);
    }
    let (bytes, mut hits) = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
        Some(rest) => {
            let why = "a byte order mark at the beginning: save the file as UTF-8 without one";
            let mut hit = refuse(why);
            // The rest is looked at all the same.
            hit.refused = false;
            (rest, vec![hit])
        }
        None => (bytes, Vec::new()),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), hits),
        Err(error) => {
            let at = error.valid_up_to();
            let byte = bytes.get(at).copied().unwrap_or_default();
            let offset = at + if hits.is_empty() { 0 } else { 3 };
            let why = format!("not UTF-8: byte {offset} is 0x{byte:02x}");
            let text = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default());
            hits.push(Hit::new(Rule::Lb410, at..at, &why).refused());
            (text.into_owned(), hits)
        }
    }
}
