//! Who goes first among the Backups of one policy: one run at a time, in the order they were asked for. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use super::validate::created;
use crate::api::condition::{COMPLETE, FAILED, READY, find, is_true};
use crate::api::{Backup, BackupPolicy, BackupStatus, MigrationRun, Reason};
use crate::workload::SharedServers;

/// Whether it was completed or given up.
#[must_use]
pub fn is_finished(backup: &Backup) -> bool {
    let conditions = backup.status.as_ref().map(|s| s.conditions.as_slice());
    conditions.is_some_and(|c| is_true(c, COMPLETE) || is_true(c, FAILED))
}

/// Whether an attempt was decided since it was created or taken up again, and it is not finished.
#[must_use]
pub fn is_running(backup: &Backup) -> bool {
    !is_finished(backup) && backup.status.as_ref().is_some_and(has_begun)
}

pub(super) fn has_begun(status: &BackupStatus) -> bool {
    status.attempt.unwrap_or_default() > status.earlier_attempts.unwrap_or_default()
}

/// Whether it waits for a migration to end or to pause (M17).
#[must_use]
pub fn awaits_migration(backup: &Backup) -> bool {
    let conditions = backup.status.as_ref().map(|s| s.conditions.as_slice());
    let ready = conditions.and_then(|c| find(c, READY));
    !is_finished(backup) && ready.is_some_and(|c| c.reason == Reason::AwaitingMigration.as_str())
}

/// Name of a run whose worker changes the database of a policy (M17): it names the policy, or was planned for the server and
/// database that the policy's check found. Of another namespace, with that, and only if an administrator lists both.
#[must_use]
pub fn migrating<'a>(
    policy: &BackupPolicy,
    shared: &SharedServers,
    runs: impl IntoIterator<Item = &'a MigrationRun>,
) -> Option<String> {
    let of_it = |run: &MigrationRun| {
        let names_it =
            run.spec.policy_ref.name == policy.name_any() && run.namespace() == policy.namespace();
        let (theirs, ours) = (run.namespace(), policy.namespace());
        let same = run.database().is_some() && run.database() == policy.database();
        names_it || same && shared.together(theirs.as_deref(), ours.as_deref())
    };
    let mut runs = runs.into_iter();
    let run = runs.find(|run| run.is_at_database() && of_it(run))?;
    Some(named(run, policy.namespace().as_deref()))
}

/// `name`, or `namespace/name` where that is another namespace.
pub(crate) fn named<K: ResourceExt>(object: &K, from: Option<&str>) -> String {
    match object.namespace() {
        Some(namespace) if from != Some(namespace.as_str()) => {
            format!("{namespace}/{}", object.name_any())
        }
        _ => object.name_any(),
    }
}

/// Whether one of `others` (all Backups of the namespace will do) must end before `backup` may begin.
///
/// What began goes on; else the order of creation decides, which one watch of one kind always shows:
/// who sees a Backup also sees those created before it.
#[must_use]
pub fn another_goes_first<'a>(
    backup: &Backup,
    others: impl IntoIterator<Item = &'a Backup>,
) -> bool {
    let running = is_running(backup);
    let place = place(backup);
    others
        .into_iter()
        .filter(|other| {
            other.spec.policy_ref == backup.spec.policy_ref
                && other.namespace() == backup.namespace()
                && other.name_any() != backup.name_any()
                && !is_finished(other)
        })
        .any(|other| {
            let before = self::place(other) < place;
            match (running, is_running(other)) {
                (true, true) | (false, false) => before,
                (true, false) => false,
                (false, true) => true,
            }
        })
}

/// Since when it wants to begin, and its name.
pub(super) fn place(backup: &Backup) -> (Timestamp, String) {
    let renewed = backup.status.as_ref().and_then(|s| s.renewed_at);
    let since = renewed.map_or(created(backup), |r| r.max(created(backup)));
    (since, backup.name_any())
}
