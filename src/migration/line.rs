//! Who goes first among the runs of one policy (M23). Pure.

use std::cmp::Ordering;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::MigrationRun;
use crate::api::condition::{COMPLETE, is_true};
use crate::api::migration_run::MigrationStep;

/// Name of the run that goes before `run`, among all of the namespace: one whose worker is at the database, else the one with
/// the lowest target version, then the oldest. One that failed stops those after it until it is deleted or suspended; one
/// that is complete stops nobody.
#[must_use]
pub fn another_goes_first<'a>(
    run: &MigrationRun,
    others: impl IntoIterator<Item = &'a MigrationRun>,
) -> Option<String> {
    let others = others.into_iter().filter(|other| {
        other.spec.policy_ref == run.spec.policy_ref
            && other.namespace() == run.namespace()
            && other.name_any() != run.name_any()
    });
    let mut first: Option<&MigrationRun> = None;
    for other in others {
        let goes = match at_the_database(other) {
            true => !at_the_database(run) || place(other) < place(run),
            false => counts(other) && !at_the_database(run) && place(other) < place(run),
        };
        if goes && first.is_none_or(|f| place(other) < place(f)) {
            first = Some(other);
        }
    }
    first.map(ResourceExt::name_any)
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

/// Whether a worker of it changes the database, or may have.
fn at_the_database(run: &MigrationRun) -> bool {
    let running = run.status.as_ref().and_then(|s| s.running.as_ref());
    running.is_some_and(|r| matches!(r.step, MigrationStep::Apply | MigrationStep::Settle))
}

fn place(run: &MigrationRun) -> (Version, Timestamp, String) {
    let created = run.metadata.creation_timestamp.as_ref();
    let created = created.map_or(Timestamp::UNIX_EPOCH, |t| t.0);
    (
        Version::of(&run.spec.target.version),
        created,
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
