//! The table of contents of a custom-format dump, parsed while it streams by (G3c).
//!
//! pg_dump into a pipe writes header and TOC first. Formats 1.14 (13 to 15), 1.15 (16) and
//! 1.16 (17, 18) differ in the compression field and in one integer per entry.

use super::definition;
use super::error::PgError;
pub use super::toc_entry::Entry;
use crate::api::Reason;
use crate::manifest::Name;

/// Most bytes of one entry that are held while it is incomplete.
const MAX_ENTRY: usize = 64 * 1024 * 1024;
/// The entry that says where a sequence stands.
pub(super) const SEQUENCE_SET: &str = "SEQUENCE SET";
/// Most entries that are kept.
const MAX_ENTRIES: usize = 2_000_000;

/// What a dump says it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toc {
    /// Format version: major and minor, for example (1, 16).
    pub format: (u8, u8),
    /// Version of the server, as pg_dump noted it.
    pub server_version: String,
    /// Version of pg_dump.
    pub dump_version: String,
    /// Name of the database, as bytes.
    pub database: Name,
    /// Every entry.
    pub entries: Vec<Entry>,
}

#[derive(Debug)]
enum State {
    Header,
    Entries { left: i64 },
    Done,
}

/// Takes the stream piece by piece and keeps only what is needed.
#[derive(Debug)]
pub struct TocParser {
    buffer: Vec<u8>,
    /// Nothing is tried again before so many bytes are there.
    wanted: usize,
    state: State,
    sizes: Sizes,
    toc: Toc,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sizes {
    int: usize,
    offset: usize,
    minor: u8,
}

/// Why a piece could not be read.
enum Stop {
    /// More bytes are needed.
    Short,
    /// This is no dump.
    Bad(&'static str),
}

impl Default for TocParser {
    fn default() -> Self {
        Self::new()
    }
}

impl TocParser {
    /// At the beginning of a dump.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            wanted: 0,
            state: State::Header,
            sizes: Sizes::default(),
            toc: Toc {
                format: (0, 0),
                server_version: String::new(),
                dump_version: String::new(),
                database: Name::Text(String::new()),
                entries: Vec::new(),
            },
        }
    }

    /// Takes the next piece. After the TOC it takes nothing more and costs nothing.
    ///
    /// # Errors
    /// `DumpIncomplete` if this is no dump of a known format.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), PgError> {
        if matches!(self.state, State::Done) {
            return Ok(());
        }
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() < self.wanted {
            return Ok(());
        }
        let mut used = 0;
        let result = loop {
            let mut reader = Reader {
                rest: self.buffer.get(used..).unwrap_or_default(),
                sizes: self.sizes,
            };
            let before = reader.rest.len();
            match self.state.step(&mut reader, &mut self.toc) {
                Ok(()) => {
                    self.sizes = reader.sizes;
                    used += before - reader.rest.len();
                    if matches!(self.state, State::Done) {
                        break Ok(());
                    }
                }
                Err(stop) => break Err(stop),
            }
        };
        self.buffer.drain(..used);
        match result {
            Ok(()) => {
                self.buffer = Vec::new();
                Ok(())
            }
            // Doubling: a large definition is not parsed again for every small piece.
            Err(Stop::Short) if self.buffer.len() <= MAX_ENTRY => {
                let grow =
                    matches!(self.state, State::Entries { .. }) && self.buffer.len() > 64 * 1024;
                self.wanted = if grow { self.buffer.len() * 2 } else { 0 };
                Ok(())
            }
            Err(Stop::Short) => Err(broken("an entry is larger than 64 MiB")),
            Err(Stop::Bad(why)) => Err(broken(why)),
        }
    }

    /// True once the whole TOC was seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The TOC.
    ///
    /// # Errors
    /// `DumpIncomplete` if the stream ended inside it.
    pub fn finish(mut self) -> Result<Toc, PgError> {
        self.wanted = 0;
        self.push(&[])?;
        match self.is_complete() {
            true => Ok(self.toc),
            false => Err(broken("it ends inside its table of contents")),
        }
    }
}

pub(super) fn broken(why: &str) -> PgError {
    PgError::later(
        Reason::DumpIncomplete,
        format!("failed to read the dump's table of contents: {why}"),
    )
}

impl State {
    fn step(&mut self, reader: &mut Reader<'_>, toc: &mut Toc) -> Result<(), Stop> {
        match self {
            State::Header => {
                let count = header(reader, toc)?;
                *self = match count {
                    1.. => State::Entries { left: count },
                    _ => State::Done,
                };
            }
            State::Entries { left } => {
                let read = entry(reader, &toc.database)?;
                if toc.entries.len() >= MAX_ENTRIES {
                    return Err(Stop::Bad("it has more than two million entries"));
                }
                toc.entries.push(read);
                *left -= 1;
                if *left == 0 {
                    *self = State::Done;
                }
            }
            State::Done => {}
        }
        Ok(())
    }
}

fn header(reader: &mut Reader<'_>, toc: &mut Toc) -> Result<i64, Stop> {
    if reader.take(5)? != b"PGDMP" {
        return Err(Stop::Bad("it does not begin with PGDMP"));
    }
    let (major, minor, _rev) = (reader.byte()?, reader.byte()?, reader.byte()?);
    if major != 1 || !(14..=16).contains(&minor) {
        return Err(Stop::Bad("its format is none of 1.14, 1.15 and 1.16"));
    }
    let (int, offset) = (reader.byte()?, reader.byte()?);
    if !(1..=8).contains(&int) || !(1..=8).contains(&offset) {
        return Err(Stop::Bad("its integers have an impossible size"));
    }
    reader.sizes = Sizes {
        int: int.into(),
        offset: offset.into(),
        minor,
    };
    if reader.byte()? != 1 {
        return Err(Stop::Bad("it is not in the custom format"));
    }
    match minor {
        15.. => i64::from(reader.byte()?),
        _ => reader.int()?,
    };
    for _ in 0..7 {
        reader.int()?;
    }
    toc.format = (major, minor);
    toc.database = reader.name()?;
    toc.server_version = reader.text()?;
    toc.dump_version = reader.text()?;
    let count = reader.int()?;
    if count < 0 {
        return Err(Stop::Bad("its number of entries is negative"));
    }
    Ok(count)
}

fn entry(reader: &mut Reader<'_>, database: &Name) -> Result<Entry, Stop> {
    let dump_id = reader.int()?;
    let has_data = reader.int()? != 0;
    reader.string()?; // table oid
    reader.string()?; // oid
    let mut tag = reader.name()?;
    let desc = reader.text()?;
    reader.int()?; // section
    let definition = reader.string()?.unwrap_or_default();
    reader.string()?; // drop statement
    let copy = reader.string()?.unwrap_or_default();
    let namespace = reader.name()?;
    let tablespace = reader.string()?.unwrap_or_default();
    let access_method = reader.string()?.unwrap_or_default(); // since 1.14
    if reader.sizes.minor >= 16 {
        reader.int()?; // relation kind
    }
    let owner = reader.name()?;
    reader.string()?; // "with oids", always false
    let mut dependencies = Vec::new(); // up to a null
    while let Some(id) = reader.string()? {
        let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
        dependencies.push(id.ok_or(Stop::Bad("a dependency is no number"))?);
    }
    reader.take(1 + reader.sizes.offset)?; // offset, not known in a pipe
    let loaded_through = copied_into(copy).filter(|into| (&into.0, &into.1) != (&namespace, &tag));
    if definition::of_database(&desc, &tag) {
        tag = definition::without_name(&tag, database);
    }
    Ok(Entry {
        dump_id,
        has_data,
        loaded_through,
        marks: super::load_statements::marked(&desc, definition),
        namespace,
        owner,
        definition: Name::from_bytes(definition),
        access_method: named(access_method),
        tablespace: named(tablespace),
        dependencies,
        tag,
        desc,
    })
}

fn named(name: &[u8]) -> Option<String> {
    (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
}

/// `COPY e."odd ""name" (a, b) FROM stdin;` → e and odd "name
fn copied_into(statement: &[u8]) -> Option<(Name, Name)> {
    let rest = statement.strip_prefix(b"COPY ")?;
    let (schema, rest) = identifier(rest)?;
    let (name, _) = identifier(rest.strip_prefix(b".")?)?;
    Some((Name::from_bytes(&schema), Name::from_bytes(&name)))
}

fn identifier(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|b| b". (\n;".contains(b))?;
        let (name, rest) = text.split_at_checked(end)?;
        return Some((name.to_vec(), rest));
    };
    let (mut name, mut rest) = (Vec::new(), quoted);
    loop {
        let end = rest.iter().position(|b| *b == b'"')?;
        let (head, tail) = rest.split_at_checked(end)?;
        name.extend_from_slice(head);
        rest = tail.get(1..)?;
        match rest.strip_prefix(b"\"") {
            Some(more) => {
                name.push(b'"');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    sizes: Sizes,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Stop::Short)?;
        self.rest = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        self.take(1)?.first().copied().ok_or(Stop::Short)
    }

    /// A sign, then the least significant byte first.
    fn int(&mut self) -> Result<i64, Stop> {
        let negative = self.byte()? != 0;
        let value = self
            .take(self.sizes.int)?
            .iter()
            .rev()
            .try_fold(0i64, |value, byte| {
                value.checked_mul(256)?.checked_add(i64::from(*byte))
            })
            .ok_or(Stop::Bad("an integer is too large"))?;
        Ok(if negative { -value } else { value })
    }

    fn string(&mut self) -> Result<Option<&'a [u8]>, Stop> {
        let length = self.int()?;
        if length < 0 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| Stop::Bad("a string is too long"))?;
        if length > MAX_ENTRY {
            return Err(Stop::Bad("a string is longer than 64 MiB"));
        }
        self.take(length).map(Some)
    }

    fn name(&mut self) -> Result<Name, Stop> {
        Ok(Name::from_bytes(self.string()?.unwrap_or_default()))
    }

    fn text(&mut self) -> Result<String, Stop> {
        Ok(String::from_utf8_lossy(self.string()?.unwrap_or_default()).into_owned())
    }
}

#[cfg(test)]
#[path = "toc_tests.rs"]
mod tests;
