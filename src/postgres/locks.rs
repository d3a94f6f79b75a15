//! Locking every table without ever being in anybody's way for longer than half the server's
//! deadlock_timeout (G8), and seeing whether a table escaped (G1).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::blocking::{self, Waiter};
use super::busy::{Apart, Busy};
use super::connect::Connection;
use super::contention::Contention;
use super::coordinator::rollback;
use super::error::PgError;
use super::names::{NAME_BYTES, TABLES_WHERE, text_of};
use crate::api::Reason;

/// How long locks are tried for before the run gives up.
#[derive(Debug, Clone, Copy)]
pub struct LockPatience {
    /// Tries to lock every table, and how often the run lets go of its locks for somebody; between them no lock is held.
    pub tries: u32,
    /// Pause after the first try; it doubles up to ten seconds.
    pub first_pause: Duration,
    /// How often the list may change between lock and snapshot.
    pub relists: u32,
    /// Nobody waits longer for a lock of the run; `None`: the last try goes on to its end, whoever waits.
    pub max_blocking: Option<Duration>,
}

impl Default for LockPatience {
    fn default() -> Self {
        Self {
            tries: 12,
            first_pause: Duration::from_millis(250),
            relists: 12,
            max_blocking: None,
        }
    }
}

/// Tables in one LOCK statement.
const BATCH: usize = 100;
/// Longest pause between tries.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Between two looks at who waits for us while we wait.
const LOOK: Duration = Duration::from_millis(50);
/// Tables whose turn is awaited before a new try.
const AWAITED: usize = 3;

/// How locking ended.
pub(super) enum Locked {
    /// Every listed table is locked; the transaction is open and has no snapshot.
    All,
    /// A table was dropped or became something else; nothing is locked.
    Changed(String),
}

/// Why one try to lock came to nothing.
enum Refused {
    /// Somebody waits for what we have locked already.
    Wanted(Waiter),
    /// The server's answer.
    Said(tokio_postgres::Error),
}

/// Lists the tables outside the transaction, begins it, and locks them: those that are busy apart and first, when their turn has
/// come; of the others those that are used most last. On a timeout, and as soon as anybody waits for us, everything is released before the next try: we are the victim, never the customer's migration (G8).
pub(super) async fn lock_all(
    connection: &Connection,
    monitor: &Client,
    apart: &mut Apart<'_>,
    begin: &str,
    contention: &mut Contention,
) -> Result<Locked, PgError> {
    let client = &connection.client;
    let pid: i32 = client
        .query_one("SELECT pg_catalog.pg_backend_pid()", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|e| PgError::query("ask for the server process", &e))?;
    let mut watch = Watch {
        monitor,
        pid,
        holder: None,
        table: None,
    };
    loop {
        await_turn(monitor, contention).await?;
        let (mut tables, together) = list(monitor).await?;
        // In the order of the list where nothing is known.
        tables.sort_by_key(|table| contention.times(table));
        let mut known = contention.busy();
        if !known.is_empty() && !apart.is_there().await {
            known.clear();
        }
        let (busy, tables): (Vec<String>, Vec<String>) = tables
            .into_iter()
            .partition(|table| known.contains(table) && !together.contains(table));
        let mut refused = None;
        // Now is the moment for these.
        if !busy.is_empty()
            && let Some((apart, pid)) = apart.begin()
        {
            watch.pid = pid;
            refused = lock_those(apart, begin, &busy, &mut watch).await?;
        }
        if refused.is_some() {
            // A second ROLLBACK would be answered with a warning, and that be taken for damage later.
            apart.has_ended();
        }
        if refused.is_none() {
            watch.pid = pid;
            refused = lock_those(client, begin, &tables, &mut watch).await?;
        }
        let Some(refused) = refused else {
            return Ok(Locked::All);
        };
        apart.let_go().await?;
        let error = match refused {
            Refused::Wanted(waiter) if contention.let_go(&waiter) => continue,
            Refused::Wanted(_) => return Err(contention.error()),
            Refused::Said(error) => error,
        };
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
        if let Some(table) = watch.table.take() {
            contention.met(&table);
        }
        let Some(pause) = contention.again() else {
            return Err(PgError::later(
                Reason::LockTimeout,
                format!(
                    "could not lock every table in {} tries; {}",
                    contention.patience().tries,
                    watch
                        .holder
                        .unwrap_or_else(|| "who held it was not seen".to_owned())
                ),
            ));
        };
        tokio::time::sleep(pause.min(MAX_PAUSE)).await;
    }
}

/// Begins the transaction and locks these. Where one is refused, it is over.
async fn lock_those(
    client: &Client,
    begin: &str,
    tables: &[String],
    watch: &mut Watch<'_>,
) -> Result<Option<Refused>, PgError> {
    client
        .batch_execute(begin)
        .await
        .map_err(|e| PgError::query("begin a transaction", &e))?;
    for batch in tables.chunks(BATCH) {
        if let Err(why) = watch.lock(client, batch).await {
            rollback(client).await?;
            return Ok(Some(why));
        }
    }
    Ok(None)
}

/// Waits in the queues of the tables that others locked before, one by one and holding nothing: who waited for us is let through,
/// and the moment after somebody's lock is the farthest from the next.
async fn await_turn(monitor: &Client, contention: &Contention) -> Result<(), PgError> {
    for (table, _) in contention.busiest(AWAITED) {
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = '2s'; LOCK TABLE ONLY {table} IN ACCESS SHARE MODE"
        );
        // It may have been dropped, or is held for longer: then the try itself says so.
        let _ = monitor.batch_execute(&sql).await;
        rollback(monitor).await?;
    }
    Ok(())
}

/// Every table that must be locked, quoted, those that are used most last; and which of them are not held apart: an
/// extension's, and those of a tree, which are truncated as one.
async fn list(monitor: &Client) -> Result<(Vec<String>, BTreeSet<String>), PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("list the tables", &e);
    let sql = format!(
        "SELECT {NAME_BYTES}, EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
           AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e') \
           OR c.relkind = 'p' OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) {TABLES_WHERE} \
         ORDER BY pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid) \
           + pg_catalog.pg_stat_get_tuples_deleted(c.oid) + pg_catalog.pg_stat_get_numscans(c.oid), c.oid"
    );
    let rows = monitor.query(&sql, &[]).await.map_err(failed)?;
    let (mut tables, mut together) = (Vec::with_capacity(rows.len()), BTreeSet::new());
    for row in &rows {
        let name = text_of(&row.try_get::<_, Vec<u8>>(0).map_err(failed)?)?;
        if row.try_get(1).map_err(failed)? {
            together.insert(name.clone());
        }
        tables.push(name);
    }
    Ok((tables, together))
}

/// Tables under the snapshot that neither this transaction nor that of busy tables has locked, by OID, at most five.
pub(super) async fn unlocked(client: &Client, busy: Option<&Busy>) -> Result<Vec<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the list of tables again", &e);
    let sql = format!(
        "WITH held AS MATERIALIZED (SELECT relation FROM pg_catalog.pg_locks \
           WHERE locktype = 'relation' AND pid = pg_catalog.pg_backend_pid() AND granted AND mode = 'AccessShareLock' \
             AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) \
         SELECT {NAME_BYTES} {TABLES_WHERE} AND c.oid NOT IN (SELECT relation FROM held) AND c.oid <> ALL ($1) ORDER BY c.oid LIMIT 5"
    );
    let busy = busy.map(Busy::tables).unwrap_or_default();
    let rows = client.query(&sql, &[&busy]).await.map_err(failed)?;
    rows.iter()
        .map(|row| {
            let bytes: Vec<u8> = row.try_get(0).map_err(failed)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect()
}

/// Looks from another connection who waits for us and for whom, while we wait.
struct Watch<'a> {
    monitor: &'a Client,
    pid: i32,
    /// Who held the table that was waited for last.
    holder: Option<String>,
    /// That table.
    table: Option<String>,
}

impl Watch<'_> {
    async fn lock(&mut self, client: &Client, batch: &[String]) -> Result<(), Refused> {
        // ONLY: partitions stand in the list themselves.
        let names: Vec<String> = batch.iter().map(|name| format!("ONLY {name}")).collect();
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "));
        let lock = client.batch_execute(&sql);
        tokio::pin!(lock);
        loop {
            tokio::select! {
                biased;
                done = &mut lock => return done.map_err(Refused::Said),
                () = tokio::time::sleep(LOOK) => {}
            }
            let waits = blocking::waiters(self.monitor, &[self.pid]).await;
            let wanted = waits
                .ok()
                .and_then(|all| all.into_iter().find(|w| w.only_us));
            if let Some(waiter) = wanted {
                let cancel = "SELECT pg_catalog.pg_cancel_backend($1)";
                // Else its lock_timeout ends it.
                let _ = self.monitor.query(cancel, &[&self.pid]).await;
                let _ = lock.await;
                return Err(Refused::Wanted(waiter));
            }
            if let Some(table) = self.wanted().await {
                self.table = Some(table);
                let holder = blocking::holder(self.monitor, self.pid).await;
                self.holder = holder.or(self.holder.take());
            }
        }
    }

    /// The table that we wait for.
    async fn wanted(&self) -> Option<String> {
        let sql = format!(
            "SELECT {NAME_BYTES} FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = l.relation \
               JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE l.locktype = 'relation' AND l.pid = $1 AND NOT l.granted LIMIT 1"
        );
        let row = self.monitor.query_opt(&sql, &[&self.pid]).await.ok()??;
        let name: Vec<u8> = row.try_get(0).ok()?;
        String::from_utf8(name).ok()
    }
}
