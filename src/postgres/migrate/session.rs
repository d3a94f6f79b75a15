//! The three sessions of a worker, and the settings that statements run under (M20).
//!
//! A segment leaves nothing in its session: after each of them settings, temporary tables, cursors, prepared statements and
//! channels are gone, as they are for a worker that takes over in between. Who needs a setting says so in each segment.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::Order;
use super::failure::Failure;
use super::history::{Identity, identity};
use crate::api::Reason;
use crate::postgres::connect::{Connection, connect};
use crate::postgres::error::PgError;
use crate::postgres::names::quote_literal;
use crate::postgres::target::Target;

/// Our own queries take no longer.
const OURS: Duration = Duration::from_secs(60);
/// Between two signs of life on the session that holds the lock.
const PING: Duration = Duration::from_secs(10);

/// Three connections of one worker. Dropping them closes them.
pub(super) struct Sessions {
    /// Where the statements run.
    pub(super) work: Connection,
    /// Holds the advisory lock, and does nothing else: never in a transaction, never in anybody's way.
    pub(super) lock: Connection,
    /// Looks, and cancels.
    pub(super) watch: Connection,
    pub(super) work_pid: i32,
    pub(super) lock_pid: i32,
    pub(super) watch_pid: i32,
    /// `server_version_num`.
    pub(super) version: i32,
    pub(super) identity: Identity,
    /// The server's deadlock_timeout.
    pub(super) deadlock: Duration,
    ping: JoinHandle<()>,
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.ping.abort();
    }
}

impl Sessions {
    pub(super) async fn open(target: &Target, order: &Order) -> Result<Self, Failure> {
        let name = order.worker.application_name();
        let (work, lock, watch) = tokio::try_join!(
            connect(target, &name),
            connect(target, &name),
            connect(target, &name)
        )?;
        let work_pid = begin(&work.client).await?;
        let lock_pid = begin(&lock.client).await?;
        let watch_pid = begin(&watch.client).await?;
        let (version, deadlock) = server(&work.client).await?;
        let identity = identity(&work.client).await?;
        let ping = tokio::spawn(ping(Arc::clone(&lock.client)));
        Ok(Self {
            work,
            lock,
            watch,
            work_pid,
            lock_pid,
            watch_pid,
            version,
            identity,
            deadlock,
            ping,
        })
    }

    /// Server processes of ours.
    pub(super) fn pids(&self) -> [i32; 3] {
        [self.work_pid, self.lock_pid, self.watch_pid]
    }
}

async fn ping(client: Arc<Client>) {
    loop {
        tokio::time::sleep(PING).await;
        if client.batch_execute("SELECT 1").await.is_err() {
            // Before each COMMIT the server is asked whether the lock is still held.
            return;
        }
    }
}

/// Settings of a session between segments: whatever the role's own are, ours are in force and the names are PostgreSQL's.
async fn begin(client: &Client) -> Result<i32, Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("set up a session", &e);
    client.batch_execute(&at_rest()).await.map_err(failed)?;
    // Each in versions that have it.
    let later = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.count(pg_catalog.set_config(name, '0', false)) \
        FROM pg_catalog.pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')";
    let row = client.query_one(later, &[]).await.map_err(failed)?;
    row.try_get(0).map_err(failed)
}

/// Forgets all that a segment has left in its session. DISCARD ALL also gives back advisory locks: those of a file's own, ours is
/// held elsewhere.
pub(super) async fn reset(client: &Client) -> Result<(), Failure> {
    let lost = |e: tokio_postgres::Error| {
        Failure::Unknown(PgError::query("set a session back after a segment", &e).into())
    };
    client.batch_execute("DISCARD ALL").await.map_err(lost)?;
    begin(client).await.map(|_| ())
}

/// As between segments.
fn at_rest() -> String {
    format!(
        "SET ROLE NONE; SET search_path = pg_catalog; SET lock_timeout = '10s'; SET statement_timeout = '{0}ms'; \
         SET idle_in_transaction_session_timeout = '{0}ms'; SET synchronous_commit = on; SET standard_conforming_strings = on; \
         SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed'",
        OURS.as_millis()
    )
}

async fn server(client: &Client) -> Result<(i32, Duration), Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("ask the server for its version", &e);
    let sql = "SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.pg_is_in_recovery(), \
        (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout')";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    let version: i32 = row.try_get(0).map_err(failed)?;
    if row.try_get(1).map_err(failed)? {
        return Err(Failure::hold(
            Reason::ServerReadOnly,
            "the server is a standby and takes no changes: the policy's database must name the primary",
        ));
    }
    let deadlock: i32 = row.try_get(2).map_err(failed)?;
    let deadlock = Duration::from_millis(u64::try_from(deadlock).unwrap_or(1_000));
    Ok((version, deadlock))
}

/// What statements of the user's run under.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    wanted: Vec<(&'static str, String)>,
}

impl Settings {
    /// `version` is `server_version_num`; a lock timeout of zero is none.
    pub(super) fn new(
        order: &Order,
        version: i32,
        lock_timeout: Duration,
        statement_timeout: Duration,
    ) -> Self {
        let ms = |d: Duration| format!("{}ms", d.as_millis());
        let acting = &order.acting;
        let mut wanted = vec![
            // By it the next worker finds what is left of us.
            ("application_name", order.worker.application_name()),
            ("lock_timeout", ms(lock_timeout)),
            ("statement_timeout", ms(statement_timeout)),
            ("idle_in_transaction_session_timeout", ms(OURS)),
            ("synchronous_commit", "on".to_owned()),
            ("standard_conforming_strings", "on".to_owned()),
            ("default_transaction_read_only", "off".to_owned()),
            ("search_path", acting.search_path.clone()),
            (
                "role",
                acting.role.clone().unwrap_or_else(|| "none".to_owned()),
            ),
        ];
        if version >= 140_000 {
            wanted.push(("idle_session_timeout", "0".to_owned()));
        }
        if version >= 170_000 {
            wanted.push(("transaction_timeout", "0".to_owned()));
        }
        Self { wanted }
    }

    /// Puts them in force, within the transaction or for the session. The role comes last: after it we may do less.
    pub(super) fn set(&self, local: bool) -> String {
        let scope = if local { "LOCAL" } else { "SESSION" };
        let each = self.wanted.iter().map(|(name, value)| match *name {
            // A list of names, quoted one by one by whoever wrote it.
            "search_path" => format!("SET {scope} search_path = {value}"),
            "role" if value == "none" => format!("SET {scope} ROLE NONE"),
            _ => format!("SET {scope} {name} = {}", quote_literal(value)),
        });
        each.collect::<Vec<_>>().join("; ")
    }

    /// Back to what our own statements run under.
    pub(super) const UNSET: &str = "SET LOCAL ROLE NONE; SET LOCAL search_path = pg_catalog";

    /// What is in force now, as the server spells it, and the transaction that it is in force in.
    pub(super) async fn read(&self, client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
        let names: Vec<String> = self
            .wanted
            .iter()
            .map(|(name, _)| format!("pg_catalog.current_setting('{name}')"))
            .collect();
        let sql = format!(
            "SELECT ARRAY[{}, pg_catalog.current_setting('transaction_read_only'), \
               coalesce(pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text, '')]",
            names.join(", ")
        );
        client.query_one(&sql, &[]).await?.try_get(0)
    }

    /// The first that is not what it was.
    pub(super) fn changed(&self, before: &[String], now: &[String]) -> Option<&'static str> {
        let names = self.wanted.iter().map(|(name, _)| *name);
        let mut names = names.chain(["transaction_read_only", "the transaction"]);
        let at = before.iter().zip(now).position(|(was, is)| was != is)?;
        names.nth(at)
    }
}
