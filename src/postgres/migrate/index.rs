//! Indexes that are made and dropped CONCURRENTLY: what became of them, and how one that is not valid goes away (M3, M4).

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Point;
use super::failure::{Failure, is_lost};
use super::session::{Settings, reset};
use super::watchdog::Watchdog;
use crate::api::Reason;
use crate::plan::Alone;
use crate::postgres::names::quote_ident;
use crate::postgres::sqlstate::named;
use crate::sql::Name;

/// Between two tries for the lock that nobody waits behind.
const LOOK: Duration = Duration::from_millis(200);
/// Why it was given up.
const TOLD: &str = "told to stop";

/// An index, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) oid: u32,
    pub(super) valid: bool,
    /// `pg_get_indexdef`, with nothing but pg_catalog in the search_path.
    pub(super) definition: String,
    /// Quoted, with its schema.
    name: String,
    /// Of its table, quoted, with its schema.
    table: String,
    /// Its table.
    pub(super) of: u32,
}

/// Looks up a relation as a statement of the plan would: with its role and search_path.
async fn resolve(
    client: &Client,
    settings: &Settings,
    name: &Name,
) -> Result<Option<u32>, tokio_postgres::Error> {
    let set = settings.set(true);
    client.batch_execute(&format!("BEGIN; {set}")).await?;
    let sql = "SELECT pg_catalog.to_regclass($1)::oid";
    let row = client.query_one(sql, &[&name.to_string()]).await;
    client.batch_execute("ROLLBACK").await?;
    row?.try_get(0)
}

/// Fixed parts of the questions below.
const OF_INDEX: &str = "\
SELECT i.oid, x.indisvalid, pg_catalog.pg_get_indexdef(i.oid), pg_catalog.format('%I.%I', n.nspname, i.relname), \
   pg_catalog.format('%I.%I', tn.nspname, t.relname), t.oid \
  FROM pg_catalog.pg_index AS x \
  JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = i.relnamespace \
  JOIN pg_catalog.pg_class AS t ON t.oid = x.indrelid JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace";

fn index(row: &tokio_postgres::Row) -> Result<Index, tokio_postgres::Error> {
    Ok(Index {
        oid: row.try_get(0)?,
        valid: row.try_get(1)?,
        definition: row.try_get(2)?,
        name: row.try_get(3)?,
        table: row.try_get(4)?,
        of: row.try_get(5)?,
    })
}

/// A table that a statement names, and its partitions.
pub(super) async fn tables(
    client: &Client,
    settings: &Settings,
    name: &Name,
) -> Result<Vec<u32>, Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("look for a table", &e);
    let Some(table) = resolve(client, settings, name).await.map_err(failed)? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT $1::oid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) AS t";
    let rows = client.query(sql, &[&table]).await.map_err(failed)?;
    rows.iter().map(|r| r.try_get(0).map_err(failed)).collect()
}

/// The index that the statement makes, or another of its name; or the one that it drops.
pub(super) async fn find(
    client: &Client,
    settings: &Settings,
    alone: &Alone,
) -> Result<Option<Index>, Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("look for an index", &e);
    let Some(name) = &alone.index else {
        return Ok(None);
    };
    let row = match &alone.table {
        // A new index stands in the schema of its table, which the statement need not name.
        Some(table) => {
            let Some(table) = resolve(client, settings, table).await.map_err(failed)? else {
                return Ok(None);
            };
            let sql = format!(
                "{OF_INDEX} WHERE i.relname::text = $2 \
                   AND i.relnamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = $1)"
            );
            client.query_opt(&sql, &[&table, &name.name]).await
        }
        None => {
            let Some(oid) = resolve(client, settings, name).await.map_err(failed)? else {
                return Ok(None);
            };
            client
                .query_opt(&format!("{OF_INDEX} WHERE i.oid = $1"), &[&oid])
                .await
        }
    };
    row.map_err(failed)?
        .as_ref()
        .map(index)
        .transpose()
        .map_err(failed)
}

/// An index by its number.
pub(super) async fn by_oid(client: &Client, oid: u32) -> Result<Option<Index>, Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("look for an index", &e);
    let sql = format!("{OF_INDEX} WHERE i.oid = $1");
    let row = client.query_opt(&sql, &[&oid]).await.map_err(failed)?;
    row.as_ref().map(index).transpose().map_err(failed)
}

/// Renamed indexes of the statement's table that an earlier worker did not come to drop.
pub(super) async fn dead(
    client: &Client,
    settings: &Settings,
    alone: &Alone,
) -> Result<Vec<Index>, Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("look for a dead index", &e);
    let Some(table) = &alone.table else {
        return Ok(Vec::new());
    };
    let Some(table) = resolve(client, settings, table).await.map_err(failed)? else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "{OF_INDEX} WHERE x.indrelid = $1 AND NOT x.indisvalid AND i.relname::text = 'lifeboat_dead_' || i.oid"
    );
    let rows = client.query(&sql, &[&table]).await.map_err(failed)?;
    rows.iter().map(|row| index(row).map_err(failed)).collect()
}

/// How an index is removed.
pub(super) struct Removal<'a> {
    pub(super) dog: &'a Watchdog<'a>,
    pub(super) settings: &'a Settings,
    pub(super) patience: Duration,
}

impl Removal<'_> {
    fn client(&self) -> &Client {
        &self.dog.sessions.work.client
    }

    /// Takes away an index that is not valid: it slows every write, and a unique one refuses rows in the name of a constraint
    /// that nobody has. False if it turned out to be valid. Who is told to stop takes no longer than `farewell` for it (M24).
    pub(super) async fn remove(&self, index: &Index) -> Result<bool, Failure> {
        let until = Instant::now() + self.patience;
        let mut told = pin!(async {
            self.dog.stop.cancelled().await;
            sleep(self.dog.limits.farewell).await;
        });
        let dead = loop {
            match self.rename(index).await {
                Ok(Some(dead)) => break dead,
                Ok(None) => return Ok(false),
                Err(e) if is_lost(&e) => return Err(Failure::ours("rename a dead index", &e)),
                Err(e) => {
                    let _ = self.client().batch_execute("ROLLBACK").await;
                    let busy = e.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
                    if !busy || Instant::now() >= until {
                        return Err(left(&index.name, &sqlstate(&e)));
                    }
                    tokio::select! {
                        () = sleep(LOOK) => {}
                        () = &mut told => return Err(left(&index.name, TOLD)),
                    }
                }
            }
        };
        self.dog.observer.at(Point::Renamed).await;
        let mut drops = pin!(self.drop_dead(&dead));
        let dropped = tokio::select! {
            biased;
            dropped = &mut drops => dropped,
            () = &mut told => match self.dog.end(drops).await {
                Some(Ok(())) => Ok(()),
                _ => return Err(left(&dead, TOLD)),
            },
        };
        dropped.map_err(|e| {
            if is_lost(&e) {
                Failure::ours("drop a dead index", &e)
            } else {
                left(&dead, &sqlstate(&e))
            }
        })?;
        reset(self.client()).await?;
        Ok(true)
    }

    /// In one transaction: nobody builds it any more, it is not valid, and it has a name that nobody else gives.
    async fn rename(&self, index: &Index) -> Result<Option<String>, tokio_postgres::Error> {
        let set = self.settings.set(true);
        let Index { oid, table, .. } = index;
        let begin = format!(
            "BEGIN; {set}; LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT; SET LOCAL search_path = pg_catalog"
        );
        let client = self.client();
        client.batch_execute(&begin).await?;
        let sql = "SELECT n.nspname::text, i.relname::text, x.indisvalid FROM pg_catalog.pg_index AS x \
            JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = i.relnamespace \
            WHERE i.oid = $1";
        let row = client.query_opt(sql, &[oid]).await?;
        let named: Option<(String, String)> = match row {
            Some(row) if !row.try_get::<_, bool>(2)? => Some((row.try_get(0)?, row.try_get(1)?)),
            _ => None,
        };
        let Some((schema, name)) = named else {
            client.batch_execute("ROLLBACK").await?;
            return Ok(None);
        };
        let dead = format!("lifeboat_dead_{oid}");
        let whole = format!("{}.{dead}", quote_ident(&schema));
        if name != dead {
            let (schema, name) = (quote_ident(&schema), quote_ident(&name));
            let rename = format!("ALTER INDEX {schema}.{name} RENAME TO {dead}");
            client.batch_execute(&rename).await?;
        }
        client.batch_execute("COMMIT").await?;
        Ok(Some(whole))
    }

    async fn drop_dead(&self, dead: &str) -> Result<(), tokio_postgres::Error> {
        let client = self.client();
        client.batch_execute(&self.settings.set(false)).await?;
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {dead}");
        super::statement::run(client, &drop).await.map(|_| ())
    }
}

fn left(name: &str, what: &str) -> Failure {
    Failure::hold(
        Reason::InvalidIndexLeft,
        format!(
            "{name} is not valid and could not be removed ({what}): it slows down every write, and if it is unique it \
             refuses rows; DROP INDEX CONCURRENTLY {name}"
        ),
    )
}

fn sqlstate(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(
        || "no answer".to_owned(),
        |c| format!("SQLSTATE {}", named(c.code())),
    )
}
