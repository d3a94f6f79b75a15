//! Writes what was decided of a run.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::decide::Observed;
use crate::api::condition::{READY, RECONCILING, cut, find};
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
        let told = match job.map(|job| &job.state) {
            Some(JobState::Running { pod_uid, .. }) => context.tails.of(pod_uid),
            _ => None,
        };
        let waits = told.as_ref().and_then(|told| told.blocking.clone());
        running.progress = told.map(Into::into);
        if let Some(waits) = waits {
            let conditions = decision.status.conditions.iter_mut();
            says(conditions, &waits);
        }
    }
    decision
}

/// Whoever reads the conditions of a run that is at work learns who is in its way: the worker names sessions, never what they run.
fn says<'c>(conditions: impl Iterator<Item = &'c mut Condition>, waits: &str) {
    let running = Reason::Running.as_str();
    let told = conditions.filter(|c| [READY, RECONCILING].contains(&c.type_.as_str()));
    for condition in told.filter(|c| c.reason == running) {
        condition.message = cut(&format!("{}: {waits}", condition.message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition::{Conditions, STALLED, Truth};

    #[test]
    fn who_is_in_the_way_stands_in_the_conditions() {
        let mut conditions = Conditions::new(&[], None, jiff::Timestamp::UNIX_EPOCH);
        let why = "applying is at work";
        conditions.set(READY, Truth::Unknown, Reason::Running, why);
        conditions.set(RECONCILING, Truth::True, Reason::Running, why);
        conditions.set(
            STALLED,
            Truth::False,
            Reason::Running,
            "nothing is in the way",
        );
        let mut conditions = conditions.finish();
        says(
            conditions.iter_mut(),
            "waits: pid 7 of user app (till) holds orders",
        );
        let message = |type_| find(&conditions, type_).map(|c| c.message.as_str());
        let wanted = "applying is at work: waits: pid 7 of user app (till) holds orders";
        assert_eq!(message(READY), Some(wanted));
        assert_eq!(message(RECONCILING), Some(wanted));
        assert_eq!(message(STALLED), Some("nothing is in the way"));
    }
}
