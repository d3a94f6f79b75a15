//! The content hash of a table (G21): what a restore is compared with.
//!
//! Each line of its COPY text is hashed with a key that belongs to the backup alone (BLAKE3), the
//! first 16 bytes are read as a little-endian number, and all are added up modulo 2^128. The sum
//! does not depend on the order of the rows, so any copy of the table gives the same, and the sums
//! of partitions add up to that of the whole. It proves against accident, not against somebody who
//! can write the bucket.

use std::collections::HashMap;
use std::pin::pin;

use futures::TryStreamExt;
use tokio_postgres::Client;

use super::error::PgError;
use super::names::{raw_ident, statement_bytes, text_of};
use crate::manifest::Name;

/// Bytes of a large object that are read at once.
const PIECE: i32 = 1024 * 1024;
/// Large objects whose numbers are read at once.
const BATCH: i64 = 1_000;

/// Key of the line hash: 32 random bytes, new for each backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineKey([u8; 32]);

impl LineKey {
    /// From random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As `contents.json` has it.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// From `contents.json`.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0_u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// What a pass over rows gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Content {
    /// Rows.
    pub rows: u64,
    /// Bytes of their lines, newlines not counted.
    pub bytes: u64,
    sum: u128,
}

impl Content {
    /// The sum as 32 hex digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{:032x}", self.sum)
    }

    /// Both together, as if they were one table.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows.saturating_add(other.rows),
            bytes: self.bytes.saturating_add(other.bytes),
            sum: self.sum.wrapping_add(other.sum),
        }
    }

    /// What is left of it without others that are part of it.
    #[must_use]
    pub fn without(self, part: Self) -> Self {
        Self {
            rows: self.rows.saturating_sub(part.rows),
            bytes: self.bytes.saturating_sub(part.bytes),
            sum: self.sum.wrapping_sub(part.sum),
        }
    }

    fn add(&mut self, hash: &blake3::Hash, bytes: u64) -> u128 {
        let mut low = [0_u8; 16];
        for (to, from) in low.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        self.rows = self.rows.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        let line = u128::from_le_bytes(low);
        self.sum = self.sum.wrapping_add(line);
        line
    }
}

/// Adds up lines as they stream by, however the stream is cut.
#[derive(Debug)]
pub struct LineSum {
    key: LineKey,
    total: Content,
    /// The lines' own hashes, where they are kept: at most so many.
    kept: Option<(Vec<u128>, usize)>,
    /// A line that has begun and not ended, and its length. It is never held: it may be 1 GiB long.
    open: Option<(Box<blake3::Hasher>, u64)>,
}

impl LineSum {
    /// Of no lines.
    #[must_use]
    pub fn new(key: LineKey) -> Self {
        Self {
            key,
            total: Content::default(),
            kept: None,
            open: None,
        }
    }

    /// Keeps the hashes of the lines too, unless there are more than so many.
    #[must_use]
    pub fn keeping(mut self, most: usize) -> Self {
        self.kept = Some((Vec::new(), most));
        self
    }

    fn add(&mut self, hash: &blake3::Hash, bytes: u64) {
        let line = self.total.add(hash, bytes);
        match &mut self.kept {
            Some((lines, most)) if lines.len() < *most => lines.push(line),
            Some(_) => self.kept = None,
            None => {}
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            let length = length(line);
            match self.open.take() {
                None => self.add(&blake3::keyed_hash(&self.key.0, line), length),
                Some((mut hasher, before)) => {
                    hasher.update(line);
                    self.add(&hasher.finalize(), before.saturating_add(length));
                }
            }
        }
        if !bytes.is_empty() {
            let (hasher, open) = self
                .open
                .get_or_insert_with(|| (Box::new(blake3::Hasher::new_keyed(&self.key.0)), 0));
            hasher.update(bytes);
            *open = open.saturating_add(length(bytes));
        }
    }

    /// The sum of all lines; `None` if the last has no end.
    #[must_use]
    pub fn finish(self) -> Option<Content> {
        self.lines().map(|(total, _)| total)
    }

    /// The sum, and the hashes of the lines where they were kept, ordered; `None` if the last has no end.
    #[must_use]
    pub fn lines(self) -> Option<(Content, Option<Vec<String>>)> {
        let kept = self.kept.map(|(mut lines, _)| {
            lines.sort_unstable();
            lines.iter().map(|line| format!("{line:032x}")).collect()
        });
        self.open.is_none().then_some((self.total, kept))
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A column as COPY reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Name,
    /// Quoted for a session in the server's own encoding.
    quoted: String,
    /// Computed from others when it is written or read: never in a dump.
    pub generated: bool,
}

/// The columns of every table by the table's oid, in the order in which they are hashed: their own,
/// and for a partition that of its root, so that the sums of partitions add up to the root's.
///
/// # Errors
/// Those of a query.
pub async fn columns(
    client: &Client,
    encoding: &str,
) -> Result<HashMap<u32, Vec<Column>>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the columns", &e);
    let sql = format!(
        "SELECT a.attrelid, pg_catalog.convert_to(a.attname::text, pg_catalog.getdatabaseencoding()), {}, \
               a.attgenerated <> '' \
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
        LEFT JOIN pg_catalog.pg_attribute r ON c.relispartition AND r.attrelid = pg_catalog.pg_partition_root(c.oid) \
             AND r.attname = a.attname AND NOT r.attisdropped \
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
          AND c.oid >= 16384 \
        ORDER BY a.attrelid, coalesce(r.attnum, a.attnum)",
        statement_bytes("a.attname")
    );
    let mut rows = pin!(
        client
            .query_raw(&sql, std::iter::empty::<i32>())
            .await
            .map_err(failed)?
    );
    let mut all: HashMap<u32, Vec<Column>> = HashMap::new();
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let bytes: Vec<u8> = row.try_get(1).map_err(failed)?;
        let text = text_of(&row.try_get::<_, Vec<u8>>(2).map_err(failed)?)?;
        let column = Column {
            name: Name::from_bytes(&bytes),
            quoted: raw_ident(&text, encoding),
            generated: row.try_get(3).map_err(failed)?,
        };
        let table: u32 = row.try_get(0).map_err(failed)?;
        all.entry(table).or_default().push(column);
    }
    Ok(all)
}

/// From here on, until the end of the transaction, rows come in this encoding. In the one that the
/// database had when it was backed up (G14) nothing was converted, so nothing could fail to be, and
/// what was hashed is what was stored.
///
/// # Errors
/// Those of a query.
pub async fn speak(client: &Client, encoding: &str) -> Result<(), PgError> {
    let sql = "SELECT pg_catalog.set_config('client_encoding', $1, true)";
    let set = client.query(sql, &[&encoding]).await;
    set.map(|_| ())
        .map_err(|e| PgError::query(&format!("read in the encoding {encoding}"), &e))
}

/// A table as it is read: its columns, and a filter that only extensions have.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// Schema and name, quoted for a session in the server's own encoding.
    pub table: &'a str,
    /// In this order.
    pub columns: &'a [Column],
    /// `WHERE …` of an extension, or empty.
    pub filter: &'a str,
    /// Keep the hashes of the lines, unless there are more than so many.
    pub keep: usize,
}

impl Rows<'_> {
    fn sql(&self) -> String {
        let stored: Vec<&str> = self
            .columns
            .iter()
            .filter(|c| !c.generated)
            .map(|c| c.quoted.as_str())
            .collect();
        let list = stored.join(", ");
        match (!self.filter.is_empty(), stored.is_empty()) {
            // A table without columns has rows all the same: empty lines.
            (false, true) => format!("COPY {} TO STDOUT", self.table),
            (false, false) => format!("COPY {} ({list}) TO STDOUT", self.table),
            (true, _) => format!(
                "COPY (SELECT {list} FROM ONLY {} {}) TO STDOUT",
                self.table, self.filter
            ),
        }
    }
}

/// Reads every row and adds it up.
///
/// # Errors
/// Those of a query; `ConnectionLost` if the stream ends within a line.
pub async fn hash(
    client: &Client,
    rows: &Rows<'_>,
    key: LineKey,
) -> Result<(Content, Option<Vec<String>>), PgError> {
    let table = rows.table;
    let failed =
        |e: tokio_postgres::Error| PgError::query(&format!("hash the rows of {table}"), &e);
    let mut stream = pin!(client.copy_out(&rows.sql()).await.map_err(failed)?);
    let mut sum = LineSum::new(key);
    if rows.keep > 0 {
        sum = sum.keeping(rows.keep);
    }
    while let Some(chunk) = stream.try_next().await.map_err(failed)? {
        sum.push(&chunk);
    }
    sum.lines().ok_or_else(|| {
        PgError::later(
            crate::api::Reason::ConnectionLost,
            format!("failed to hash the rows of {table}: the stream ended within a row"),
        )
    })
}

/// Hashes every large object: its number as four bytes, big end first, and then its bytes count as
/// one line. Read in pieces, for one may have 4 TiB.
///
/// # Errors
/// Those of a query.
pub async fn hash_large_objects(client: &Client, key: LineKey) -> Result<Content, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("hash the large objects", &e);
    let mut total = Content::default();
    let mut last: Option<u32> = None;
    loop {
        let sql = "SELECT oid FROM pg_catalog.pg_largeobject_metadata WHERE $1::oid IS NULL OR oid > $1 ORDER BY oid LIMIT $2";
        let batch = client.query(sql, &[&last, &BATCH]).await.map_err(failed)?;
        if batch.is_empty() {
            return Ok(total);
        }
        for row in &batch {
            let oid: u32 = row.try_get(0).map_err(failed)?;
            last = Some(oid);
            let mut hasher = blake3::Hasher::new_keyed(&key.0);
            hasher.update(&oid.to_be_bytes());
            let (mut offset, mut bytes) = (0_i64, 0_u64);
            loop {
                let sql = "SELECT pg_catalog.lo_get($1, $2, $3)";
                let row = client.query_one(sql, &[&oid, &offset, &PIECE]).await;
                let piece: Vec<u8> = row.and_then(|row| row.try_get(0)).map_err(failed)?;
                hasher.update(&piece);
                bytes = bytes.saturating_add(length(&piece));
                if length(&piece) < u64::from(PIECE.unsigned_abs()) {
                    break;
                }
                offset = offset.saturating_add(i64::from(PIECE));
            }
            total.add(&hasher.finalize(), bytes);
        }
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
