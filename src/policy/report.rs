//! Writes what was decided of a policy.

use kube::ResourceExt;

use super::decide::Observed;
use crate::api::BackupPolicyStatus;
use crate::cluster::decision::{Decision, Notice};
use crate::cluster::{Context, Fault, report};

/// Status, then Events, then the age of the newest backup for alerts.
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
    if let Some(last) = &decision.status.last_backup {
        let namespace = seen.policy.namespace().unwrap_or_default();
        let name = seen.policy.name_any();
        context
            .metrics
            .last_backup(&namespace, &name, last.finished_at);
    }
    Ok(())
}
