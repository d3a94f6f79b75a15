//! The content hash of a table (G21): what a restore is compared with.

use std::collections::HashMap;
use std::pin::pin;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio_postgres::{Client, CopyOutStream, Statement};

use super::error::PgError;
pub use super::line_sum::{Content, LineKey, LineSum};
use super::line_sum::{FirstColumns, length};
use super::names::{raw_ident, statement_bytes, text_of};
use super::relations::letter;
use crate::manifest::Name;

/// Bytes of a large object that are read at once.
const PIECE: i32 = 1024 * 1024;
/// Large objects whose numbers are read at once.
const BATCH: i64 = 1_000;

/// A column as COPY reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: Name,
    /// Quoted for a session in the server's own encoding.
    quoted: String,
    /// Whether it is computed from others.
    pub generated: Generation,
}

/// How a column comes by its values. Those of generated ones are in no dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// As they were written.
    None,
    /// Computed when a row is written, and stored: a restore computes them anew.
    Stored,
    /// Computed when a row is read.
    Virtual,
}

/// The names of those whose values a dump holds.
#[must_use]
pub fn dumped(columns: &[Column]) -> Vec<Name> {
    let written = columns.iter().filter(|c| c.generated == Generation::None);
    written.map(|c| c.name.clone()).collect()
}

/// The names of those whose values are computed and stored.
#[must_use]
pub fn generated(columns: &[Column]) -> Vec<Name> {
    let stored = columns.iter().filter(|c| c.generated == Generation::Stored);
    stored.map(|c| c.name.clone()).collect()
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
               a.attgenerated \
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
            generated: match letter(row.try_get(3).map_err(failed)?) {
                's' => Generation::Stored,
                'v' => Generation::Virtual,
                _ => Generation::None,
            },
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
pub struct Rows {
    /// Schema and name, quoted for a session in the server's own encoding.
    pub table: String,
    /// In this order.
    pub columns: Vec<Column>,
    /// `WHERE …` of an extension, or empty.
    pub filter: String,
    /// Keep the hashes of the lines, unless there are more than so many.
    pub keep: usize,
    /// Read stored generated columns too, after the others.
    pub generated: bool,
}

impl Rows {
    fn quoted(&self, generation: Generation) -> Vec<&str> {
        let columns = self.columns.iter();
        let some = columns.filter(|c| c.generated == generation);
        some.map(|c| c.quoted.as_str()).collect()
    }

    fn sql(&self) -> String {
        let mut read = self.quoted(Generation::None);
        if self.generated {
            read.extend(self.quoted(Generation::Stored));
        }
        let list = read.join(", ");
        match (!self.filter.is_empty() || self.generated, read.is_empty()) {
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

/// What a table's rows gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Of the columns whose values a dump holds.
    pub content: Content,
    /// The hashes of the lines where they were kept, ordered.
    pub lines: Option<Vec<String>>,
    /// Of lines that hold the stored generated columns too, after the others, where they were read.
    pub whole: Option<Content>,
}

/// Statements that are prepared before the first is used.
const PREPARED: usize = 32;
/// Tables that the server is asked for at once: it sends the next as soon as one is read.
const ASKED: usize = 2;

/// Asks for the rows of one table after the other, in their order. Nobody waits for the way to the server and back, which with many
/// small tables is most of the time in which their locks are held (G9). Each stream is read to its end before the next is taken.
pub fn streams(
    client: &Client,
    tables: Vec<Rows>,
) -> impl Stream<Item = Result<(Rows, CopyOutStream), PgError>> + '_ {
    stream::iter(tables)
        .map(move |rows| async move {
            let statement = client.prepare(&rows.sql()).await;
            (rows, statement)
        })
        .buffered(PREPARED)
        .map(move |(rows, statement)| async move {
            match copy_out(client, statement).await {
                Ok(stream) => Ok((rows, stream)),
                Err(error) => Err(failed(&rows.table, &error)),
            }
        })
        .buffered(ASKED)
}

async fn copy_out(
    client: &Client,
    statement: Result<Statement, tokio_postgres::Error>,
) -> Result<CopyOutStream, tokio_postgres::Error> {
    client.copy_out(&statement?).await
}

fn failed(table: &str, error: &tokio_postgres::Error) -> PgError {
    PgError::query(&format!("hash the rows of {table}"), error)
}

/// Reads every row and adds it up.
///
/// # Errors
/// Those of a query; `ConnectionLost` if the stream ends within a line.
pub async fn hash(stream: CopyOutStream, rows: &Rows, key: LineKey) -> Result<Read, PgError> {
    let table = &rows.table;
    let mut stream = pin!(stream);
    let mut sum = LineSum::new(key);
    if rows.keep > 0 {
        sum = sum.keeping(rows.keep);
    }
    let mut whole = rows.generated.then(|| LineSum::new(key));
    let mut first = FirstColumns::new(rows.quoted(Generation::None).len());
    while let Some(chunk) = stream.try_next().await.map_err(|e| failed(table, &e))? {
        match &mut whole {
            Some(whole) => {
                whole.push(&chunk);
                first.push(&chunk, &mut sum);
            }
            None => sum.push(&chunk),
        }
    }
    let ended = || {
        PgError::later(
            crate::api::Reason::ConnectionLost,
            format!("failed to hash the rows of {table}: the stream ended within a row"),
        )
    };
    let (content, lines) = sum.lines().ok_or_else(ended)?;
    let whole = whole.map(|whole| whole.finish().ok_or_else(ended));
    Ok(Read {
        content,
        lines,
        whole: whole.transpose()?,
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
    let sql = "SELECT oid FROM pg_catalog.pg_largeobject_metadata WHERE $1::oid IS NULL OR oid > $1 ORDER BY oid LIMIT $2";
    let numbers = client.prepare(sql).await.map_err(failed)?;
    let sql = "SELECT pg_catalog.lo_get($1, $2, $3)";
    let of = client.prepare(sql).await.map_err(failed)?;
    loop {
        let batch = client.query(&numbers, &[&last, &BATCH]).await;
        let batch = batch.map_err(failed)?;
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
                let row = client.query_one(&of, &[&oid, &offset, &PIECE]).await;
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
