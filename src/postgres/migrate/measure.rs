//! What a rehearsal sees of a segment (M21): all its locks, from its own session, and which tables were written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Client;

use super::Order;
use super::failure::Failure;
use super::lock::Mode;

/// What a segment did on a scratch server. Locks, rewrites and definitions are what it will do elsewhere too; times and bytes
/// are lower bounds (M22).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Tables that were there before, with the strongest lock on each, by quoted name.
    pub locks: BTreeMap<String, Mode>,
    /// Materialized views likewise: no LOCK TABLE takes one.
    pub views: BTreeMap<String, Mode>,
    /// Those of them whose files are new: every row was written again.
    pub rewritten: BTreeSet<String>,
    /// Of a segment that makes an index: its definition.
    pub index: Option<String>,
    /// Rows that each statement returned or changed.
    pub rows: Vec<u64>,
    /// WAL that was written meanwhile, in bytes.
    pub wal: u64,
    /// From the first statement to the last.
    pub time: Duration,
}

/// Taken before the first statement.
pub(super) struct Before {
    files: BTreeMap<u32, File>,
    wal: i64,
    at: Instant,
}

const WAL: &str = "SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0')::bigint";

/// What keeps rows.
struct File {
    name: String,
    number: u32,
    view: bool,
}

async fn files(client: &Client) -> Result<BTreeMap<u32, File>, tokio_postgres::Error> {
    let sql = "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), coalesce(pg_catalog.pg_relation_filenode(c.oid), 0), \
          c.relkind = 'm' \
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'lifeboat') AND n.nspname !~ '^pg_t'";
    let mut files = BTreeMap::new();
    for row in client.query(sql, &[]).await? {
        let file = File {
            name: row.try_get(1)?,
            number: row.try_get(2)?,
            view: row.try_get(3)?,
        };
        files.insert(row.try_get(0)?, file);
    }
    Ok(files)
}

async fn wal(client: &Client) -> Result<i64, tokio_postgres::Error> {
    client.query_one(WAL, &[]).await?.try_get(0)
}

impl Before {
    /// Only in a rehearsal.
    pub(super) async fn of(order: &Order, client: &Client) -> Result<Option<Self>, Failure> {
        if !order.rehearsal {
            return Ok(None);
        }
        let failed = |e: tokio_postgres::Error| Failure::ours("measure a segment", &e);
        Ok(Some(Self {
            files: files(client).await.map_err(failed)?,
            wal: wal(client).await.map_err(failed)?,
            at: Instant::now(),
        }))
    }

    /// In the transaction of the segment, before its end: its locks go with it.
    pub(super) async fn measure(
        self,
        client: &Client,
        rows: Vec<u64>,
    ) -> Result<Measured, Failure> {
        let failed = |e: tokio_postgres::Error| Failure::ours("measure a segment", &e);
        let time = self.at.elapsed();
        let written = wal(client).await.map_err(failed)? - self.wal;
        let now = files(client).await.map_err(failed)?;
        let sql = "SELECT relation, mode FROM pg_catalog.pg_locks \
            WHERE locktype = 'relation' AND granted AND pid = pg_catalog.pg_backend_pid()";
        let (mut locks, mut views) = (BTreeMap::new(), BTreeMap::new());
        for row in client.query(sql, &[]).await.map_err(failed)? {
            let (oid, mode): (u32, String) = (
                row.try_get(0).map_err(failed)?,
                row.try_get(1).map_err(failed)?,
            );
            if let Some((file, mode)) = self.files.get(&oid).zip(Mode::parse(&mode)) {
                let of_kind = if file.view { &mut views } else { &mut locks };
                let strongest = of_kind.entry(file.name.clone()).or_insert(mode);
                *strongest = mode.max(*strongest);
            }
        }
        let rewritten = self.files.iter().filter_map(|(oid, before)| {
            let after = now.get(oid)?;
            (after.number != before.number).then(|| before.name.clone())
        });
        Ok(Measured {
            rewritten: rewritten.collect(),
            locks,
            views,
            index: None,
            rows,
            wal: u64::try_from(written).unwrap_or_default(),
            time,
        })
    }
}
