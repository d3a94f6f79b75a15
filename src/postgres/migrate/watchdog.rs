//! Looks ten times a second whether we wait too long or make others wait, and cancels our statement (M14, M17, M19).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::failure::{Failure, Stop};
use super::session::Sessions;
use super::{Limits, Observer};
use crate::api::Reason;
use crate::postgres::who;

const TICK: Duration = Duration::from_millis(100);
/// The server answers our own questions within this time, or the line is dead.
const ANSWER: Duration = Duration::from_secs(5);
/// A statement that was cancelled ends within this time.
const GIVES_WAY: Duration = Duration::from_secs(20);
/// Ticks between two looks at what changes slowly.
const SLOW: u32 = 10;
/// SQLSTATE of a statement that was cancelled.
const CANCELED: &str = "57014";

/// Waits that hold up no reads and no writes, nor anybody behind them: VACUUM, ANALYZE.
const NO_TRAFFIC: &str = "ShareUpdateExclusiveLock";

/// Who holds up a session. To PostgreSQL a prepared transaction is the pid 0: the oldest is named.
const HINDERS: &str = "SELECT b.pid, coalesce(a.application_name, p.gid, ''), coalesce(a.usename::text, p.owner::text, ''), \
      coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8, 0), \
      pg_catalog.pg_blocking_pids(b.pid) && $2 \
    FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) AS b(pid) LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid \
    LEFT JOIN LATERAL (SELECT x.* FROM pg_catalog.pg_prepared_xacts AS x \
      WHERE b.pid = 0 AND x.database = pg_catalog.current_database() ORDER BY x.prepared LIMIT 1) AS p ON true LIMIT 5";

/// How far the build of an index is: each phase counts something else, and what an earlier one counted may still stand there.
const BUILD: &str = "SELECT phase, CASE \
      WHEN phase LIKE 'waiting%' THEN 100 * lockers_done / nullif(lockers_total, 0) \
      WHEN phase LIKE '%loading tuples%' THEN 100 * tuples_done / nullif(tuples_total, 0) \
      WHEN phase LIKE '%sorting%' THEN NULL \
      ELSE 100 * blocks_done / nullif(blocks_total, 0) END \
    FROM pg_catalog.pg_stat_progress_create_index WHERE pid = $1";

/// How long others waited for us in the whole run, by table.
#[derive(Debug, Default)]
pub(super) struct Blocked(BTreeMap<String, Duration>);

/// What is watched.
pub(super) struct Watchdog<'a> {
    pub(super) sessions: &'a Sessions,
    pub(super) limits: Limits,
    pub(super) observer: &'a dyn Observer,
    pub(super) stop: &'a CancellationToken,
    /// How long we may wait for locks in this try; `None` for a statement outside transactions.
    pub(super) patience: Option<Duration>,
}

/// Since when a session has waited.
type Since = BTreeMap<i32, Instant>;

impl Watchdog<'_> {
    /// Runs `work` on the session for statements; cancels it when a bound is passed.
    pub(super) async fn guard<T>(
        &self,
        blocked: &mut Blocked,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        let verdict = tokio::select! {
            biased;
            done = &mut work => return done,
            verdict = self.watch(blocked) => verdict,
        };
        // With these sessions nothing can be cancelled, or nothing would be gained: the next ones end them.
        if let Failure::Unknown(_) = verdict {
            return Err(verdict);
        }
        match self.end(work).await {
            Some(done) => done.map_err(|failure| explained(failure, verdict)),
            // The next sessions end a server process that does not hear, or that this one cannot reach.
            None => Err(Failure::Unknown(stop_of(verdict))),
        }
    }

    /// Cancels what runs on the session for statements. `None`: it does not hear.
    pub(super) async fn end<T>(&self, mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        // Said twice where the first came between two statements.
        let (mut again, until) = (interval(TICK), Instant::now() + GIVES_WAY);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                _ = again.tick() => {}
            }
            if Instant::now() > until || !self.cancel().await {
                return None;
            }
        }
    }

    async fn cancel(&self) -> bool {
        let sql = "SELECT pg_catalog.pg_cancel_backend($1)";
        let client = &self.sessions.watch.client;
        let asked = timeout(ANSWER, client.query(sql, &[&self.sessions.work_pid])).await;
        asked.is_ok_and(|answer| answer.is_ok())
    }

    /// Ends with the first reason to cancel.
    async fn watch(&self, blocked: &mut Blocked) -> Failure {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let (mut since, mut waited, mut last, mut count) =
            (Since::new(), Duration::ZERO, Instant::now(), 0);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => {
                    return Failure::hold(Reason::Terminated, "told to stop; the statement was cancelled");
                }
                _ = ticks.tick() => {}
            }
            let elapsed = last.elapsed();
            last = Instant::now();
            count += 1;
            let looked = async {
                match self.look(blocked, &mut since, &mut waited, elapsed).await {
                    Ok(None) if self.patience.is_none() => self.look_alone(count).await,
                    other => other,
                }
            };
            // Silence is as bad as no line.
            let Ok(looked) = timeout(ANSWER, looked).await else {
                let what = "the session that watches gets no answer";
                return Failure::Unknown(Stop::new(Reason::ConnectionLost, what));
            };
            match looked {
                Ok(Some(verdict)) => return verdict,
                Ok(None) => {}
                // Without eyes nothing is done in anybody's way.
                Err(_) => {
                    return Failure::Unknown(Stop::new(
                        Reason::ConnectionLost,
                        "the session that watches was lost",
                    ));
                }
            }
        }
    }

    async fn look(
        &self,
        blocked: &mut Blocked,
        since: &mut Since,
        waited: &mut Duration,
        elapsed: Duration,
    ) -> Result<Option<Failure>, tokio_postgres::Error> {
        let sql = "SELECT w.pid, coalesce(w.relation::regclass::text, 'rows') \
            FROM pg_catalog.pg_locks AS w WHERE NOT w.granted \
              AND (w.pid = $1 OR w.mode <> $2 AND $1 = ANY (pg_catalog.pg_blocking_pids(w.pid)))";
        let work_pid = self.sessions.work_pid;
        let rows = self
            .sessions
            .watch
            .client
            .query(sql, &[&work_pid, &NO_TRAFFIC])
            .await?;
        let now = Instant::now();
        let mut seen = Since::new();
        let mut tables = BTreeMap::new();
        for row in &rows {
            let pid: i32 = row.try_get(0)?;
            let table: String = row.try_get(1)?;
            seen.insert(pid, since.get(&pid).copied().unwrap_or(now));
            if pid != work_pid {
                tables.insert(table, pid);
            }
        }
        *since = seen;
        if since.contains_key(&work_pid) {
            *waited += elapsed;
        }
        if self.patience.is_some_and(|patience| *waited > patience) {
            let why = format!("waited {} ms for locks", waited.as_millis());
            return Ok(Some(Failure::again(Reason::WouldBlock, why)));
        }
        for table in tables.keys() {
            let sum = blocked.0.entry(table.clone()).or_default();
            *sum += elapsed;
            if *sum > self.limits.block_budget {
                return Ok(Some(Failure::hold(
                    Reason::WouldBlock,
                    format!(
                        "others waited {:.1} s for this run at {table}, and blockBudget is {:.1} s: try when there is less traffic",
                        sum.as_secs_f64(),
                        self.limits.block_budget.as_secs_f64()
                    ),
                )));
            }
        }
        let longest = since.iter().filter(|(pid, _)| **pid != work_pid);
        let longest = longest.map(|(pid, at)| (now - *at, *pid)).max();
        Ok(longest
            .filter(|(time, _)| *time + TICK > self.limits.max_blocking)
            .map(|(_, pid)| {
                let table = tables
                    .iter()
                    .find(|(_, p)| **p == pid)
                    .map_or("", |(table, _)| table);
                let why = format!(
                    "pid {pid} waited for this run at {table} for as long as maxBlocking allows"
                );
                Failure::again(Reason::WouldBlock, why)
            }))
    }

    /// Of a statement outside transactions: who holds it up, how far it is, and whether a replication slot is about to be lost.
    async fn look_alone(&self, count: u32) -> Result<Option<Failure>, tokio_postgres::Error> {
        let client = &self.sessions.watch.client;
        let ours = self.sessions.pids();
        for row in client
            .query(HINDERS, &[&self.sessions.work_pid, &ours.as_slice()])
            .await?
        {
            let (pid, name, user) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let who = match pid {
                0 => who::prepared(name, user),
                pid => who::session(pid, name, user),
            };
            if row.try_get(4)? {
                // It gets what it waits for when our sessions close; the next ones remove what this statement leaves.
                let why = format!("{who} waits for this run, which waits for it");
                return Ok(Some(Failure::Unknown(Stop::new(Reason::WouldBlock, why))));
            }
            if count.is_multiple_of(SLOW) {
                let age: f64 = row.try_get(3)?;
                let says = format!("waits for {who}, in a transaction for {age:.0} s");
                self.observer.says(&says).await;
            }
        }
        if !count.is_multiple_of(SLOW) {
            return Ok(None);
        }
        if let Some(row) = client.query_opt(BUILD, &[&self.sessions.work_pid]).await? {
            let (phase, percent): (String, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            self.observer.progress(&phase, percent).await;
        }
        let sql = "SELECT slot_name::text FROM pg_catalog.pg_replication_slots, pg_catalog.pg_settings AS s \
            WHERE s.name = 'max_slot_wal_keep_size' AND s.setting::bigint > 0 AND active \
              AND safe_wal_size < s.setting::bigint * 1024 * 1024 / 10 LIMIT 1";
        let row = client.query_opt(sql, &[]).await?;
        let slot: Option<String> = row.map(|r| r.try_get(0)).transpose()?;
        Ok(slot.map(|slot| {
            let why = format!("the replication slot {slot} is about to lose the WAL that it needs");
            Failure::again(Reason::WouldBlock, why)
        }))
    }
}

fn stop_of(verdict: Failure) -> Stop {
    match verdict {
        Failure::Again(stop) | Failure::Hold(stop) | Failure::Unknown(stop) => stop,
    }
}

/// A statement that we cancelled ourselves did not fail: it tells why we did. Whose row it waited for, it knows better.
fn explained(failure: Failure, verdict: Failure) -> Failure {
    let canceled = |stop: &Stop| stop.sqlstate.as_deref() == Some(CANCELED);
    match failure {
        Failure::Again(stop)
            if stop.reason == Reason::Running && matches!(verdict, Failure::Again(_)) =>
        {
            Failure::Again(stop)
        }
        Failure::Again(stop) | Failure::Hold(stop) if canceled(&stop) => verdict,
        other => other,
    }
}
