//! Writes what was decided of a Backup.

use kube::ResourceExt;

use super::decide::Observed;
use crate::api::condition::{self, COMPLETE, FAILED, READY};
use crate::api::{BackupStatus, name};
use crate::cluster::decision::{Decision, Notice};
use crate::cluster::seen::JobState;
use crate::cluster::{Context, Fault, report};

/// Status, then Events, then the count of runs, once for each.
///
/// # Errors
/// As [`report::report`].
pub async fn report(
    context: &Context,
    seen: &Observed,
    decision: &Decision<BackupStatus>,
    heard: &[Notice],
) -> Result<(), Fault> {
    let written = report::report(context, &seen.backup, decision, heard).await?;
    let was_over = seen.backup.status.as_ref().is_some_and(is_over);
    if written && !was_over && is_over(&decision.status) {
        let ready = condition::find(&decision.status.conditions, READY);
        let reason = ready.map_or("Unknown", |c| c.reason.as_str());
        context.metrics.backup_run(reason);
    }
    Ok(())
}

/// Adds how far the running attempt is; `decide` knows nothing of logs.
#[must_use]
pub fn with_progress(
    context: &Context,
    seen: &Observed,
    decision: Decision<BackupStatus>,
) -> Decision<BackupStatus> {
    let job = seen.job.as_ref();
    let attempt = decision.status.attempt.unwrap_or_default();
    let current = name::backup_job(&seen.backup.name_any(), attempt);
    let progress = match job.filter(|job| job.name == current).map(|job| &job.state) {
        Some(JobState::Running { pod_uid, .. }) => context.tails.of(pod_uid),
        _ => None,
    };
    Decision {
        status: BackupStatus {
            progress,
            ..decision.status
        },
        ..decision
    }
}

fn is_over(status: &BackupStatus) -> bool {
    condition::is_true(&status.conditions, COMPLETE)
        || condition::is_true(&status.conditions, FAILED)
}
