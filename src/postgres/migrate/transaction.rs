//! A segment that is one transaction: its row first, what it locks next, then the user's statements (M1, M6, M14, M20).

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::failure::{Failure, Stop};
use super::measure::{Before, Measured};
use super::session::{Settings, at_rest};
use super::takeover::still_locked;
use super::watchdog::{Blocked, Watchdog};
use super::{Order, Point, Rehearsed, history, holders, statement};
use crate::api::Reason;
use crate::plan::{History, Next};

/// All that a segment needs beside itself.
pub(super) struct Segment<'a> {
    pub(super) order: &'a Order,
    pub(super) next: Next<'a>,
    pub(super) history: &'a History,
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
        Settings::new(&self.order.acting, version, lock_timeout, statement_timeout)
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
        let per_lock = holders::patience(watch, &ours, &locks, sessions.deadlock).await?;
        // An autovacuum in the way gives way only to one who waits longer than the server's deadlock_timeout.
        let patience = per_lock.max(self.order.limits.lock_timeout);
        self.dog.patience = Some(patience);
        let done = self.dog.guard(blocked, self.body(per_lock, patience)).await;
        if let Err(Failure::Again(_) | Failure::Hold(_)) = &done {
            let back = format!("ROLLBACK; {}", at_rest());
            let undone = self.client().batch_execute(&back).await;
            undone.map_err(|e| Failure::Unknown(stop_of("roll back", &e)))?;
        }
        done
    }

    async fn body(
        &self,
        per_lock: Duration,
        patience: Duration,
    ) -> Result<Option<Measured>, Failure> {
        let client = self.client();
        let failed = |e: tokio_postgres::Error| Failure::ours("run a segment", &e);
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '{}ms'",
            per_lock.as_millis()
        );
        client.batch_execute(&begin).await.map_err(failed)?;
        self.unmoved(&self.history.head).await?;
        let id = history::take(client, self.order, &self.next, &self.history.head, None).await?;
        history::open(client, self.order, &self.next).await?;
        let head = history::head(client).await.map_err(failed)?;
        self.dog.observer.at(Point::Fenced).await;
        let measures = Before::of(self.order, client).await?;
        let settings = self.settings(per_lock, self.order.limits.statement_timeout);
        client
            .batch_execute(&settings.set(true))
            .await
            .map_err(failed)?;
        self.lock(patience).await?;
        let before = settings.read(client).await.map_err(failed)?;
        let mut rows = Vec::new();
        for (at, planned) in self.next.segment.statements.iter().enumerate() {
            self.dog.observer.at(Point::Statement).await;
            let ran = statement::run(client, &planned.text).await;
            rows.push(ran.map_err(|e| Failure::theirs(&self.next, at, &e))?);
        }
        // What is deferred is checked by the role that caused it, and its failure is the segment's.
        let last = self.next.segment.statements.len().saturating_sub(1);
        let checked = client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await;
        checked.map_err(|e| Failure::theirs(&self.next, last, &e))?;
        let now = settings.read(client).await.map_err(failed)?;
        if let Some(what) = settings.changed(&before, &now) {
            let what = format!(
                "{} changed a setting that Lifeboat sets: {what}",
                self.next.file.name
            );
            return Err(Failure::hold(Reason::SettingsChanged, what));
        }
        client
            .batch_execute(&Settings::unset(true))
            .await
            .map_err(failed)?;
        self.untouched(&head).await?;
        let measured = match measures {
            Some(before) => Some(before.measure(client, rows).await?),
            None => None,
        };
        history::close(client, self.order, &self.next).await?;
        let finish = "UPDATE lifeboat.migration_history SET finished_at = pg_catalog.clock_timestamp() WHERE id = $1";
        client.execute(finish, &[&id]).await.map_err(failed)?;
        self.dog.observer.at(Point::Committing).await;
        still_locked(client, self.dog.sessions.lock_pid).await?;
        // An answer that does not come says nothing: the history does.
        let committed = client
            .batch_execute(&format!("COMMIT; {}", at_rest()))
            .await;
        committed.map_err(|e| Failure::Unknown(stop_of("commit", &e)))?;
        self.dog.observer.at(Point::Committed).await;
        Ok(measured)
    }

    /// The segment's own statements have left the history alone (M6).
    pub(super) async fn untouched(&self, head: &str) -> Result<(), Failure> {
        let failed = |e: tokio_postgres::Error| Failure::ours("read the history of migrations", &e);
        if history::head(self.client()).await.map_err(failed)? == head {
            return Ok(());
        }
        let what = format!(
            "a statement of {} wrote into lifeboat.migration_history",
            self.next.file.name
        );
        Err(Failure::hold(Reason::HistoryTouched, what))
    }

    /// Takes the locks that the rehearsal saw, strongest first, all of them within `patience` (M14).
    async fn lock(&self, patience: Duration) -> Result<(), Failure> {
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
        let failed = |e: tokio_postgres::Error| Failure::ours("lock the tables of a segment", &e);
        let within =
            |time: Duration| format!("SET LOCAL statement_timeout = '{}ms'", time.as_millis());
        client
            .batch_execute(&within(patience))
            .await
            .map_err(failed)?;
        for mode in modes.into_iter().rev() {
            let tables = rehearsed.locks.iter().filter(|(_, m)| **m == mode);
            let tables: Vec<&str> = tables.map(|(table, _)| table.as_str()).collect();
            let lock = format!(
                "SAVEPOINT lifeboat; LOCK TABLE {} IN {mode} MODE; RELEASE lifeboat",
                tables.join(", ")
            );
            match client.batch_execute(&lock).await {
                // A foreign key locks a table that its maker may not LOCK: the watchdog bounds that.
                Err(e) if e.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                    client
                        .batch_execute("ROLLBACK TO lifeboat")
                        .await
                        .map_err(failed)?;
                }
                other => other.map_err(failed)?,
            }
        }
        client
            .batch_execute(&within(self.order.limits.statement_timeout))
            .await
            .map_err(failed)
    }
}

pub(super) fn stop_of(doing: &str, error: &tokio_postgres::Error) -> Stop {
    crate::postgres::error::PgError::query(doing, error).into()
}
