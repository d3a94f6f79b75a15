//! One look at a drill.

use std::sync::Arc;

use kube::runtime::controller::Action;

use super::{decide, observe, report, validate};
use crate::api::RestoreDrill;
use crate::cluster::act::act;
use crate::cluster::report::action;
use crate::cluster::{Context, Fault};

/// observe → validate → decide → act → report.
///
/// # Errors
/// [`Fault`]; the controller looks again.
pub async fn reconcile(drill: RestoreDrill, context: Arc<Context>) -> Result<Action, Fault> {
    let now = context.clock.now();
    let seen = observe::observe(&context, drill, now);
    let valid = validate::validate(&seen.drill, &context.settings);
    let decision = decide::decide(valid.as_ref(), &seen, &context.settings, now);
    let decision = report::with_progress(&context, &seen, decision);
    let heard = act(&context, &decision.effects).await?;
    report::report(&context, &seen, &decision, &heard).await?;
    Ok(action(&context, decision.next))
}
