//! Who goes first among the runs of one database (M23). Pure.

use std::cmp::Ordering;

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use super::decide::{has_applied, is_over, is_unsettled};
use crate::api::condition::{COMPLETE, FAILED, is_true};
use crate::api::migration_run::MigrationStep;
use crate::api::{MigrationRun, MigrationRunStatus};
use crate::backup::line::named;
use crate::workload::SharedServers;

/// Who goes before a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Before {
    /// Its name, with its namespace where that is another.
    pub name: String,
    /// A worker of it is at the database: a plan that is older will not hold.
    pub at_database: bool,
    /// It failed, and holds those after it until a person has looked.
    pub failed: bool,
}

/// The run of the same database that goes before `run`, in its namespace and those that share its servers: one whose worker is at the database, else the one with
/// the lowest target version, then the oldest. One that failed stops those after it until it is deleted or suspended; one
/// that is complete stops nobody. Of another namespace it is named with that.
#[must_use]
pub fn another_goes_first<'a>(
    run: &MigrationRun,
    shared: &SharedServers,
    others: impl IntoIterator<Item = &'a MigrationRun>,
) -> Option<Before> {
    let same = |other: &MigrationRun| {
        (other.namespace(), other.name_any()) == (run.namespace(), run.name_any())
    };
    let others = others.into_iter();
    let others = others.filter(|other| of_one_database(run, other, shared) && !same(other));
    let mut first: Option<&MigrationRun> = None;
    for other in others {
        let goes = match at_database(other) {
            true => !at_database(run) || place(other) < place(run),
            false => counts(other) && !at_database(run) && place(other) < place(run),
        };
        if goes && first.is_none_or(|f| place(other) < place(f)) {
            first = Some(other);
        }
    }
    first.map(|first| Before {
        name: named(first, run.namespace().as_deref()),
        at_database: at_database(first),
        failed: first
            .status
            .as_ref()
            .is_some_and(|s| is_true(&s.conditions, FAILED)),
    })
}

/// Notes that another run's worker was at the database since this one was planned, or while it is being planned.
pub(super) fn overtaken(status: MigrationRunStatus, first: &Option<Before>) -> MigrationRunStatus {
    let running = status.running.as_ref();
    let planning = running.is_some_and(|r| r.step == MigrationStep::Plan);
    let begun = has_applied(&status) || is_unsettled(&status);
    let counts = (planning || status.plan.is_some()) && !begun && !is_over(&status);
    match first {
        Some(first) if first.at_database && counts => MigrationRunStatus {
            overtaken_by: Some(first.name.clone()),
            ..status
        },
        _ => status,
    }
}

/// Whether both change one database, as far as they have to wait for each other: they name one policy, or were planned for the same (M23).
pub(crate) fn of_one_database(a: &MigrationRun, b: &MigrationRun, shared: &SharedServers) -> bool {
    let (here, there) = (a.namespace(), b.namespace());
    let one_policy = a.spec.policy_ref == b.spec.policy_ref && here == there;
    let same = a.database().is_some() && a.database() == b.database();
    one_policy || same && shared.together(here.as_deref(), there.as_deref())
}

/// A worker of it is at the database, or one was and what it left is not looked after yet.
fn at_database(run: &MigrationRun) -> bool {
    let status = run.status.as_ref();
    run.is_at_database() || status.is_some_and(|s| is_unsettled(s) && !is_over(s))
}

/// Whether it stands in line at all.
fn counts(run: &MigrationRun) -> bool {
    let complete = run.status.as_ref();
    let complete = complete.is_some_and(|s| is_true(&s.conditions, COMPLETE));
    !complete
        && !run.spec.suspend.unwrap_or_default()
        // Nobody begins anything for it any more.
        && run.metadata.deletion_timestamp.is_none()
}

fn place(run: &MigrationRun) -> (Version, Timestamp, Option<String>, String) {
    let created = run.metadata.creation_timestamp.as_ref();
    let created = created.map_or(Timestamp::UNIX_EPOCH, |t| t.0);
    (
        Version::of(&run.spec.target.version),
        created,
        run.namespace(),
        run.name_any(),
    )
}

/// A version by its numbers, however long they are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version(Vec<String>);

impl Version {
    fn of(text: &str) -> Self {
        let parts = text.split('.').map(|part| part.trim_start_matches('0'));
        Self(parts.map(str::to_owned).collect())
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        let mut orders = pairs.map(|(a, b)| (a.len(), a).cmp(&(b.len(), b)));
        orders
            .find(|order| order.is_ne())
            .unwrap_or_else(|| self.0.len().cmp(&other.0.len()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
