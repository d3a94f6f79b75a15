//! Behind a pooler or a proxy pg_dump's session outlives a pod that vanished: their own connection to the server goes on, and
//! pg_dump switches off the server's patience with idle transactions. So the server itself watches: a session waits until the
//! coordinator's transaction is gone, whose patience is ours (G10), and then ends what else of this run is in a transaction.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use super::connect::{Connection, connect};
use super::coordinator::Coordinator;
use super::error::PgError;
use super::target::Target;

/// Between two looks for pg_dump.
const LOOK: Duration = Duration::from_millis(500);
/// Loops around what watches, each of which catches what cancels the one within.
const NESTED: usize = 4;
/// Whether a session of this run beside the coordinator is in a transaction that holds locks: pg_dump.
const THERE: &str = "\
    SELECT FROM pg_catalog.pg_stat_activity a WHERE a.application_name = pg_catalog.current_setting('application_name') \
      AND a.datname = pg_catalog.current_database() AND a.pid <> ALL ($1) AND a.pid <> pg_catalog.pg_backend_pid() AND EXISTS \
      (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND l.mode = 'AccessShareLock' AND l.relation >= 16384) LIMIT 1";

/// Stands by until it is dropped. Before a socket there is nothing to do: the kernel tells who is gone.
pub async fn stand_by(
    coordinator: &Coordinator,
    target: &Target,
    application_name: &str,
) -> Infallible {
    if target.is_socket() {
        return pending().await;
    }
    // Not before pg_dump is there: of a pool of three places the third is its.
    while !is_there(coordinator).await {
        tokio::time::sleep(LOOK).await;
    }
    match arm(coordinator, target, application_name).await {
        // The session ends with us; what it has begun does not.
        Ok(_session) => pending().await,
        Err(error) => {
            tracing::info!("pg_dump's session is not watched by the server: {error}");
            pending().await
        }
    }
}

async fn is_there(coordinator: &Coordinator) -> bool {
    let holders = coordinator.holders();
    let rows = coordinator.monitor().query(THERE, &[&holders]).await;
    rows.is_ok_and(|rows| !rows.is_empty())
}

/// Sends the server to watch; it answers when the coordinator is gone.
async fn arm(
    coordinator: &Coordinator,
    target: &Target,
    name: &str,
) -> Result<Connection, PgError> {
    let session = connect(target, name).await?;
    let mut settings =
        "BEGIN READ ONLY; SET LOCAL search_path = ''; SET LOCAL statement_timeout = 0; \
        SET LOCAL idle_in_transaction_session_timeout = '180s'"
            .to_owned();
    if coordinator.major() >= 14 {
        settings.push_str("; SET LOCAL client_connection_check_interval = 0");
    }
    if coordinator.major() >= 17 {
        settings.push_str("; SET LOCAL transaction_timeout = 0");
    }
    let failed = |e: tokio_postgres::Error| PgError::query("watch from the server", &e);
    session
        .client
        .batch_execute(&settings)
        .await
        .map_err(failed)?;
    session
        .client
        .batch_execute(&watch(coordinator.backend_pid()))
        .await
        .map_err(failed)?;
    Ok(session)
}

/// A transaction is known by its process and its beginning. A pooler that cancels what a client has left behind, and be it twice and at
/// whatever moment, ends nothing. What began later than the coordinator was last seen is not of this run.
fn watch(coordinator: i32) -> String {
    let mut body = format!(
        "PERFORM pg_catalog.pg_stat_clear_snapshot(); \
         IF EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = {coordinator} AND xact_start = began) THEN \
           seen := pg_catalog.clock_timestamp(); \
           PERFORM pg_catalog.pg_sleep(2); \
         ELSE \
           PERFORM pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a \
             WHERE a.application_name = pg_catalog.current_setting('application_name') AND a.usename = session_user \
               AND a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() AND a.xact_start < seen; \
           ended := true; \
         END IF;"
    );
    // Between two turns of a loop nothing catches: there the next one outside does.
    for _ in 0..NESTED {
        body = format!(
            "WHILE NOT ended LOOP BEGIN {body} EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP;"
        );
    }
    format!(
        "DO $watch$ DECLARE began timestamptz; seen timestamptz; ended boolean := false; BEGIN \
         SELECT xact_start INTO began FROM pg_catalog.pg_stat_activity WHERE pid = {coordinator}; \
         seen := pg_catalog.clock_timestamp(); {body} END $watch$"
    )
}
