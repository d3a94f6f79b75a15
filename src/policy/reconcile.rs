//! One look at a policy.

use std::sync::Arc;

use kube::runtime::controller::Action;

use super::{decide, observe, report, validate};
use crate::api::BackupPolicy;
use crate::cluster::act::act;
use crate::cluster::report::action;
use crate::cluster::{Context, Fault};

/// observe → validate → decide → act → report.
///
/// # Errors
/// [`Fault`]; the controller looks again.
pub async fn reconcile(policy: BackupPolicy, context: Arc<Context>) -> Result<Action, Fault> {
    let now = context.clock.now();
    let seen = observe::observe(&context, policy, now);
    let valid = validate::validate(&seen.policy, &context.settings);
    let decision = decide::decide(valid.as_ref(), &seen, &context.settings, now);
    let heard = act(&context, &decision.effects).await?;
    report::report(&context, &seen, &decision, &heard).await?;
    Ok(action(&context, decision.next))
}
