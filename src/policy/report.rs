//! Writes what was decided of a policy.

use kube::ResourceExt;

use super::decide::Observed;
use crate::api::BackupPolicyStatus;
use crate::cluster::decision::{Decision, Notice};
use crate::cluster::{Caches, Context, Fault, report};
use crate::telemetry::PolicyFigures;

/// Status, then Events, then what metrics tell of the policy.
///
/// # Errors
/// As [`report::report`].
pub async fn report(
    context: &Context,
    seen: &Observed,
    decision: &Decision<BackupPolicyStatus>,
    heard: &[Notice],
) -> Result<(), Fault> {
    report::report(context, &seen.policy, decision, heard).await?;
    let namespace = seen.policy.namespace().unwrap_or_default();
    let name = seen.policy.name_any();
    let figures = figures(&decision.status);
    context.metrics.policies.show(&namespace, &name, &figures);
    // It may have been deleted meanwhile: whoever comes last, this or the watch, takes the figures back.
    if Caches::get(&context.caches.policies, &namespace, &name).is_none() {
        context.forget_gone_policies();
    }
    Ok(())
}

fn figures(status: &BackupPolicyStatus) -> PolicyFigures {
    let alerts = status.alerts.iter();
    PolicyFigures {
        last_backup: status.last_backup.as_ref().map(|last| last.finished_at),
        recovery_point: status.recovery_point,
        last_proven: status.last_proven.as_ref().map(|proven| proven.data_at),
        alerts: alerts
            .map(|alert| (alert.name.clone(), alert.severity.as_str().to_owned()))
            .collect(),
    }
}
