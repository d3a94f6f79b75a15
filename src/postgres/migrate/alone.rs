//! A statement outside transactions: noted before, looked at after (M3, M4). What PostgreSQL forgot, the note knows.

use std::future::Future;
use std::time::Duration;

use super::failure::{Failure, Stop};
use super::index::{self, Index, Removal};
use super::measure::{Measured, Meter};
use super::session::{Settings, reset};
use super::takeover::{adopt, still_locked};
use super::transaction::{Segment, stop_of};
use super::watchdog::Blocked;
use super::{Point, history, statement};
use crate::api::Reason;
use crate::plan::{Alone, Row, State};
use crate::sql::Lone;

/// What is to be done about an index of the wanted name.
enum Standing {
    /// Nothing is in the way.
    Free,
    /// It is what the statement makes.
    Wanted,
    /// It is not valid.
    Invalid(Index),
}

impl Segment<'_> {
    fn alone(&self) -> Result<(&Alone, &str), Failure> {
        let statement = self.next.segment.statements.first();
        statement
            .and_then(|s| Some((s.alone.as_ref()?, s.text.as_str())))
            .ok_or_else(|| {
                Failure::hold(
                    Reason::InternalError,
                    "a segment that is alone has no statement",
                )
            })
    }

    fn alone_settings(&self) -> Settings {
        // Who waits here makes nobody wait: only the whole is bounded.
        self.settings(Duration::ZERO, self.order.limits.alone_timeout)
    }

    fn removal<'s>(&'s self, settings: &'s Settings) -> Removal<'s> {
        Removal {
            dog: &self.dog,
            settings,
            patience: self.order.limits.removal,
        }
    }

    /// Judges the index that stands under the name of the one to be made.
    async fn standing(&self, alone: &Alone, settings: &Settings) -> Result<Standing, Failure> {
        let Some(found) = index::find(self.client(), settings, alone).await? else {
            return Ok(Standing::Free);
        };
        if !found.valid {
            return Ok(Standing::Invalid(found));
        }
        if self.order.rehearsal {
            return Ok(Standing::Wanted);
        }
        let wanted = self.rehearsed().and_then(|r| r.index.as_deref());
        match wanted {
            Some(wanted) if wanted == found.definition => Ok(Standing::Wanted),
            Some(wanted) => Err(Failure::hold(
                Reason::IndexDiffers,
                format!(
                    "an index of that name is there and is another: {}; wanted: {wanted}",
                    found.definition
                ),
            )),
            None => Err(Failure::hold(
                Reason::IndexDiffers,
                format!(
                    "an index of that name is there, and no rehearsal says what it should be: {}",
                    found.definition
                ),
            )),
        }
    }

    /// Runs the statement, from its note to its end.
    pub(super) async fn run_alone(
        self,
        blocked: &mut Blocked,
    ) -> Result<Option<Measured>, Failure> {
        let mut meter = Meter::of(self.order, &self.dog.sessions.work).await?;
        let (alone, text) = self.alone()?;
        let settings = self.alone_settings();
        let mut tables = self.tables(meter.is_some(), alone, &settings).await?;
        match self.before(alone, &settings).await? {
            // Somebody made it by hand, and well: IF NOT EXISTS by looking instead of by name.
            None => {
                let id = self.note(None).await?;
                self.finish(id).await?;
            }
            Some(object) => {
                if let Some(meter) = &mut meter {
                    meter.begins();
                }
                self.through(alone, text, object, &settings, blocked)
                    .await?
            }
        }
        let Some(mut meter) = meter else {
            return Ok(None);
        };
        let made = index::find(self.client(), &settings, alone).await?;
        if let Some(tables) = &mut tables {
            tables.extend(made.as_ref().map(|index| index.of));
        }
        let work = &self.dog.sessions.work;
        meter.ends_alone(work, tables.as_deref()).await?;
        Ok(Some(Measured {
            index: made.map(|index| index.definition),
            ..meter.measure(work).await?
        }))
    }

    /// In a rehearsal, the tables that the statement is about; `None`: all.
    async fn tables(
        &self,
        rehearsal: bool,
        alone: &Alone,
        settings: &Settings,
    ) -> Result<Option<Vec<u32>>, Failure> {
        if !rehearsal {
            return Ok(None);
        }
        let tables = match &alone.table {
            Some(table) => index::tables(self.client(), settings, table).await?,
            None if alone.what == Lone::Vacuum => return Ok(None),
            None => {
                let dropped = index::find(self.client(), settings, alone).await?;
                dropped.map(|index| index.of).into_iter().collect()
            }
        };
        Ok(Some(tables))
    }

    /// The object to note before the statement; `None` if it is done already.
    async fn before(
        &self,
        alone: &Alone,
        settings: &Settings,
    ) -> Result<Option<Option<u32>>, Failure> {
        match alone.what {
            Lone::Vacuum => return Ok(Some(None)),
            Lone::DropIndexConcurrently => {
                let found = index::find(self.client(), settings, alone).await?;
                return Ok(Some(found.map(|i| i.oid)));
            }
            Lone::CreateIndexConcurrently => {}
        }
        let there = |what: &str| Err(Failure::hold(Reason::IndexDiffers, what));
        match self.standing(alone, settings).await? {
            Standing::Free => Ok(Some(None)),
            Standing::Wanted if !self.order.rehearsal => Ok(None),
            Standing::Wanted => there(
                "the backup has an index of that name already: IF NOT EXISTS looks at the name alone; leave the statement out, \
                 or drop the index first",
            ),
            Standing::Invalid(index) => there(&format!(
                "an index of that name is there and is not valid ({}), and this run did not make it: drop it first",
                index.definition
            )),
        }
    }

    async fn through(
        &self,
        alone: &Alone,
        text: &str,
        object: Option<u32>,
        settings: &Settings,
        blocked: &mut Blocked,
    ) -> Result<(), Failure> {
        let id = self.note(object).await?;
        self.dog.observer.at(Point::Noted).await;
        let head = history::head(self.client()).await;
        let head = head.map_err(|e| Failure::ours("read the history of migrations", &e))?;
        match self.statement(text, settings, blocked).await {
            Ok(()) => {
                self.dog.observer.at(Point::Ran).await;
                self.untouched(&head).await?;
                if let Err(failure) = self.as_wanted(alone, object, settings).await {
                    self.clean(alone, object, settings).await?;
                    self.give_up(id).await?;
                    return Err(failure);
                }
                self.finish(id).await
            }
            Err(Failure::Unknown(stop)) => Err(Failure::Unknown(stop)),
            // What it left is removed at once, whatever comes next (M4).
            Err(failure) => {
                let gone = self.clean(alone, object, settings).await?;
                self.dog.observer.at(Point::Cleaned).await;
                if gone {
                    return self.finish(id).await;
                }
                self.give_up(id).await?;
                Err(failure)
            }
        }
    }

    /// Commits what `work` writes into the history, if the lock is still ours; else nothing of it.
    async fn write<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let client = self.client();
        let failed =
            |e: tokio_postgres::Error| Failure::ours("write the history of migrations", &e);
        client.batch_execute("BEGIN").await.map_err(failed)?;
        let written = async {
            let value = work.await?;
            let head = history::head(client).await.map_err(failed)?;
            still_locked(client, self.dog.sessions.lock_pid).await?;
            Ok((value, head))
        };
        match written.await {
            Ok((value, head)) => {
                self.heads.add(head.clone());
                let committed = client.batch_execute("COMMIT").await;
                committed.map_err(|e| Failure::Unknown(stop_of("commit", &e)))?;
                self.heads.settle(head);
                Ok(value)
            }
            Err(failure) => {
                let undone = client.batch_execute("ROLLBACK").await;
                undone.map_err(|e| Failure::Unknown(stop_of("roll back", &e)))?;
                Err(failure)
            }
        }
    }

    /// Notes that the statement begins, for whoever comes after us.
    async fn note(&self, object: Option<u32>) -> Result<i64, Failure> {
        let client = self.client();
        let head = &self.history.head;
        self.write(async {
            self.unmoved(head).await?;
            let id = history::take(client, self.order, &self.next, head, object).await?;
            history::open(client, self.order, &self.next).await?;
            Ok(id)
        })
        .await
    }

    async fn statement(
        &self,
        text: &str,
        settings: &Settings,
        blocked: &mut Blocked,
    ) -> Result<(), Failure> {
        let client = self.client();
        let failed = |e: tokio_postgres::Error| Failure::ours("set up a session", &e);
        still_locked(client, self.dog.sessions.lock_pid).await?;
        client
            .batch_execute(&settings.set(false))
            .await
            .map_err(failed)?;
        self.dog.observer.at(Point::Statement).await;
        let run = async {
            let ran = statement::run(client, text).await;
            ran.map_err(|e| Failure::theirs(&self.next, 0, &e))
        };
        let ran = self.dog.guard(blocked, run).await;
        if let Err(Failure::Unknown(_)) = &ran {
            return ran.map(|_| ());
        }
        reset(client).await?;
        ran.map(|_| ())
    }

    /// What the statement was for is there now.
    async fn as_wanted(
        &self,
        alone: &Alone,
        object: Option<u32>,
        settings: &Settings,
    ) -> Result<(), Failure> {
        match alone.what {
            Lone::CreateIndexConcurrently => match self.standing(alone, settings).await? {
                Standing::Wanted => Ok(()),
                _ => Err(Failure::again(
                    Reason::IndexDiffers,
                    "the index that was made is not valid",
                )),
            },
            Lone::DropIndexConcurrently => match object {
                Some(oid) if index::by_oid(self.client(), oid).await?.is_some() => {
                    Err(Failure::again(
                        Reason::IndexDiffers,
                        "the index that was dropped is still there",
                    ))
                }
                _ => Ok(()),
            },
            Lone::Vacuum => Ok(()),
        }
    }

    /// Removes what a statement left that did not come to its end. True if with that it has done what it was for.
    async fn clean(
        &self,
        alone: &Alone,
        object: Option<u32>,
        settings: &Settings,
    ) -> Result<bool, Failure> {
        let bounded = self.settings(Duration::ZERO, self.order.limits.removal);
        let removal = self.removal(&bounded);
        match alone.what {
            Lone::CreateIndexConcurrently => {
                if let Some(index) = index::find(self.client(), settings, alone).await?
                    && !index.valid
                {
                    removal.remove(&index).await?;
                }
                for index in index::dead(self.client(), settings, alone).await? {
                    removal.remove(&index).await?;
                }
                Ok(false)
            }
            Lone::DropIndexConcurrently => {
                let Some(oid) = object else {
                    return Ok(false);
                };
                match index::by_oid(self.client(), oid).await? {
                    None => Ok(true),
                    Some(index) if index.valid => Ok(false),
                    Some(index) => removal.remove(&index).await,
                }
            }
            Lone::Vacuum => Ok(false),
        }
    }

    /// Writes that it is done, if it is still ours.
    async fn finish(&self, id: i64) -> Result<(), Failure> {
        self.write(async {
            self.settle(id, State::Done).await?;
            history::close(self.client(), self.order, &self.next).await
        })
        .await?;
        self.dog.observer.at(Point::Committed).await;
        Ok(())
    }

    /// Writes that it left nothing.
    async fn give_up(&self, id: i64) -> Result<(), Failure> {
        self.write(self.settle(id, State::Failed)).await
    }

    async fn settle(&self, id: i64, to: State) -> Result<(), Failure> {
        let attempt = &self.order.worker.attempt;
        let written = history::settle(self.client(), id, attempt, State::Started, to).await;
        match written {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Unknown(Stop::new(
                Reason::LockLost,
                "another worker has taken this statement over",
            ))),
            Err(e) => Err(Failure::ours("write the history of migrations", &e)),
        }
    }

    /// Finds out what became of a statement that an earlier worker began, and writes it down.
    pub(super) async fn recover(&self, row: &Row) -> Result<(), Failure> {
        let client = self.client();
        let (alone, _) = self.alone()?;
        let settings = self.alone_settings();
        self.write(async {
            let taken = adopt(client, row, &self.order.worker.attempt).await;
            if taken.map_err(|e| Failure::ours("take a statement over", &e))? {
                return Ok(());
            }
            let what = "another worker has taken a statement over before us";
            Err(Failure::Unknown(Stop::new(Reason::LockLost, what)))
        })
        .await?;
        if self.clean(alone, row.object_oid, &settings).await? {
            return self.finish(row.id).await;
        }
        self.dog.observer.at(Point::Cleaned).await;
        let made = alone.what == Lone::CreateIndexConcurrently
            && matches!(self.standing(alone, &settings).await?, Standing::Wanted);
        if made {
            return self.finish(row.id).await;
        }
        self.give_up(row.id).await
    }
}
