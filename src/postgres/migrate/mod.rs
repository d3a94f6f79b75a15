//! Applies the plan of a migration: once and only once, in nobody's way, and never with an end that nobody knows.
//!
//! ```text
//! apply ─► Sessions (work, lock, watch) ─► takeover: earlier sessions end, advisory lock          (M1)
//!   │                                        └► recover: what was begun and not seen to end        (M3, M4)
//!   └► next segment ─► transaction: fence ► locks ► statements ► read back ► COMMIT                (M1, M6, M14, M20)
//!                   ├► batch: a transaction that goes on from the place in its row, again and again (M18)
//!                   └► alone: started ► statement ► look ► done                                    (M3)
//!        both under the Watchdog, which cancels us before others wait too long                     (M14, M17)
//! beside it:  precheck and rights, before anything · ask: the user's checks, before and after                 (M11, M16)
//! a rehearsal: Meter, after each statement · Canary, after each segment                            (M21)
//! ```
//!
//! Owns the history in the database: it is the truth, whatever anybody remembers. Must never run a statement that the plan
//! does not hold, while the advisory lock is not ours, or twice.

mod activity;
mod alone;
mod analyze;
mod apply;
mod asked;
mod batches;
mod canary;
mod catalogue;
mod chain;
mod failure;
mod followers;
mod given;
mod heads;
mod history;
mod holders;
mod holdings;
mod index;
mod lock;
mod measure;
mod others;
mod precheck;
mod rights;
mod session;
mod standby;
mod statement;
mod surroundings;
mod takeover;
mod transaction;
mod watchdog;
mod whole;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

pub use analyze::analyze;
pub use apply::{Applied, apply};
pub use asked::{Asked, TIMEOUT as CHECK_TIMEOUT, Want, ask};
pub use canary::Canary;
pub use catalogue::{Place, context, place, written};
pub use chain::{Break, broken};
pub use failure::Stop;
pub use given::{Given, give, given};
pub use history::read as read_history;
pub use lock::Mode;
pub use measure::{Measured, Step};
pub use others::foreign;
pub use precheck::{Bounds, Finding, Level, What, precheck};
pub use rights::{Lack, lacks, refusal};
pub use surroundings::{EventTrigger, Surroundings, surroundings};
pub use whole::Whole;

use crate::plan::{Direction, Plan};

/// Who applies: in every row of the history and in `application_name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Of the MigrationRun.
    pub run_uid: String,
    /// Its namespace and name, for people.
    pub run: String,
    /// This try: the pod's UID.
    pub attempt: String,
    /// What was approved.
    pub plan_hash: String,
    /// By whom.
    pub approved_by: Vec<String>,
    /// The backup that stands behind it.
    pub backup: String,
}

impl Worker {
    /// Of every session of every run.
    const PREFIX: &'static str = "lifeboat-run/";

    /// Of every session of this run: PostgreSQL keeps 63 bytes of a name.
    fn of_run(&self) -> String {
        format!("{}{}/", Self::PREFIX, self.run_uid)
    }

    /// Of every session of this try.
    fn application_name(&self) -> String {
        let attempt: String = self.attempt.chars().take(8).collect();
        format!("{}{attempt}", self.of_run())
    }
}

/// As whom statements run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acting {
    /// `SET ROLE`; `None`: as the role that logs in.
    pub role: Option<String>,
    /// The `search_path`, as it stands in a SET.
    pub search_path: String,
}

/// How long anybody may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// We wait for locks so long in one try of a segment, in sum.
    pub lock_timeout: Duration,
    /// Another session waits for us so long.
    pub max_blocking: Duration,
    /// All others together wait so long for a table in the whole run.
    pub block_budget: Duration,
    /// A statement in a transaction takes so long.
    pub statement_timeout: Duration,
    /// A statement outside transactions takes so long.
    pub alone_timeout: Duration,
    /// An index that is not valid may take so long to be removed.
    pub removal: Duration,
    /// The same, once somebody has told the run to stop.
    pub farewell: Duration,
    /// So often a segment is tried.
    pub tries: u32,
    /// Before the second try; doubled each time, with jitter, up to [`Self::MOST_PAUSE`].
    pub pause: Duration,
    /// So long the sessions of an earlier try may take to end, and another run to give back the lock.
    pub takeover: Duration,
    /// So long a standby may take to replay a segment that locked out readers, and whoever is behind to catch up.
    pub replay: Duration,
    /// Bytes of WAL that somebody who follows may be behind when a segment begins.
    pub lag_bytes: u64,
    /// No segment begins later: seconds from the start of the worker.
    pub window: Duration,
    /// Between two segments it makes room for a backup so long after its start (M17).
    pub yields: Option<Duration>,
}

impl Limits {
    /// Longest pause between two tries.
    pub const MOST_PAUSE: Duration = Duration::from_secs(60);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_millis(500),
            max_blocking: Duration::from_secs(1),
            block_budget: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(3_600),
            alone_timeout: Duration::from_secs(6 * 3_600),
            removal: Duration::from_secs(600),
            farewell: Duration::from_secs(30),
            tries: 30,
            pause: Duration::from_secs(2),
            takeover: Duration::from_secs(60),
            replay: Duration::from_secs(300),
            lag_bytes: 64 * 1024 * 1024,
            window: Duration::from_secs(24 * 3_600),
            yields: None,
        }
    }
}

/// What the rehearsal saw of a segment, as far as applying needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// Tables that were there before, with the strongest lock that the segment took on each, by quoted name: taken first (M14).
    pub locks: BTreeMap<String, Mode>,
    /// `pg_get_indexdef` of the index that it makes (M3).
    pub index: Option<String>,
    /// Readers of something were locked out: the next segment waits for the standbys (M15).
    pub readers_out: bool,
    /// Rows that each statement returned or changed, as far as that is known (M8).
    pub rows: Vec<Option<u64>>,
}

impl From<&Measured> for Rehearsed {
    /// Who reads or writes rows waits for nobody but locks that are stronger: those alone are taken ahead.
    fn from(measured: &Measured) -> Self {
        let locks = measured
            .locks
            .iter()
            .filter(|(_, m)| **m > Mode::RowExclusive);
        Self {
            locks: locks.map(|(table, mode)| (table.clone(), *mode)).collect(),
            index: measured.index.clone(),
            readers_out: measured
                .locks
                .values()
                .chain(measured.views.values())
                .any(|m| *m == Mode::AccessExclusive),
            rows: measured.rows.iter().copied().map(Some).collect(),
        }
    }
}

/// What is to be applied, by whom, and within what bounds.
#[derive(Debug, Clone)]
pub struct Order {
    /// The plan.
    pub plan: Plan,
    /// Who.
    pub worker: Worker,
    /// As whom.
    pub acting: Acting,
    /// How long.
    pub limits: Limits,
    /// By version and segment.
    pub rehearsed: BTreeMap<(String, usize), Rehearsed>,
    /// Where the database has no history: everything up to this version counts as applied.
    pub baseline: Option<String>,
    /// Whether Supabase's own history is written too (M2).
    pub supabase: bool,
    /// On a scratch server, to see what it does: nothing is known of it yet, and every segment is measured.
    pub rehearsal: bool,
}

impl Order {
    fn direction(&self) -> Direction {
        self.plan.direction
    }
}

/// Where a run has come to. A worker that dies may die at each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// Three sessions are open.
    Connected,
    /// The database is ours.
    Locked,
    /// A segment's row is in its open transaction.
    Fenced,
    /// A statement is about to be sent.
    Statement,
    /// All statements of a transaction are through.
    Committing,
    /// The transaction is committed.
    Committed,
    /// A statement outside transactions is noted, not sent.
    Noted,
    /// It is through, and nobody has written so.
    Ran,
    /// An index that is not valid has been renamed, not dropped.
    Renamed,
    /// What was left behind is gone, and nobody has written so.
    Cleaned,
}

/// Is told where a run has come to, and what holds it up.
#[async_trait]
pub trait Observer: Send + Sync {
    /// A point was reached. The run goes on when this returns.
    async fn at(&self, point: Point);
    /// Who holds us up, for people.
    async fn says(&self, what: &str);
    /// How far a statement outside transactions is: its phase in the server's words, and percent of that where the server counts.
    async fn progress(&self, _phase: &str, _percent: Option<i64>) {}
    /// A file is through, in this worker or in an earlier one: told once for each (M6). Nothing of the next file begins before
    /// this returns.
    ///
    /// # Errors
    /// Why the run must not go on.
    async fn whole(&self, _whole: &Whole) -> Result<(), Stop> {
        Ok(())
    }
}

/// Nobody looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unseen;

#[async_trait]
impl Observer for Unseen {
    async fn at(&self, _: Point) {}
    async fn says(&self, _: &str) {}
}
