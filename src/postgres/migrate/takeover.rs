//! One worker at a time (M1): earlier sessions end, then the advisory lock is ours.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, Error};

use super::failure::{Failure, Stop};
use super::session::Sessions;
use super::{Order, Worker};
use crate::api::Reason;
use crate::plan::Row;
use crate::postgres::who;

/// Ours alone: no tool takes it, so that nobody waits for it while we hold it ("lifeboat").
const KEY: i64 = i64::from_be_bytes(*b"lifeboat");
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Makes sure that no earlier session of this run lives, that no other run is at work, and that none of its sessions is left.
/// A worker that comes back ends its own alone: who else works on the run came after it, and is not to be fought.
pub(super) async fn take_over(
    sessions: &Sessions,
    order: &Order,
    comes_back: bool,
) -> Result<(), Failure> {
    let patience = order.limits.takeover;
    let earlier = if comes_back {
        order.worker.application_name()
    } else {
        order.worker.of_run()
    };
    end_sessions(sessions, &earlier, patience).await?;
    lock(&sessions.lock.client, patience).await?;
    // The database is ours: a session of any other run is one whose worker is gone.
    end_sessions(sessions, Worker::PREFIX, patience).await
}

/// Ends every session with a name that begins so, but ours, and waits until the server shows none.
async fn end_sessions(
    sessions: &Sessions,
    prefix: &str,
    patience: Duration,
) -> Result<(), Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("end earlier sessions of the run", &e);
    let ours = sessions.pids();
    let sql = "SELECT a.pid, CASE WHEN pg_catalog.pg_has_role(a.usesysid, 'USAGE') THEN pg_catalog.pg_terminate_backend(a.pid) END \
        FROM pg_catalog.pg_stat_activity AS a \
        WHERE a.datname = pg_catalog.current_database() AND pg_catalog.starts_with(a.application_name, $1) AND a.pid <> ALL ($2)";
    let until = Instant::now() + patience;
    loop {
        let asked = sessions
            .watch
            .client
            .query(sql, &[&prefix, &ours.as_slice()])
            .await;
        let rows = asked.map_err(failed)?;
        let Some(first) = rows.first() else {
            return Ok(());
        };
        if Instant::now() >= until {
            let pid: i32 = first.try_get(0).map_err(failed)?;
            return Err(Failure::hold(
                Reason::PriorSessionAlive,
                format!(
                    "a session of an earlier try (pid {pid}) does not end: nothing was touched; end it with \
                     SELECT pg_terminate_backend({pid})"
                ),
            ));
        }
        sleep(LOOK).await;
    }
}

/// Never waits in the server: a session that waits for a lock is one that CREATE INDEX CONCURRENTLY waits for.
async fn lock(client: &Client, patience: Duration) -> Result<(), Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("take the lock of migrations", &e);
    let until = Instant::now() + patience;
    loop {
        let row = client
            .query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[&KEY])
            .await
            .map_err(failed)?;
        if row.try_get(0).map_err(failed)? {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Failure::Again(Stop::new(
                Reason::Running,
                format!(
                    "another run is at work in this database{}",
                    holder(client).await
                ),
            )));
        }
        sleep(LOOK).await;
    }
}

const HELD: &str = "FROM pg_catalog.pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
    AND (l.classid::bigint << 32) | l.objid::bigint = $1";

async fn holder(client: &Client) -> String {
    let sql = format!(
        "SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, '') FROM pg_catalog.pg_stat_activity AS a WHERE a.pid IN (SELECT l.pid {HELD})"
    );
    let Ok(Some(row)) = client.query_opt(&sql, &[&KEY]).await else {
        return String::new();
    };
    let read = || Ok::<_, Error>((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    match read() {
        Ok((pid, name, user)) => format!(": {}", who::session(pid, name, user)),
        Err(_) => String::new(),
    }
}

/// Whether the lock is still held by the session that took it, asked on the session that is about to act.
pub(super) async fn still_locked(client: &Client, lock_pid: i32) -> Result<(), Failure> {
    let sql = format!("SELECT EXISTS (SELECT {HELD} AND l.pid = $2)");
    let held = async { client.query_one(&sql, &[&KEY, &lock_pid]).await?.try_get(0) };
    match held.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::Unknown(Stop::new(
            Reason::LockLost,
            "the session that holds the lock of migrations has gone",
        ))),
        Err(e) => Err(Failure::ours("ask for the lock of migrations", &e)),
    }
}

/// Takes over a row that another attempt began. True if nobody was faster.
pub(super) async fn adopt(
    client: &Client,
    row: &Row,
    attempt: &str,
) -> Result<bool, tokio_postgres::Error> {
    let sql = "UPDATE lifeboat.migration_history SET attempt = $3 WHERE id = $1 AND attempt = $2 AND state IN ('started', 'partial')";
    let rows = client
        .execute(sql, &[&row.id, &row.attempt, &attempt])
        .await?;
    Ok(rows == 1)
}
