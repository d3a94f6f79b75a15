//! Writes what was decided of a drill.

use super::decide::Observed;
use crate::api::{RestoreDrillStatus, name};
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
    decision: &Decision<RestoreDrillStatus>,
    heard: &[Notice],
) -> Result<(), Fault> {
    let written = report::report(context, &seen.drill, decision, heard).await?;
    let before = seen.drill.status.as_ref().and_then(|s| s.last.as_ref());
    let last = decision.status.last.as_ref();
    if let Some(last) = last.filter(|last| written && before.map(|b| &b.run) != Some(&last.run)) {
        context
            .metrics
            .drill_run(last.result.as_str(), &last.reason);
    }
    Ok(())
}

/// Adds how far the run is that is on; `decide` knows nothing of logs (K15).
#[must_use]
pub fn with_progress(
    context: &Context,
    seen: &Observed,
    mut decision: Decision<RestoreDrillStatus>,
) -> Decision<RestoreDrillStatus> {
    if let Some(run) = &mut decision.status.running {
        let current = name::drill_job(&run.run, run.attempt);
        let job = seen.jobs.iter().find(|job| job.name == current);
        run.progress = match job.map(|job| &job.state) {
            Some(JobState::Running { pod_uid, .. }) => context.tails.of(pod_uid).map(Into::into),
            _ => None,
        };
    }
    decision
}
