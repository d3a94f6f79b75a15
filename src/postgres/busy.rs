//! Busy tables: those that others locked, or wanted to lock, in earlier tries of a run (G9).
//!
//! Whoever truncates such a table waits until the last of our sessions has let go of it. So a session of its own holds and reads it,
//! under the coordinator's snapshot, and only until pg_dump has locked it too and its rows are read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::{Client, Row};

use super::connect::{Connection, connect};
use super::coordinator::rollback;
use super::error::PgError;
use super::servers::{self, Who};
use super::target::Target;
use crate::api::Reason;

/// How long a session more may take.
const PLACE: Duration = Duration::from_secs(10);

/// That session: made when the first busy table is known, and not at all where the server has no place for it beside pg_dump's.
#[derive(Debug)]
pub(super) struct Apart<'a> {
    target: &'a Target,
    application_name: &'a str,
    known: Option<&'a Who>,
    connection: Option<(Connection, i32)>,
    /// There was no place.
    refused: bool,
    /// It is in a transaction.
    begun: bool,
}

impl<'a> Apart<'a> {
    pub(super) fn new(
        target: &'a Target,
        application_name: &'a str,
        known: Option<&'a Who>,
    ) -> Self {
        Self {
            target,
            application_name,
            known,
            connection: None,
            refused: false,
            begun: false,
        }
    }

    /// Whether busy tables can be held apart.
    pub(super) async fn is_there(&mut self) -> bool {
        if self.connection.is_none() && !self.refused {
            let connected = tokio::time::timeout(PLACE, self.connected()).await;
            match connected {
                Ok(Ok(connection)) => self.connection = Some(connection),
                Ok(Err(error)) => self.refuse(&error.to_string()),
                Err(_) => self.refuse("there was no answer"),
            }
        }
        self.connection.is_some()
    }

    fn refuse(&mut self, why: &str) {
        tracing::info!("busy tables are not held apart: {why}");
        self.refused = true;
    }

    async fn connected(&self) -> Result<(Connection, i32), PgError> {
        let connection = connect(self.target, self.application_name).await?;
        // pg_dump's place.
        let place = connect(self.target, self.application_name).await?;
        servers::one(self.target, self.known, &[&connection, &place]).await?;
        let sql = "SELECT pg_catalog.pg_backend_pid()";
        let row = connection.client.query_one(sql, &[]).await;
        let pid = row.and_then(|row| row.try_get(0));
        let pid = pid.map_err(|e| PgError::query("ask for the server process", &e))?;
        Ok((connection, pid))
    }

    /// The session in which a transaction begins, and the process that serves it.
    pub(super) fn begin(&mut self) -> Option<(&Client, i32)> {
        let (connection, pid) = self.connection.as_ref()?;
        self.begun = true;
        Some((&connection.client, *pid))
    }

    /// Its transaction is over already.
    pub(super) fn has_ended(&mut self) {
        self.begun = false;
    }

    /// Ends the transaction, if there is one.
    pub(super) async fn let_go(&mut self) -> Result<(), PgError> {
        match (&self.connection, std::mem::take(&mut self.begun)) {
            (Some((connection, _)), true) => rollback(&connection.client).await,
            _ => Ok(()),
        }
    }

    /// What is held, in a transaction that has the snapshot now.
    pub(super) async fn under(
        &mut self,
        snapshot: &str,
        monitor: &Client,
    ) -> Result<Option<Busy>, PgError> {
        let failed =
            |e: tokio_postgres::Error| PgError::query("look at the locks of busy tables", &e);
        let Some((connection, pid)) = self.connection.take().filter(|_| self.begun) else {
            return Ok(None);
        };
        let set = format!("SET TRANSACTION SNAPSHOT '{snapshot}'");
        connection
            .client
            .batch_execute(&set)
            .await
            .map_err(failed)?;
        let sql = "SELECT relation FROM pg_catalog.pg_locks WHERE locktype = 'relation' AND pid = $1 AND granted \
            AND mode = 'AccessShareLock' AND relation >= 16384 \
            AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";
        let rows = monitor.query(sql, &[&pid]).await.map_err(failed)?;
        let oid = |row: &Row| row.try_get(0).map_err(failed);
        let tables: Result<BTreeSet<u32>, PgError> = rows.iter().map(oid).collect();
        Ok(Some(Busy {
            connection,
            pid,
            tables: tables?,
        }))
    }
}

/// Busy tables that are held apart, under the coordinator's snapshot.
#[derive(Debug)]
pub(crate) struct Busy {
    connection: Connection,
    /// Of the server process.
    pub(super) pid: i32,
    tables: BTreeSet<u32>,
}

impl Busy {
    /// Whether it holds this table, by oid.
    pub(super) fn holds(&self, table: u32) -> bool {
        self.tables.contains(&table)
    }

    /// Their oids.
    pub(super) fn tables(&self) -> Vec<u32> {
        self.tables.iter().copied().collect()
    }

    /// For whoever keeps it from falling asleep.
    pub(super) fn session(&self) -> Arc<Client> {
        Arc::clone(&self.connection.client)
    }

    /// As [`super::Coordinator::heard`].
    pub(super) fn heard(&self) -> Vec<String> {
        self.connection.heard()
    }

    /// For statements under the snapshot.
    pub(super) fn client(&self) -> &Client {
        &self.connection.client
    }

    /// Lets go of them.
    ///
    /// # Errors
    /// `LostLocks` where the session did not last until now: what was read of these tables counts for nothing. `QueryFailed` if the
    /// server warned of damage.
    pub(super) async fn release(&self) -> Result<(), PgError> {
        // A transaction that an error has ended would take COMMIT.
        let released = self.connection.client.batch_execute("SELECT; COMMIT").await;
        released.map_err(|e| {
            PgError::later(
                Reason::LostLocks,
                format!(
                    "the session that holds the locks of busy tables did not last until they were read ({e}): what was read counts for nothing"
                ),
            )
        })?;
        self.connection.quiet()
    }
}
