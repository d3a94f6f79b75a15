//! When the script that restores without Lifeboat is drilled too, and what stands in the status of it. Pure.

use super::conclude::Ended;
use super::conditions::with;
use super::decide::Case;
use crate::api::condition::{BREAK_GLASS, Truth, cut};
use crate::api::restore_drill::{BreakGlass, BreakGlassOutcome, RunningDrill, Verdict};
use crate::api::{Reason, RestoreDrill, RestoreDrillStatus};
use crate::cluster::decision::Notice;
use crate::schedule::utc_month;

/// Whether a run tries it: each one until it passed once in the month in which the run began.
pub(super) fn due(drill: &RestoreDrill, run: &RunningDrill) -> bool {
    match drill.spec.break_glass.unwrap_or_default() {
        BreakGlass::Never => false,
        BreakGlass::Always => true,
        BreakGlass::Monthly => {
            let last = drill.status.as_ref().and_then(|s| s.break_glass.as_ref());
            let passed = last.filter(|last| last.result == Verdict::Passed);
            passed.is_none_or(|last| utc_month(last.finished_at) != utc_month(run.started_at))
        }
    }
}

impl Case<'_> {
    /// Writes down how it went. A run that did not try it leaves what stands.
    pub(super) fn break_glass(
        &self,
        status: RestoreDrillStatus,
        run: &RunningDrill,
        ended: &Ended,
        notices: &mut Vec<Notice>,
    ) -> RestoreDrillStatus {
        let said = ended.drill.as_ref().and_then(|d| d.break_glass.as_ref());
        // Whoever restored nothing with the loader has nothing to say of the script.
        let Some(said) = said.filter(|_| ended.result == Verdict::Passed) else {
            return status;
        };
        let message = cut(&said.message);
        let (truth, reason) = match said.result {
            Verdict::Passed => (Truth::True, Reason::Succeeded),
            Verdict::Failed => (Truth::False, Reason::BreakGlassFailed),
            Verdict::Inconclusive => (Truth::Unknown, Reason::Unknown),
        };
        if said.result == Verdict::Failed {
            let text = format!(
                "run `{}`: docs/break-glass.sh does not restore the backup whole: {message}",
                run.run
            );
            notices.push(Notice::warning(reason, text));
        }
        let status = RestoreDrillStatus {
            break_glass: Some(BreakGlassOutcome {
                run: run.run.clone(),
                finished_at: self.now,
                result: said.result,
                message: message.clone(),
                seconds: said.seconds.max(0),
            }),
            ..status
        };
        with(self, status, BREAK_GLASS, (truth, reason, &message))
    }
}
