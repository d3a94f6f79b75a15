//! What a rehearsal sees of a segment and of each of its statements (M21): all locks, from its own session, and which tables were
//! written anew. It asks between the user's statements, under their role and search_path: every name is spelled out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{Client, Error};

use super::Order;
use super::failure::Failure;
use super::lock::Mode;
use crate::postgres::connect::Connection;

/// Most warnings that are kept of batches.
const MOST_WARNINGS: usize = 20;

/// What a segment did on a scratch server. Locks, rewrites and definitions are what it will do elsewhere too; times and bytes
/// are lower bounds (M22).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Tables that were there before, with the strongest lock on each, by quoted name.
    pub locks: BTreeMap<String, Mode>,
    /// Materialized views likewise: no LOCK TABLE takes one.
    pub views: BTreeMap<String, Mode>,
    /// Those of them whose files are new: every row was written again.
    pub rewritten: BTreeSet<String>,
    /// Of a segment that makes an index: its definition.
    pub index: Option<String>,
    /// Indexes that were not there before, by quoted name, with their sizes in bytes.
    pub indexes: BTreeMap<String, u64>,
    /// Rows that each statement returned or changed.
    pub rows: Vec<u64>,
    /// What each statement did. What was deferred counts with the last.
    pub statements: Vec<Step>,
    /// WAL that was written meanwhile, in bytes.
    pub wal: u64,
    /// Of all statements together.
    pub time: Duration,
    /// Transactions that it was: several, if it runs in batches.
    pub batches: u64,
    /// What the server warned of, at most twenty: `SQLSTATE: message`, cut. It may quote rows of the backup: never for a log.
    pub warnings: Vec<String>,
}

impl Measured {
    /// With another batch of the same segment: the statement's time is that of the longest, which is for how long it keeps others
    /// waiting.
    pub(super) fn and(mut self, other: Self) -> Self {
        let stronger = |all: &mut BTreeMap<String, Mode>, more: BTreeMap<String, Mode>| {
            for (name, mode) in more {
                let strongest = all.entry(name).or_insert(mode);
                *strongest = mode.max(*strongest);
            }
        };
        stronger(&mut self.locks, other.locks);
        stronger(&mut self.views, other.views);
        self.rewritten.extend(other.rewritten);
        self.indexes.extend(other.indexes);
        for (rows, more) in self.rows.iter_mut().zip(other.rows) {
            *rows += more;
        }
        for (step, more) in self.statements.iter_mut().zip(other.statements) {
            stronger(&mut step.locks, more.locks);
            step.rewritten.extend(more.rewritten);
            step.rows += more.rows;
            step.wal += more.wal;
            step.temporary = step.temporary.zip(more.temporary).map(|(a, b)| a.max(b));
            step.time = step.time.max(more.time);
        }
        self.wal += other.wal;
        self.time += other.time;
        self.batches += other.batches;
        self.warnings.extend(other.warnings);
        self.warnings.truncate(MOST_WARNINGS);
        self
    }
}

/// What one statement did, of all that its segment did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Tables and materialized views that were there before the segment, with the lock that this statement took, where there
    /// was none before it or a weaker one.
    pub locks: BTreeMap<String, Mode>,
    /// Those whose files it made anew.
    pub rewritten: BTreeSet<String>,
    /// Rows that it returned or changed.
    pub rows: u64,
    /// WAL that was written meanwhile, in bytes.
    pub wal: u64,
    /// Bytes of its temporary files; `None` where the session was not told of them.
    pub temporary: Option<u64>,
    /// From its beginning to its end.
    pub time: Duration,
}

/// Begun before the first statement.
pub(super) struct Meter {
    files: BTreeMap<u32, File>,
    indexes: BTreeMap<String, u64>,
    first: State,
    last: State,
    steps: Vec<Step>,
}

/// What keeps rows.
struct File {
    name: String,
    view: bool,
}

/// How things stand at one moment.
#[derive(Clone)]
struct State {
    /// Numbers of the files.
    numbers: BTreeMap<u32, u32>,
    locks: BTreeMap<u32, Mode>,
    wal: u64,
    /// The session hears of temporary files.
    told: bool,
    at: Instant,
}

/// The server tells the session itself of each temporary file when that is gone, which is at the end of its statement at the
/// latest. Its statistics know them too, but only once a transaction is over (`pg_stat_database.temp_bytes`). That it tells at all
/// is set where the scratch server is made: `log_temp_files` is the superuser's.
const TELL: &str = "SET client_min_messages = log";

/// Of the user's own schemas.
const OURS: &str = "n.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema,lifeboat}'::pg_catalog.name[]) \
    AND n.nspname OPERATOR(pg_catalog.!~) '^pg_t'";
const NAMED: &str = "pg_catalog.format('%I.%I', n.nspname, c.relname)";
const OF_CLASS: &str = "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace";

async fn files(client: &Client) -> Result<BTreeMap<u32, File>, Error> {
    let sql = format!(
        "SELECT c.oid, {NAMED}, c.relkind OPERATOR(pg_catalog.=) 'm' {OF_CLASS} \
         WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,p,m}}'::pg_catalog.\"char\"[]) AND {OURS}"
    );
    let mut files = BTreeMap::new();
    for row in client.query(&sql, &[]).await? {
        let file = File {
            name: row.try_get(1)?,
            view: row.try_get(2)?,
        };
        files.insert(row.try_get(0)?, file);
    }
    Ok(files)
}

/// By name: ALTER COLUMN TYPE makes all those of a table anew, and they are the same to everybody.
async fn indexes(client: &Client) -> Result<BTreeMap<String, u64>, Error> {
    let sql = format!(
        "SELECT {NAMED}, coalesce(pg_catalog.pg_relation_size(c.oid), 0) {OF_CLASS} \
         WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{{i,I}}'::pg_catalog.\"char\"[]) AND {OURS}"
    );
    let mut indexes = BTreeMap::new();
    for row in client.query(&sql, &[]).await? {
        let size: i64 = row.try_get(1)?;
        indexes.insert(row.try_get(0)?, u64::try_from(size).unwrap_or_default());
    }
    Ok(indexes)
}

impl State {
    async fn now(client: &Client) -> Result<Self, Error> {
        let at = Instant::now();
        let sql = "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::pg_catalog.int8, \
            pg_catalog.current_setting('client_min_messages') OPERATOR(pg_catalog.=) 'log' \
              AND pg_catalog.current_setting('log_temp_files') OPERATOR(pg_catalog.=) '0'";
        let row = client.query_one(sql, &[]).await?;
        let (wal, told): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
        let sql = format!(
            "SELECT c.oid, coalesce(pg_catalog.pg_relation_filenode(c.oid), 0) {OF_CLASS} \
             WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{{r,p,m}}'::pg_catalog.\"char\"[]) AND {OURS}"
        );
        let mut numbers = BTreeMap::new();
        for row in client.query(&sql, &[]).await? {
            numbers.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let sql = "SELECT relation, mode FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'relation' AND granted \
            AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()";
        let mut locks = BTreeMap::new();
        for row in client.query(sql, &[]).await? {
            if let Some(mode) = Mode::parse(row.try_get(1)?) {
                let strongest = locks.entry(row.try_get(0)?).or_insert(mode);
                *strongest = mode.max(*strongest);
            }
        }
        let wal = u64::try_from(wal).unwrap_or_default();
        Ok(Self {
            numbers,
            locks,
            wal,
            told,
            at,
        })
    }
}

fn failed(error: Error) -> Failure {
    Failure::ours("measure a segment", &error)
}

impl Meter {
    /// Only in a rehearsal.
    pub(super) async fn of(order: &Order, work: &Connection) -> Result<Option<Self>, Failure> {
        if !order.rehearsal {
            return Ok(None);
        }
        let client = &work.client;
        client.batch_execute(TELL).await.map_err(failed)?;
        // Of earlier segments.
        let _ = (work.take_warnings(), work.take_temporary());
        let first = State::now(client).await.map_err(failed)?;
        Ok(Some(Self {
            files: files(client).await.map_err(failed)?,
            indexes: indexes(client).await.map_err(failed)?,
            last: first.clone(),
            first,
            steps: Vec::new(),
        }))
    }

    /// A statement begins: what was asked since the last one is nobody's.
    pub(super) fn begins(&mut self) {
        self.last.at = Instant::now();
    }

    /// A statement has ended, in the transaction of the segment: its locks go with that.
    pub(super) async fn ends(&mut self, work: &Connection, rows: u64) -> Result<(), Failure> {
        let now = State::now(&work.client).await.map_err(failed)?;
        // One that sets itself what it hears may have missed some.
        let told = self.last.told && now.told;
        self.step(work, now, rows, told);
        Ok(())
    }

    /// The files of a query are gone when the next one begins: that was ours, and is over.
    fn step(&mut self, work: &Connection, now: State, rows: u64, told: bool) {
        let temporary = Some(work.take_temporary()).filter(|_| told);
        let locks = now.locks.iter().filter_map(|(oid, mode)| {
            let stronger = self.last.locks.get(oid).is_none_or(|was| mode > was);
            let file = self.files.get(oid).filter(|_| stronger)?;
            Some((file.name.clone(), *mode))
        });
        self.steps.push(Step {
            locks: locks.collect(),
            rewritten: self.rewritten(&self.last, &now),
            rows,
            wal: now.wal.saturating_sub(self.last.wal),
            temporary,
            time: now.at - self.last.at,
        });
        self.last = now;
    }

    /// A statement outside transactions has ended. Its locks went with its own transactions: those of the closed list are
    /// known, and nobody who asks ten times a second sees them all. `None`: it is about every table.
    pub(super) async fn ends_alone(
        &mut self,
        work: &Connection,
        tables: Option<&[u32]>,
    ) -> Result<(), Failure> {
        let now = State::now(&work.client).await.map_err(failed)?;
        // Its session is set back by now; it cannot have done so itself.
        let told = self.first.told;
        self.step(work, now, 0, told);
        let about = |oid: &u32| tables.is_none_or(|tables| tables.contains(oid));
        let locked = self.files.iter().filter(|(oid, _)| about(oid));
        let locked = locked.map(|(_, file)| (file.name.clone(), Mode::ShareUpdateExclusive));
        if let Some(step) = self.steps.last_mut() {
            step.locks.extend(locked);
        }
        Ok(())
    }

    fn rewritten(&self, before: &State, now: &State) -> BTreeSet<String> {
        let anew = self.files.iter().filter(|(oid, _)| {
            let numbers = before.numbers.get(oid).zip(now.numbers.get(oid));
            numbers.is_some_and(|(was, is)| was != is)
        });
        anew.map(|(_, file)| file.name.clone()).collect()
    }

    /// After the last statement, and before the end of its transaction.
    pub(super) async fn measure(self, work: &Connection) -> Result<Measured, Failure> {
        let client = &work.client;
        let made = indexes(client).await.map_err(failed)?;
        let made = made
            .into_iter()
            .filter(|(name, _)| !self.indexes.contains_key(name));
        let (mut locks, mut views) = (BTreeMap::new(), BTreeMap::new());
        for (oid, mode) in &self.last.locks {
            if let Some(file) = self.files.get(oid) {
                let of_kind = if file.view { &mut views } else { &mut locks };
                of_kind.insert(file.name.clone(), *mode);
            }
        }
        Ok(Measured {
            rewritten: self.rewritten(&self.first, &self.last),
            locks,
            views,
            index: None,
            indexes: made.collect(),
            rows: self.steps.iter().map(|s| s.rows).collect(),
            wal: self.last.wal.saturating_sub(self.first.wal),
            time: self.steps.iter().map(|s| s.time).sum(),
            batches: 1,
            statements: self.steps,
            warnings: work.take_warnings(),
        })
    }
}
