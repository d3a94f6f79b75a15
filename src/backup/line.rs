//! Who goes first among the Backups of one policy: one run at a time, in the order they were asked for. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use super::validate::created;
use crate::api::condition::{COMPLETE, FAILED, is_true};
use crate::api::{Backup, BackupStatus};

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

fn place(backup: &Backup) -> (Timestamp, String) {
    let renewed = backup.status.as_ref().and_then(|s| s.renewed_at);
    let since = renewed.map_or(created(backup), |r| r.max(created(backup)));
    (since, backup.name_any())
}
