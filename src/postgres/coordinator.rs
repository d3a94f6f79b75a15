//! The coordinator: one connection, one transaction, that locks every table, then takes and exports
//! the snapshot, and proves to the end that it still holds both (G1, G2, G8, G10).

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::blocking;
use super::busy::{Apart, Busy};
use super::connect::{Connection, connect};
use super::contention::Contention;
use super::coordinator_server::Server;
use super::error::PgError;
pub use super::locks::LockPatience;
use super::locks::{self, Locked};
use super::servers::{self, Who};
use super::standby;
use super::step::{Observer, Step};
use super::target::Target;
use crate::api::Reason;
use crate::manifest::{Base, MAX_XIP, SnapshotIds};

/// How often the idle transaction is spoken to (G10): the server ends it after 180 s of silence.
const PING: Duration = Duration::from_secs(30);

/// Holds the locks and the snapshot. Dropping it releases both.
#[derive(Debug)]
pub struct Coordinator {
    connection: Connection,
    /// For looks from outside the transaction, while that is at work.
    monitor: Connection,
    /// Tables that others lock again and again.
    busy: Option<Busy>,
    pinger: JoinHandle<()>,
    identity: Identity,
    snapshot: String,
    data_at: jiff::Timestamp,
    base: Base,
    major: i32,
}

/// What proves that a transaction is still the same (G2).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    pid: i32,
    began: String,
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.pinger.abort();
    }
}

impl Coordinator {
    /// Locks every table, takes and exports the snapshot, and reads the list again under it (G1).
    /// The server is the one that was looked at before (`known`). The position is sampled before the first lock (G32).
    ///
    /// # Errors
    /// `LockTimeout` naming who blocks, `SchemaTooBusy`, `PermissionDenied`, `SeveralServers`, and those of connecting.
    pub async fn begin_on(
        known: Option<&Who>,
        target: &Target,
        application_name: &str,
        contention: &mut Contention,
        observer: &dyn Observer,
    ) -> Result<Self, PgError> {
        let patience = contention.patience();
        let connection = connect(target, application_name).await?;
        let monitor = connect(target, application_name).await?;
        servers::one(target, known, &[&connection, &monitor]).await?;
        let server = Server::read(&monitor.client).await?;
        let mut base = server.base(&monitor.client).await;
        let (mut changed, begin) = (String::new(), server.begin_sql());
        for _ in 0..patience.relists.max(1) {
            base.position = server.position(&monitor.client).await?;
            let mut apart = Apart::new(target, application_name, known);
            let locked =
                locks::lock_all(&connection, &monitor.client, &mut apart, &begin, contention);
            match locked.await? {
                Locked::All => {}
                Locked::Changed(what) => {
                    changed = what;
                    continue;
                }
            }
            observer.reached(Step::Locked).await;
            // Before the snapshot, so that no more is claimed than is in it.
            let replayed = match base.in_recovery {
                true => Some(standby::replayed(&monitor.client).await?),
                false => None,
            };
            let (identity, snapshot, now) = export(&connection.client, &mut base).await?;
            let data_at = replayed.map_or(now, |replayed| replayed.min(now));
            observer.reached(Step::Exported).await;
            let busy = apart.under(&snapshot, &monitor.client).await?;
            let unlocked = locks::unlocked(&connection.client, busy.as_ref()).await?;
            if let Some(what) = unlocked.first() {
                changed.clone_from(what);
                contention.met(what);
                rollback(&connection.client).await?;
                continue;
            }
            observer.reached(Step::Relisted).await;
            // Of the catalogue, too, nothing may be missing (G3).
            connection.quiet()?;
            let apart = busy.as_ref().map(Busy::session);
            let spoken_to = apart.into_iter().chain([Arc::clone(&connection.client)]);
            let pinger = tokio::spawn(ping(spoken_to.collect()));
            let major = server.major;
            return Ok(Self {
                connection,
                monitor,
                busy,
                pinger,
                identity,
                snapshot,
                data_at,
                base,
                major,
            });
        }
        Err(PgError::later(
            Reason::SchemaTooBusy,
            format!(
                "tables were created, dropped or swapped between lock and snapshot {} times, last {changed}: back up when no migration runs",
                patience.relists
            ),
        ))
    }

    /// Name of the exported snapshot, for `pg_dump --snapshot`.
    #[must_use]
    pub fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// The recovery point: when the snapshot was taken, by the server's clock; on a standby, what it had replayed by then (G5).
    #[must_use]
    pub fn data_at(&self) -> jiff::Timestamp {
        self.data_at
    }

    /// Base data for the manifest (G32).
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The server's major version.
    #[must_use]
    pub fn major(&self) -> i32 {
        self.major
    }

    /// What the server warned of so far and what is no damage: a login's small talk (collation versions, a password that expires
    /// soon), an extension's remarks. pg_dump, which logs in as the same role and reads the same, hears it too.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        let apart = self.busy.iter().flat_map(Busy::heard);
        self.connection.heard().into_iter().chain(apart).collect()
    }

    /// Pid of the server process that holds the locks.
    #[must_use]
    pub fn backend_pid(&self) -> i32 {
        self.identity.pid
    }

    /// Pids of all that hold locks and are not pg_dump.
    pub(crate) fn holders(&self) -> Vec<i32> {
        let apart = self.busy.iter().map(|busy| busy.pid);
        apart.chain([self.identity.pid]).collect()
    }

    /// For statements under the snapshot. Never end the transaction with it.
    pub(crate) fn client(&self) -> &Client {
        &self.connection.client
    }

    /// For looks from outside the transaction, which never wait for it.
    pub(crate) fn monitor(&self) -> &Client {
        &self.monitor.client
    }

    /// The statements for the roles of this database, under the snapshot (G15).
    ///
    /// # Errors
    /// Those of a query.
    pub async fn globals(&self) -> Result<super::globals::Globals, PgError> {
        super::globals::globals(self.client()).await
    }

    /// Proves that this is still the transaction that took the locks (G2): without it nothing that
    /// was read counts. Also fails if the server warned of damage meanwhile (G3).
    ///
    /// # Errors
    /// `LostLocks`, to be tried again later; `QueryFailed` for a warning.
    pub async fn prove(&self) -> Result<(), PgError> {
        let lost = |why: String| {
            PgError::later(
                Reason::LostLocks,
                format!(
                    "the transaction that holds the locks did not last to the end ({why}): what was read meanwhile counts for nothing"
                ),
            )
        };
        let asked = "SELECT pg_backend_pid(), now()::text";
        let rows = self.client().query(asked, &[]).await;
        let rows = rows.map_err(|e| self.connection.explained(&e, &lost))?;
        let now = rows
            .first()
            .map(identity_of)
            .transpose()
            .map_err(|e| lost(e.to_string()))?;
        if now.as_ref() != Some(&self.identity) {
            return Err(lost("another transaction answers".to_owned()));
        }
        self.quiet()
    }

    /// After a failure: fails if the coordinator was lost, which explains everything else. That a statement of its own failed,
    /// and with it its transaction, explains nothing.
    ///
    /// # Errors
    /// As [`Coordinator::prove`].
    pub async fn explain(&self) -> Result<(), PgError> {
        let asked = self.client().batch_execute("SELECT").await;
        let code = asked.err().and_then(|e| e.code().cloned());
        match code == Some(SqlState::IN_FAILED_SQL_TRANSACTION) {
            true => Ok(()),
            false => self.prove().await,
        }
    }

    /// Fails if the server warned since the last call of what may mean that data is missing (G3). What else it said is logged.
    ///
    /// # Errors
    /// `QueryFailed` with the warning.
    pub fn quiet(&self) -> Result<(), PgError> {
        self.connection.quiet()
    }

    /// Tables that others lock again and again, if there are any: read them there, and then [`Coordinator::release_busy`].
    pub(crate) fn busy(&self) -> Option<&Busy> {
        self.busy.as_ref()
    }

    /// Whether a table, by oid, is one of these.
    pub(crate) fn holds_apart(&self, table: u32) -> bool {
        let busy = self.busy.as_ref();
        busy.is_some_and(|busy| busy.holds(table))
    }

    /// Releases the locks of the busy tables. Not before pg_dump has its own, and their rows were read.
    ///
    /// # Errors
    /// `LostLocks` where they did not last until now: what was read of these tables counts for nothing.
    pub async fn release_busy(&self) -> Result<(), PgError> {
        match &self.busy {
            Some(busy) => busy.release().await,
            None => Ok(()),
        }
    }

    /// Ends every session of this run at once, pg_dump's too, so that nobody waits for us any longer.
    pub async fn let_go(self) {
        blocking::end_ours(&self.monitor.client).await;
    }

    /// Ends the transaction and releases every lock.
    ///
    /// # Errors
    /// Those of a query; the locks are gone even then.
    pub async fn finish(self) -> Result<(), PgError> {
        self.client()
            .batch_execute("COMMIT")
            .await
            .map_err(|e| PgError::query("end the transaction", &e))
    }
}

async fn ping(clients: Vec<Arc<Client>>) {
    loop {
        tokio::time::sleep(PING).await;
        for client in &clients {
            // A lost connection shows in `prove`; here there is nobody to tell.
            let _ = client.simple_query("SELECT 1").await;
        }
        if clients.iter().all(|client| client.is_closed()) {
            return;
        }
    }
}

pub(super) async fn rollback(client: &Client) -> Result<(), PgError> {
    client
        .batch_execute("ROLLBACK")
        .await
        .map_err(|e| PgError::query("release the locks", &e))
}

fn identity_of(row: &tokio_postgres::Row) -> Result<Identity, tokio_postgres::Error> {
    Ok(Identity {
        pid: row.try_get(0)?,
        began: row.try_get(1)?,
    })
}

/// Takes the snapshot: the first statement of the transaction that needs one.
async fn export(
    client: &Client,
    base: &mut Base,
) -> Result<(Identity, String, jiff::Timestamp), PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("export a snapshot", &e);
    let row = client
        .query_one(
            "SELECT pg_backend_pid(), now()::text, pg_export_snapshot(), clock_timestamp(), \
                    pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text, \
                    (SELECT array_agg(x::text) FROM (SELECT x FROM pg_snapshot_xip(s) AS x LIMIT 4097) AS few) \
             FROM pg_current_snapshot() AS s",
            &[],
        )
        .await
        .map_err(failed)?;
    let xip: Option<Vec<String>> = row.try_get(6).map_err(failed)?;
    let xip = xip.unwrap_or_default();
    base.not_a_base = xip.len() > MAX_XIP;
    base.snapshot = if base.not_a_base {
        None
    } else {
        Some(SnapshotIds {
            xmin: row.try_get(4).map_err(failed)?,
            xmax: row.try_get(5).map_err(failed)?,
            xip,
        })
    };
    let identity = identity_of(&row).map_err(failed)?;
    Ok((
        identity,
        row.try_get(2).map_err(failed)?,
        row.try_get(3).map_err(failed)?,
    ))
}
