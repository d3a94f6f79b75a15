//! Who goes first among the runs of one database (M23). Pure.

use std::cmp::Ordering;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::MigrationRun;
use crate::api::condition::{COMPLETE, is_true};

/// The run that goes before `run`, among all of the cluster: one whose worker is at the database, else the one with
/// the lowest target version, then the oldest. One that failed stops those after it until it is deleted or suspended; one
/// that is complete stops nobody. Of another namespace it is named with that.
#[must_use]
pub fn another_goes_first<'a>(
    run: &MigrationRun,
    others: impl IntoIterator<Item = &'a MigrationRun>,
) -> Option<String> {
    let same = |other: &MigrationRun| {
        (other.namespace(), other.name_any()) == (run.namespace(), run.name_any())
    };
    let others = others.into_iter();
    let others = others.filter(|other| of_one_database(run, other) && !same(other));
    let mut first: Option<&MigrationRun> = None;
    for other in others {
        let goes = match other.is_at_database() {
            true => !run.is_at_database() || place(other) < place(run),
            false => counts(other) && !run.is_at_database() && place(other) < place(run),
        };
        if goes && first.is_none_or(|f| place(other) < place(f)) {
            first = Some(other);
        }
    }
    first.map(|first| match first.namespace() {
        Some(namespace) if run.namespace().as_ref() != Some(&namespace) => {
            format!("{namespace}/{}", first.name_any())
        }
        _ => first.name_any(),
    })
}

/// Whether both change one database: they name one policy, or were planned for the same (M23).
pub(crate) fn of_one_database(a: &MigrationRun, b: &MigrationRun) -> bool {
    let one_policy = a.spec.policy_ref == b.spec.policy_ref && a.namespace() == b.namespace();
    one_policy || (a.database().is_some() && a.database() == b.database())
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
