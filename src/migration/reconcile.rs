//! One look at a run.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::decide::Observed;
use super::{decide, observe, report, validate};
use crate::api::migration_run::{MigrationPlan, MigrationStep};
use crate::api::{MigrationRun, name};
use crate::cluster::act::act;
use crate::cluster::report::action;
use crate::cluster::seen::JobState;
use crate::cluster::{Context, Fault, admission, document};

/// observe → validate → decide → act → report.
///
/// # Errors
/// [`Fault`]; the controller looks again.
pub async fn reconcile(run: MigrationRun, context: Arc<Context>) -> Result<Action, Fault> {
    let now = context.clock.now();
    let admission = admission::look(&context).await?;
    let mut seen = observe::observe(&context, run, admission, now);
    seen.document = plan(&context, &seen).await?;
    let valid = validate::validate(&seen.run, &context.settings);
    let decision = decide::decide(valid.as_ref(), &seen, &context.settings, now);
    let decision = report::with_progress(&context, &seen, decision);
    let heard = act(&context, &decision.effects).await?;
    report::report(&context, &seen, &decision, &heard).await?;
    Ok(action(&context, decision.next))
}

/// The plan in the log of the pod that planned, when it has ended and nobody has read it yet.
async fn plan(context: &Context, seen: &Observed) -> Result<Option<MigrationPlan>, Fault> {
    let running = seen.run.status.as_ref().and_then(|s| s.running.as_ref());
    let Some(running) = running.filter(|r| r.step == MigrationStep::Plan) else {
        return Ok(None);
    };
    let job = name::migration_job(&seen.run.name_any(), running.step.as_str(), running.attempt);
    let job = seen.jobs.iter().find(|j| j.name == job);
    let state = job.map(|j| &j.state).or(seen.end.as_ref());
    let Some(JobState::Ended {
        result: Some(result),
        pod_uid: Some(pod),
        ..
    }) = state
    else {
        return Ok(None);
    };
    let said = result.migration.as_ref().and_then(|m| m.document.as_ref());
    match said {
        Some(said) => document::plan(context, pod, said).await,
        None => Ok(None),
    }
}
