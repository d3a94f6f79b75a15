//! Writes what was decided of a run.

use kube::ResourceExt;

use super::decide::Observed;
use crate::api::{MigrationRunStatus, Reason, name};
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
    decision: &Decision<MigrationRunStatus>,
    heard: &[Notice],
) -> Result<(), Fault> {
    let written = report::report(context, &seen.run, decision, heard).await?;
    let before = seen.run.status.as_ref().and_then(|s| s.finished_at);
    if written && before.is_none() && decision.status.finished_at.is_some() {
        use crate::api::condition::{READY, find};
        let ready = find(&decision.status.conditions, READY);
        let reason = ready.and_then(|c| Reason::parse(&c.reason));
        context
            .metrics
            .migration_run(reason.unwrap_or(Reason::Unknown).as_str());
    }
    Ok(())
}

/// Adds how far the worker is that is on; `decide` knows nothing of logs (K15).
#[must_use]
pub fn with_progress(
    context: &Context,
    seen: &Observed,
    mut decision: Decision<MigrationRunStatus>,
) -> Decision<MigrationRunStatus> {
    if let Some(running) = &mut decision.status.running {
        let run = seen.run.name_any();
        let current = name::migration_job(&run, running.step.as_str(), running.attempt);
        let job = seen.jobs.iter().find(|job| job.name == current);
        running.progress = match job.map(|job| &job.state) {
            Some(JobState::Running { pod_uid, .. }) => context.tails.of(pod_uid).map(Into::into),
            _ => None,
        };
    }
    decision
}
