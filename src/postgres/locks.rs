//! Locking every table without ever being in anybody's way for longer than half the server's
//! deadlock_timeout (G8), and seeing whether a table escaped (G1).

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::connect::Connection;
use super::coordinator::rollback;
use super::error::PgError;
use super::names::{NAME_BYTES, TABLES_WHERE, text_of};
use crate::api::Reason;

/// How long locks are tried for before the run gives up.
#[derive(Debug, Clone, Copy)]
pub struct LockPatience {
    /// Tries to lock every table; between them no lock is held.
    pub tries: u32,
    /// Pause after the first try; it doubles up to ten seconds.
    pub first_pause: Duration,
    /// How often the list may change between lock and snapshot.
    pub relists: u32,
}

impl Default for LockPatience {
    fn default() -> Self {
        Self {
            tries: 12,
            first_pause: Duration::from_millis(250),
            relists: 5,
        }
    }
}

/// Tables in one LOCK statement.
const BATCH: usize = 100;
/// Longest pause between tries.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How locking ended.
pub(super) enum Locked {
    /// Every listed table is locked; the transaction is open and has no snapshot.
    All,
    /// A table was dropped or became something else; nothing is locked.
    Changed(String),
}

/// Lists the tables outside the transaction, begins it, and locks them. On a timeout everything is
/// released before the next try: we are the victim, never the customer's migration (G8).
pub(super) async fn lock_all(
    connection: &Connection,
    monitor: &Client,
    begin: &str,
    patience: LockPatience,
) -> Result<Locked, PgError> {
    let client = &connection.client;
    let pid: i32 = client
        .query_one("SELECT pg_catalog.pg_backend_pid()", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|e| PgError::query("ask for the server process", &e))?;
    let mut pause = patience.first_pause;
    let mut blocker = None;
    for attempt in 0..patience.tries.max(1) {
        if attempt > 0 {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        let tables = list(monitor).await?;
        client
            .batch_execute(begin)
            .await
            .map_err(|e| PgError::query("begin a transaction", &e))?;
        let mut failed = None;
        for batch in tables.chunks(BATCH) {
            let watch = Watch { monitor, pid };
            if let Err((error, seen)) = watch.lock(client, batch).await {
                blocker = seen.or(blocker);
                failed = Some(error);
                break;
            }
        }
        let Some(error) = failed else {
            return Ok(Locked::All);
        };
        rollback(client).await?;
        match error.code() {
            Some(&(SqlState::LOCK_NOT_AVAILABLE | SqlState::T_R_DEADLOCK_DETECTED)) => {}
            Some(
                &(SqlState::UNDEFINED_TABLE
                | SqlState::INVALID_SCHEMA_NAME
                | SqlState::WRONG_OBJECT_TYPE),
            ) => {
                let what = error.as_db_error().map(|e| e.message().to_owned());
                return Ok(Locked::Changed(what.unwrap_or_default()));
            }
            _ => return Err(PgError::query("lock the tables", &error)),
        }
    }
    Err(PgError::later(
        Reason::LockTimeout,
        format!(
            "could not lock every table in {} tries; {}",
            patience.tries,
            blocker.unwrap_or_else(|| "who held it was not seen".to_owned())
        ),
    ))
}

/// Every table that must be locked, quoted.
async fn list(monitor: &Client) -> Result<Vec<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("list the tables", &e);
    let sql = format!("SELECT {NAME_BYTES} {TABLES_WHERE} ORDER BY c.oid");
    let rows = monitor.query(&sql, &[]).await.map_err(failed)?;
    rows.iter()
        .map(|row| {
            row.try_get::<_, Vec<u8>>(0)
                .map_err(failed)
                .and_then(|bytes| text_of(&bytes))
        })
        .collect()
}

/// Tables under the snapshot that this transaction has not locked, by OID, at most five.
pub(super) async fn unlocked(client: &Client) -> Result<Vec<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the list of tables again", &e);
    let sql = format!(
        "WITH held AS MATERIALIZED (SELECT relation FROM pg_catalog.pg_locks \
           WHERE locktype = 'relation' AND pid = pg_catalog.pg_backend_pid() AND granted AND mode = 'AccessShareLock' \
             AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) \
         SELECT {NAME_BYTES} {TABLES_WHERE} AND c.oid NOT IN (SELECT relation FROM held) ORDER BY c.oid LIMIT 5"
    );
    let rows = client.query(&sql, &[]).await.map_err(failed)?;
    rows.iter()
        .map(|row| {
            let bytes: Vec<u8> = row.try_get(0).map_err(failed)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect()
}

/// Looks from another connection who blocks us, while we wait.
struct Watch<'a> {
    monitor: &'a Client,
    pid: i32,
}

impl Watch<'_> {
    async fn lock(
        &self,
        client: &Client,
        batch: &[String],
    ) -> Result<(), (tokio_postgres::Error, Option<String>)> {
        // ONLY: partitions stand in the list themselves.
        let names: Vec<String> = batch.iter().map(|name| format!("ONLY {name}")).collect();
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
        let lock = client.batch_execute(&sql);
        tokio::pin!(lock);
        let mut seen = None;
        loop {
            tokio::select! {
                biased;
                done = &mut lock => return done.map_err(|error| (error, seen)),
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    seen = self.blocker().await.or(seen);
                }
            }
        }
    }

    async fn blocker(&self) -> Option<String> {
        let row = self
            .monitor
            .query_opt(
                "SELECT a.pid, a.application_name, pg_catalog.left(a.query, 120), \
                        extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start)::int \
                 FROM pg_catalog.pg_stat_activity a WHERE a.pid = ANY (pg_catalog.pg_blocking_pids($1)) LIMIT 1",
                &[&self.pid],
            )
            .await
            .ok()??;
        let pid: i32 = row.try_get(0).ok()?;
        let name: Option<String> = row.try_get(1).ok()?;
        let query: Option<String> = row.try_get(2).ok()?;
        let age: Option<i32> = row.try_get(3).ok()?;
        Some(format!(
            "the session with pid {pid} ({}) holds or waits for a stronger lock: {} (since {} s)",
            name.filter(|n| !n.is_empty())
                .unwrap_or_else(|| "no application_name".to_owned()),
            query.unwrap_or_default(),
            age.unwrap_or_default()
        ))
    }
}
