//! One look at a Backup.

use std::sync::Arc;

use kube::runtime::controller::Action;

use super::{decide, observe, report, validate};
use crate::api::Backup;
use crate::cluster::act::act;
use crate::cluster::report::action;
use crate::cluster::{Context, Fault};

/// observe → validate → decide → act → report.
///
/// # Errors
/// [`Fault`]; the controller looks again.
pub async fn reconcile(backup: Backup, context: Arc<Context>) -> Result<Action, Fault> {
    let now = context.clock.now();
    let seen = observe::observe(&context, backup, now);
    let valid = validate::validate(&seen.backup);
    let decision = decide::decide(valid.as_ref(), &seen, &context.settings, now);
    let decision = report::with_progress(&context, &seen, decision);
    let heard = act(&context, &decision.effects).await?;
    report::report(&context, &seen, &decision, &heard).await?;
    Ok(action(&context, decision.next))
}
