//! A segment that is one transaction: its row first, what it locks next, then the user's statements (M1, M6, M14, M20).

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::failure::{Failure, Stop};
use super::heads::Heads;
use super::lock::Mode;
use super::measure::{Measured, Meter};
use super::session::{Settings, reset};
use super::takeover::still_locked;
use super::watchdog::{Blocked, Watchdog};
use super::{Order, Point, Rehearsed, history, holders, statement};
use crate::api::Reason;
use crate::manifest::same_order;
use crate::plan::{History, Next};
use crate::sql::SegmentKind;

/// All that a segment needs beside itself.
pub(super) struct Segment<'a> {
    pub(super) order: &'a Order,
    pub(super) next: Next<'a>,
    pub(super) history: &'a History,
    pub(super) heads: &'a Heads,
    pub(super) dog: Watchdog<'a>,
}

impl Segment<'_> {
    pub(super) fn client(&self) -> &Client {
        &self.dog.sessions.work.client
    }

    pub(super) fn rehearsed(&self) -> Option<&Rehearsed> {
        let key = (self.next.file.version.clone(), self.next.segment.index);
        self.order.rehearsed.get(&key)
    }

    pub(super) fn settings(&self, lock_timeout: Duration, statement_timeout: Duration) -> Settings {
        let version = self.dog.sessions.version;
        Settings::new(self.order, version, lock_timeout, statement_timeout)
    }

    /// Nobody has written into the history since it was read.
    pub(super) async fn unmoved(&self, expected: &str) -> Result<(), Failure> {
        let failed = |e: tokio_postgres::Error| Failure::ours("read the history of migrations", &e);
        let head = history::head(self.client()).await.map_err(failed)?;
        if head == expected {
            return Ok(());
        }
        let what = "the history of migrations is not what it was a moment ago";
        Err(Failure::Unknown(Stop::new(Reason::HistoryTouched, what)))
    }

    /// Runs the segment. If it fails, nothing of it is left, unless nobody knows.
    pub(super) async fn run(mut self, blocked: &mut Blocked) -> Result<Option<Measured>, Failure> {
        let sessions = self.dog.sessions;
        let none = std::collections::BTreeMap::new();
        let locks = self.rehearsed().map_or(none, |r| r.locks.clone());
        let (watch, ours) = (&sessions.watch.client, sessions.pids());
        let limit = self.order.limits.lock_timeout;
        let (per_lock, patience) =
            holders::patience(watch, &ours, &locks, sessions.deadlock, limit).await?;
        self.dog.patience = Some(patience);
        let work = async {
            match self.next.segment.kind {
                SegmentKind::Batches => self.one_batch(per_lock, patience).await,
                SegmentKind::Transaction | SegmentKind::Lone => self.body(per_lock, patience).await,
            }
        };
        match self.dog.guard(blocked, work).await {
            Ok((measured, head)) => {
                self.heads.add(head.clone());
                // Outside the watchdog's reach: one who waits for a standby would be told that it is committed when cancelled. An
                // answer that does not come says nothing: the history does.
                let committed = self.client().batch_execute("COMMIT").await;
                committed.map_err(|e| Failure::Unknown(stop_of("commit", &e)))?;
                self.heads.settle(head);
                self.dog.observer.at(Point::Committed).await;
                reset(self.client()).await?;
                Ok(measured)
            }
            Err(Failure::Unknown(stop)) => Err(Failure::Unknown(stop)),
            Err(failure) => {
                let undone = self.client().batch_execute("ROLLBACK").await;
                undone.map_err(|e| Failure::Unknown(stop_of("roll back", &e)))?;
                reset(self.client()).await?;
                Err(match failure {
                    Failure::Again(stop) if stop.waited() => {
                        // Whom nobody can name is not named.
                        let holders = holders::look(watch, &ours, &locks).await;
                        let holders = holders.unwrap_or_default();
                        Failure::Again(holders::name(stop, &holders))
                    }
                    other => other,
                })
            }
        }
    }

    /// Opens the transaction.
    pub(super) async fn begin(&self, per_lock: Duration) -> Result<(), Failure> {
        let failed = |e: tokio_postgres::Error| Failure::ours("begin a segment", &e);
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '{}ms'",
            per_lock.as_millis()
        );
        let begun = self.client().batch_execute(&begin).await;
        begun.map_err(failed)?;
        self.unmoved(&self.history.head).await
    }

    /// The user's statements have left our settings and the history alone; sets the session back to our role.
    pub(super) async fn unchanged(
        &self,
        settings: &Settings,
        before: &[String],
        head: &str,
    ) -> Result<(), Failure> {
        let client = self.client();
        let failed = |e: tokio_postgres::Error| Failure::ours("run a segment", &e);
        let now = settings.read(client).await.map_err(failed)?;
        if let Some(which) = settings.changed(before, &now) {
            // Not to what: that may be data.
            let what = format!(
                "{} changed {which}, which Lifeboat sets",
                self.next.file.name
            );
            return Err(Failure::hold(Reason::SettingsChanged, what));
        }
        client
            .batch_execute(Settings::UNSET)
            .await
            .map_err(failed)?;
        self.untouched(head).await
    }

    async fn body(
        &self,
        per_lock: Duration,
        patience: Duration,
    ) -> Result<(Option<Measured>, String), Failure> {
        let client = self.client();
        let failed = |e: tokio_postgres::Error| Failure::ours("run a segment", &e);
        self.begin(per_lock).await?;
        let id = history::take(client, self.order, &self.next, &self.history.head, None).await?;
        history::open(client, self.order, &self.next).await?;
        let head = history::head(client).await.map_err(failed)?;
        self.dog.observer.at(Point::Fenced).await;
        let settings = self.settings(per_lock, self.order.limits.statement_timeout);
        client
            .batch_execute(&settings.set(true))
            .await
            .map_err(failed)?;
        self.lock(patience).await?;
        let before = settings.read(client).await.map_err(failed)?;
        let mut meter = Meter::of(self.order, &self.dog.sessions.work).await?;
        self.statements(meter.as_mut()).await?;
        self.unchanged(&settings, &before, &head).await?;
        let measured = match meter {
            Some(meter) => Some(meter.measure(&self.dog.sessions.work).await?),
            None => None,
        };
        history::close(client, self.order, &self.next).await?;
        let finish = "UPDATE lifeboat.migration_history SET finished_at = pg_catalog.clock_timestamp() WHERE id = $1";
        client.execute(finish, &[&id]).await.map_err(failed)?;
        self.dog.observer.at(Point::Committing).await;
        still_locked(client, self.dog.sessions.lock_pid).await?;
        Ok((measured, history::head(client).await.map_err(failed)?))
    }

    /// The user's, one after the other.
    async fn statements(&self, mut meter: Option<&mut Meter>) -> Result<(), Failure> {
        let client = self.client();
        let last = self.next.segment.statements.len().saturating_sub(1);
        for (at, planned) in self.next.segment.statements.iter().enumerate() {
            self.dog.observer.at(Point::Statement).await;
            if let Some(meter) = &mut meter {
                meter.begins();
            }
            let theirs = |e: tokio_postgres::Error| Failure::theirs(&self.next, at, &e);
            let rows = statement::run(client, &planned.text)
                .await
                .map_err(theirs)?;
            self.as_many(at, rows)?;
            if at == last {
                // What is deferred is checked by the role that caused it, and its failure is the segment's.
                let checked = client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await;
                checked.map_err(theirs)?;
            }
            if let Some(meter) = &mut meter {
                meter.ends(&self.dog.sessions.work, rows).await?;
            }
        }
        Ok(())
    }

    /// A statement has written rows of the order that it wrote in the rehearsal (M8). Asked before COMMIT: a segment that did not
    /// undoes itself, and nobody has to find out which rows it should have been.
    fn as_many(&self, at: usize, now: u64) -> Result<(), Failure> {
        let planned = self.next.segment.statements.get(at);
        let Some(planned) = planned.filter(|p| statement::writes_rows(&p.verb)) else {
            return Ok(());
        };
        let rehearsed = self.rehearsed().and_then(|r| r.rows.get(at).copied());
        let Some(rehearsed) = rehearsed.flatten().filter(|r| !same_order(*r, now)) else {
            return Ok(());
        };
        Err(Failure::hold(
            Reason::NotAsRehearsed,
            format!(
                "statement {} of {} (line {}) wrote {now} rows, and {rehearsed} in the rehearsal: its segment has undone itself; \
                 look at the rows that it is about, then plan a new run, which rehearses it on a newer backup",
                planned.index + 1,
                self.next.file.name,
                planned.line
            ),
        ))
    }

    /// The segment's own statements have left the history alone (M6).
    pub(super) async fn untouched(&self, head: &str) -> Result<(), Failure> {
        let failed = |e: tokio_postgres::Error| Failure::ours("read the history of migrations", &e);
        let client = self.client();
        let same = history::head(client).await.map_err(failed)? == head;
        if same && history::is_intact(client).await.map_err(failed)? {
            return Ok(());
        }
        let what = format!(
            "a statement of {} wrote into lifeboat.migration_history, or changed what it is",
            self.next.file.name
        );
        Err(Failure::hold(Reason::HistoryTouched, what))
    }

    /// Takes the locks that the rehearsal saw, strongest first, all of them within `patience` (M14).
    pub(super) async fn lock(&self, patience: Duration) -> Result<(), Failure> {
        let Some(rehearsed) = self.rehearsed() else {
            return Ok(());
        };
        let client = self.client();
        let mut modes: Vec<_> = rehearsed.locks.values().copied().collect();
        modes.sort_unstable();
        modes.dedup();
        if modes.is_empty() {
            return Ok(());
        }
        let failed = |e: tokio_postgres::Error| match e.code() {
            // The server's clock was faster than the watchdog's.
            Some(&SqlState::QUERY_CANCELED | &SqlState::LOCK_NOT_AVAILABLE) => {
                let why = format!("waited {} ms for locks", patience.as_millis());
                let sqlstate = e.code().map(|code| code.code().to_owned());
                Failure::Again(Stop {
                    sqlstate,
                    ..Stop::new(Reason::WouldBlock, why)
                })
            }
            _ => Failure::ours("lock the tables of a segment", &e),
        };
        let within =
            |time: Duration| format!("SET LOCAL statement_timeout = '{}ms'", time.as_millis());
        client
            .batch_execute(&within(patience))
            .await
            .map_err(failed)?;
        // A partition that retention has dropped since is missed by nobody.
        let names: Vec<&str> = rehearsed.locks.keys().map(String::as_str).collect();
        let there = holders::there(client, &names).await?;
        for mode in modes.into_iter().rev() {
            let tables = rehearsed.locks.iter().filter(|(_, m)| **m == mode);
            let tables: Vec<&str> = tables
                .map(|(table, _)| table.as_str())
                .filter(|table| there.iter().any(|t| t == table))
                .collect();
            if tables.is_empty() || lock(client, &tables, mode).await.map_err(failed)? {
                continue;
            }
            // A foreign key locks a table that its maker may not LOCK: the watchdog bounds that one.
            for table in tables {
                lock(client, &[table], mode).await.map_err(failed)?;
            }
        }
        client
            .batch_execute(&within(self.order.limits.statement_timeout))
            .await
            .map_err(failed)
    }
}

/// False if the right to it is missing. ONLY: partitions that the segment locks stand in the list themselves.
async fn lock(client: &Client, tables: &[&str], mode: Mode) -> Result<bool, tokio_postgres::Error> {
    let sql = format!(
        "SAVEPOINT lifeboat; LOCK TABLE ONLY {} IN {mode} MODE; RELEASE lifeboat",
        tables.join(", ONLY ")
    );
    match client.batch_execute(&sql).await {
        Err(e) if e.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            client.batch_execute("ROLLBACK TO lifeboat").await?;
            Ok(false)
        }
        other => other.map(|()| true),
    }
}

pub(super) fn stop_of(doing: &str, error: &tokio_postgres::Error) -> Stop {
    crate::postgres::error::PgError::query(doing, error).into()
}
