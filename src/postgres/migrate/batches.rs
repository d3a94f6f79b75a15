//! A statement that runs in batches: each is a transaction with its place in the history, so that whoever comes after us goes on
//! where it stopped, and no row is met twice.

use std::time::Duration;

use tokio_postgres::Client;

use super::failure::{Failure, Stop};
use super::measure::{Measured, Meter};
use super::takeover::{adopt, still_locked};
use super::transaction::Segment;
use super::{Point, history, statement};
use crate::api::Reason;
use crate::manifest::same_order;
use crate::plan::{Row, State};
use crate::postgres::names::quote_literal;
use crate::sql::Batch;

/// What progress is called.
const PHASE: &str = "writing batches";

/// Types whose text is one value, and whose order is that of a btree index: `pg_type.typname`.
const KEYS: &str = "{int2,int4,int8,numeric,uuid,text,varchar,date,timestamp,timestamptz}";

/// Where a segment stands: its row, how far it is, and how many rows this run has written.
struct Place {
    id: i64,
    position: Option<String>,
    rows: i64,
}

impl Segment<'_> {
    fn batch(&self) -> Result<(&Batch, usize), Failure> {
        let statement = self.next.segment.statements.first();
        statement
            .and_then(|s| Some((s.batch.as_ref()?, s.line)))
            .ok_or_else(|| {
                Failure::hold(
                    Reason::InternalError,
                    "a segment in batches has no statement",
                )
            })
    }

    /// One batch, all but its COMMIT.
    pub(super) async fn one_batch(
        &self,
        per_lock: Duration,
        patience: Duration,
    ) -> Result<(Option<Measured>, String), Failure> {
        let client = self.client();
        let failed = |e: tokio_postgres::Error| Failure::ours("run a batch", &e);
        let theirs = |e: tokio_postgres::Error| Failure::theirs(&self.next, 0, &e);
        let (batch, line) = self.batch()?;
        self.begin(per_lock).await?;
        let place = self.place().await?;
        let head = history::head(client).await.map_err(failed)?;
        self.dog.observer.at(Point::Fenced).await;
        let settings = self.settings(per_lock, self.order.limits.statement_timeout);
        client
            .batch_execute(&settings.set(true))
            .await
            .map_err(failed)?;
        self.lock(patience).await?;
        if place.position.is_none() {
            suits(client, batch, (&self.next.file.name, line)).await?;
        }
        let before = settings.read(client).await.map_err(failed)?;
        let mut meter = Meter::of(self.order, &self.dog.sessions.work).await?;
        let after = place.position.as_deref().map(quote_literal);
        let bounds = client.query_one(&batch.bounds(after.as_deref()), &[]).await;
        let bounds = bounds.map_err(theirs)?;
        let until: Option<String> = bounds.try_get(0).map_err(failed)?;
        let over: i64 = bounds.try_get(1).map_err(failed)?;
        if until.is_none() && over > 0 {
            let what = format!(
                "{}, line {line}: {} is null in a row: batches go along a column that never is",
                self.next.file.name, batch.key
            );
            return Err(Failure::hold(Reason::InvalidSpec, what));
        }
        self.dog.observer.at(Point::Statement).await;
        if let Some(meter) = &mut meter {
            meter.begins();
        }
        let mut rows = 0;
        if let Some(until) = &until {
            let text = batch.statement(after.as_deref(), &quote_literal(until));
            let within = batch.rows_of(after.as_deref(), &quote_literal(until));
            let before = self.rows_within(&within).await?;
            rows = statement::run(client, &text).await.map_err(theirs)?;
            if let (Some(before), Some(now)) = (before, self.rows_within(&within).await?)
                && now < before
                && self
                    .next
                    .segment
                    .statements
                    .iter()
                    .any(|s| s.verb == "UPDATE")
            {
                return Err(Failure::hold(
                    Reason::InvalidSpec,
                    format!(
                        "{}, line {line}: rows got another {} while they were written, by a trigger for example: batches would meet them \
                         again; go along a column that stays as it is",
                        self.next.file.name, batch.key
                    ),
                ));
            }
            let checked = client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await;
            checked.map_err(theirs)?;
        }
        if let Some(meter) = &mut meter {
            meter.ends(&self.dog.sessions.work, rows).await?;
        }
        let all = place
            .rows
            .saturating_add(i64::try_from(rows).unwrap_or(i64::MAX));
        // Several rows may have one value, so a batch may go over more: it is the last when there was less than asked for.
        let last = over < i64::from(batch.rows);
        self.as_rehearsed(line, all, last)?;
        self.unchanged(&settings, &before, &head).await?;
        let measured = match meter {
            Some(meter) => Some(meter.measure(&self.dog.sessions.work).await?),
            None => None,
        };
        let state = if last { State::Done } else { State::Partial };
        if last {
            history::close(client, self.order, &self.next).await?;
        }
        let position = until.or(place.position);
        advance(client, place.id, position.as_deref(), all, state)
            .await
            .map_err(failed)?;
        self.dog.observer.at(Point::Committing).await;
        still_locked(client, self.dog.sessions.lock_pid).await?;
        self.dog
            .observer
            .progress(PHASE, self.percent(all, last))
            .await;
        Ok((measured, history::head(client).await.map_err(failed)?))
    }

    /// The segment's row: a new one, or that of whoever began it. What another run began goes on in a row of ours.
    async fn place(&self) -> Result<Place, Failure> {
        let (client, worker) = (self.client(), &self.order.worker);
        let (file, segment) = (self.next.file, self.next.segment);
        let begun = self
            .history
            .part(&file.version, self.order.direction(), segment.index);
        let ours = |row: &&Row| row.run_uid == worker.run_uid;
        if let Some(row) = begun.filter(ours) {
            // Whoever it was: with it the transaction has its number before the user's statement, as with a new row.
            let taken = adopt(client, row, &worker.attempt).await;
            if !taken.map_err(|e| Failure::ours("take a statement over", &e))? {
                let what = "another worker has taken a statement over before us";
                return Err(Failure::Unknown(Stop::new(Reason::LockLost, what)));
            }
            return Ok(Place {
                id: row.id,
                position: row.position.clone(),
                rows: row.row_count,
            });
        }
        if let Some(row) = begun {
            let left = leave(client, row).await;
            left.map_err(|e| Failure::ours("take a statement over", &e))?;
        }
        let id = history::take(client, self.order, &self.next, &self.history.head, None).await?;
        history::open(client, self.order, &self.next).await?;
        Ok(Place {
            id,
            position: begun.and_then(|row| row.position.clone()),
            rows: 0,
        })
    }

    /// Rows of a batch, in a rehearsal: there nobody else writes.
    async fn rows_within(&self, sql: &str) -> Result<Option<i64>, Failure> {
        if !self.order.rehearsal {
            return Ok(None);
        }
        let failed = |e: tokio_postgres::Error| Failure::ours("count the rows of a batch", &e);
        let row = self.client().query_one(sql, &[]).await.map_err(failed)?;
        row.try_get(0).map(Some).map_err(failed)
    }

    fn rehearsed_rows(&self) -> Option<u64> {
        self.rehearsed()
            .and_then(|r| r.rows.first().copied())
            .flatten()
    }

    /// Rows of another order than in the rehearsal are others than were meant (M8): the batch undoes itself. Too few are told at the
    /// end, and not where another run has written a part of them.
    fn as_rehearsed(&self, line: usize, rows: i64, last: bool) -> Result<(), Failure> {
        let now = u64::try_from(rows).unwrap_or_default();
        let Some(rehearsed) = self.rehearsed_rows().filter(|r| !same_order(*r, now)) else {
            return Ok(());
        };
        let segment = self.next.segment;
        let elsewhere = self.history.rows.iter().any(|r| {
            let same = r.version == self.next.file.version && r.segment == segment.index;
            same && r.run_uid != self.order.worker.run_uid && r.position.is_some()
        });
        if now < rehearsed && (!last || elsewhere) {
            return Ok(());
        }
        Err(Failure::hold(
            Reason::NotAsRehearsed,
            format!(
                "the batches of {} (line {line}) have written {now} rows, and {rehearsed} in the rehearsal: the last batch has undone \
                 itself; look at the rows that it is about, then plan a new run, which goes on where this one stopped",
                self.next.file.name
            ),
        ))
    }

    fn percent(&self, rows: i64, last: bool) -> Option<i64> {
        let all = self.rehearsed_rows().and_then(|r| i64::try_from(r).ok());
        let all = all.filter(|all| *all > 0)?;
        let most = if last { 100 } else { 99 };
        Some(rows.saturating_mul(100).checked_div(all)?.min(most))
    }
}

/// Writes how far a statement in batches is.
async fn advance(
    client: &Client,
    id: i64,
    position: Option<&str>,
    rows: i64,
    to: State,
) -> Result<(), tokio_postgres::Error> {
    let sql = "UPDATE lifeboat.migration_history SET position = $2, row_count = $3, state = $4, finished_at = pg_catalog.clock_timestamp() \
        WHERE id = $1";
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&id, &position, &rows, &to.as_str()];
    client.execute(sql, values).await.map(|_| ())
}

/// What another run has done of a statement in batches goes on in a row of ours: its own no longer stands.
async fn leave(client: &Client, row: &Row) -> Result<(), tokio_postgres::Error> {
    let sql = "UPDATE lifeboat.migration_history SET state = 'failed' WHERE id = $1 AND state = 'partial'";
    client.execute(sql, &[&row.id]).await.map(|_| ())
}

/// The column can be gone along: it is never null, an index has its order, and its text is one value.
async fn suits(client: &Client, batch: &Batch, (file, line): (&str, usize)) -> Result<(), Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("look at the column of the batches", &e);
    // From 18 on a NOT NULL may be one that nobody has validated.
    let sql = "SELECT a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conrelid OPERATOR(pg_catalog.=) a.attrelid \
          AND k.contype OPERATOR(pg_catalog.=) 'n' AND NOT k.convalidated AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey)) \
          AND a.attgenerated OPERATOR(pg_catalog.=) '', t.typname OPERATOR(pg_catalog.=) ANY ($3::pg_catalog.text::pg_catalog.name[]), \
        EXISTS (SELECT FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
          JOIN pg_catalog.pg_am AS m ON m.oid OPERATOR(pg_catalog.=) c.relam AND m.amname OPERATOR(pg_catalog.=) 'btree' \
          WHERE i.indrelid OPERATOR(pg_catalog.=) a.attrelid AND i.indkey[0] OPERATOR(pg_catalog.=) a.attnum AND i.indisvalid AND i.indpred IS NULL) \
        FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid \
        WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) AND a.attname OPERATOR(pg_catalog.=) $2 AND a.attnum OPERATOR(pg_catalog.>) 0";
    let found = client
        .query_opt(sql, &[&batch.name, &batch.column, &KEYS])
        .await
        .map_err(failed)?;
    let why = match found {
        None => "there is no such column",
        Some(row) => {
            let flag = |at: usize| row.try_get::<_, bool>(at).map_err(failed);
            match (flag(0)?, flag(1)?, flag(2)?) {
                (false, ..) => {
                    "it may be null, or is generated: batches go along a column that is neither"
                }
                (_, false, _) => {
                    "batches go along integers, numeric, uuid, text, dates and timestamps"
                }
                (.., false) => {
                    "no whole btree index begins with it, so that each batch would read the whole table"
                }
                _ => return Ok(()),
            }
        }
    };
    Err(Failure::hold(
        Reason::InvalidSpec,
        format!(
            "{file}, line {line}: batches of {} by {}: {why}",
            batch.name, batch.key
        ),
    ))
}
