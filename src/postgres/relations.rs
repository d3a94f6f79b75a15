//! The relations of the census, before their rows are counted (G3).

use std::pin::pin;

use futures::{StreamExt, TryStreamExt, stream};
use tokio_postgres::{Client, Row};

use super::busy::Busy;
use super::coordinator::Coordinator;
use super::error::PgError;
use super::names::{NAME_BYTES, statement_bytes, text_of};
use crate::manifest::Name;

/// Why data is not in the dump, as `leftOut` says it.
pub(super) mod why {
    pub const EXTENSION: &str =
        "extension table outside its configuration list: pg_dump does not dump it";
    pub const FOREIGN: &str = "foreign table: its data lies on another server";
    pub const UNLOGGED: &str = "unlogged table: it cannot be read on a standby";
    pub const SYSTEM: &str = "table in information_schema: pg_dump does not dump it";
}

/// A relation while its rows are not counted yet.
pub(super) struct Found {
    pub(super) schema: Name,
    pub(super) name: Name,
    quoted: Vec<u8>,
    /// Schema and name as they can stand in a statement.
    pub(super) in_statement: (Vec<u8>, Vec<u8>),
    pub(super) oid: u32,
    pub(super) kind: char,
    pub(super) extension: Option<String>,
    /// The extension's own filter.
    pub(super) filter: String,
    pub(super) left_out: Option<&'static str>,
    /// An index or statistics of it may hold expressions: who plans a query on it evaluates them.
    expressions: bool,
}

/// A number of rows, and whether a query on them could be planned.
pub(super) type Counted = (Option<i64>, bool);

/// Tables that are counted before the first answer has come.
const ASKED: usize = 32;

/// Rows of each of which `of` holds and that the dump holds, or would hold; `None` where they cannot be read, and of what is no table.
/// Nobody waits for the way to the server and back, which with many small tables is most of the time in which their locks are held (G9).
pub(super) async fn count(
    client: &Client,
    found: &[Found],
    of: impl Fn(&Found) -> bool,
    counted: &mut [Counted],
) -> Result<(), PgError> {
    let places: Vec<(usize, &Found)> = found.iter().enumerate().filter(|(_, o)| of(o)).collect();
    let at_once = async |(at, one): &(usize, &Found)| {
        let Asked::AtOnce = one.asked() else {
            return Ok(None);
        };
        let rows = one.count_where(client, &one.filter).await?;
        Ok::<_, PgError>(Some((*at, rows)))
    };
    let rows = stream::iter(&places).map(at_once).buffered(ASKED);
    let mut rows = pin!(rows);
    while let Some(one) = rows.try_next().await? {
        let place = one.and_then(|(at, rows)| Some((counted.get_mut(at)?, rows)));
        if let Some((counted, rows)) = place {
            *counted = (Some(rows), true);
        }
    }
    for (at, one) in &places {
        if let (Asked::Alone, Some(counted)) = (one.asked(), counted.get_mut(*at)) {
            *counted = one.count_or_read(client).await?;
        }
    }
    Ok(())
}

/// How a relation is counted.
enum Asked {
    /// It has no rows, or they cannot be read.
    Not,
    /// Together with others.
    AtOnce,
    /// Behind a savepoint.
    Alone,
}

impl Found {
    fn asked(&self) -> Asked {
        // A function of an index that leans on search_path fails when a query is planned, and not when COPY reads: what can be
        // dumped is counted so too (G30).
        let fallible = self.expressions && self.filter.is_empty();
        match self.kind == 'r' && self.left_out != Some(why::UNLOGGED) {
            false => Asked::Not,
            true if fallible => Asked::Alone,
            true => Asked::AtOnce,
        }
    }

    /// All of its rows, whatever the extension's filter.
    pub(super) async fn count_all(&self, coordinator: &Coordinator) -> Result<i64, PgError> {
        let busy = coordinator.busy().filter(|busy| busy.holds(self.oid));
        let client = busy.map_or(coordinator.client(), Busy::client);
        self.count_where(client, "").await
    }

    async fn count_where(&self, client: &Client, filter: &str) -> Result<i64, PgError> {
        let quoted = text_of(&self.quoted)?;
        let counted = count_rows(client, &quoted, filter).await;
        counted.map_err(|e| count_failed(&quoted, &e))
    }

    async fn count_or_read(&self, client: &Client) -> Result<Counted, PgError> {
        let quoted = text_of(&self.quoted)?;
        let failed = |e: tokio_postgres::Error| count_failed(&quoted, &e);
        let savepoint = "SAVEPOINT lifeboat_count";
        client.batch_execute(savepoint).await.map_err(failed)?;
        let refused = |e: &tokio_postgres::Error| {
            let code = e.code().map(|code| code.code());
            code.is_some_and(|code| code.starts_with("42"))
        };
        match count_rows(client, &quoted, "").await {
            Err(e) if refused(&e) => {
                let back = "ROLLBACK TO lifeboat_count; RELEASE lifeboat_count";
                client.batch_execute(back).await.map_err(failed)?;
                let rows = lines(client, &quoted).await.map_err(failed)?;
                Ok((Some(rows), false))
            }
            Err(e) => Err(failed(e)),
            Ok(rows) => {
                let release = "RELEASE lifeboat_count";
                client.batch_execute(release).await.map_err(failed)?;
                Ok((Some(rows), true))
            }
        }
    }
}

/// In one message, so that the answers come in the order of the questions and the first error is the true one.
async fn count_rows(
    client: &Client,
    quoted: &str,
    filter: &str,
) -> Result<i64, tokio_postgres::Error> {
    let sql = format!("SELECT pg_catalog.count(*) FROM ONLY {quoted} {filter}");
    client.query_typed_one(&sql, &[]).await?.try_get(0)
}

fn count_failed(quoted: &str, error: &tokio_postgres::Error) -> PgError {
    PgError::query(&format!("count the rows of {quoted}"), error)
}

/// As many lines as COPY gives.
async fn lines(client: &Client, quoted: &str) -> Result<i64, tokio_postgres::Error> {
    let sql = format!("COPY {quoted} TO STDOUT");
    let mut stream = pin!(client.copy_out(&sql).await?);
    let mut lines = 0_usize;
    while let Some(chunk) = stream.try_next().await? {
        lines = lines.saturating_add(memchr::memchr_iter(b'\n', &chunk).count());
    }
    Ok(i64::try_from(lines).unwrap_or(i64::MAX))
}

pub(super) async fn relations(coordinator: &Coordinator) -> Result<Vec<Found>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the census of relations", &e);
    // Names come as bytes of the database's encoding, as they stand in the dump's own TOC (G6).
    let sql = format!(
        "SELECT pg_catalog.convert_to(n.nspname::text, pg_catalog.getdatabaseencoding()), \
                pg_catalog.convert_to(c.relname::text, pg_catalog.getdatabaseencoding()), \
                {NAME_BYTES}, c.relkind, c.relpersistence, e.extname::text, \
                pg_catalog.array_position(e.extconfig, c.oid), \
                e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)], n.nspname = 'information_schema', \
                {}, {}, c.oid, \
                EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)) \
                OR EXISTS (SELECT FROM pg_catalog.pg_statistic_ext x WHERE x.stxrelid = c.oid) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
              AND d.objsubid = 0 AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
         LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
         WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm', 'f') AND c.relpersistence <> 't' \
           AND n.nspname !~ '^pg_' AND NOT (n.nspname = 'information_schema' AND c.oid < 16384) \
         ORDER BY 1, 2",
        statement_bytes("n.nspname"),
        statement_bytes("c.relname")
    );
    let rows = coordinator
        .client()
        .query(&sql, &[])
        .await
        .map_err(failed)?;
    let standby = coordinator.base().in_recovery;
    rows.iter()
        .map(|row| found(row, standby).map_err(failed))
        .collect()
}

fn found(row: &Row, standby: bool) -> Result<Found, tokio_postgres::Error> {
    let bytes = |at: usize| row.try_get::<_, Vec<u8>>(at);
    let code = |at: usize| row.try_get::<_, i8>(at).map(letter);
    let kind = code(3)?;
    let unlogged = code(4)? == 'u';
    let extension: Option<String> = row.try_get(5)?;
    let configured = row.try_get::<_, Option<i32>>(6)?.is_some();
    let filter: Option<String> = row.try_get(7)?;
    let in_system_schema: bool = row.try_get(8)?;
    let left_out = match kind {
        'f' => Some(why::FOREIGN),
        'r' if unlogged && standby => Some(why::UNLOGGED),
        'r' if in_system_schema => Some(why::SYSTEM),
        'r' if extension.is_some() && !configured => Some(why::EXTENSION),
        _ => None,
    };
    Ok(Found {
        schema: Name::from_bytes(&bytes(0)?),
        name: Name::from_bytes(&bytes(1)?),
        quoted: bytes(2)?,
        in_statement: (bytes(9)?, bytes(10)?),
        oid: row.try_get(11)?,
        kind,
        extension,
        filter: if left_out.is_none() {
            filter.unwrap_or_default()
        } else {
            String::new()
        },
        left_out,
        expressions: row.try_get(12)?,
    })
}

/// A `"char"` of the catalogue.
pub(super) fn letter(code: i8) -> char {
    u8::try_from(code).map_or('?', char::from)
}
