//! The conditions of a drill (K30). Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::decide::Case;
use crate::api::condition::{
    BREAK_GLASS, Conditions, ISOLATED, PASSED, READY, RECONCILING, REGRESSION, STALLED, Truth, cut,
};
use crate::api::restore_drill::{DrillOutcome, Verdict};
use crate::api::{Reason, RestoreDrillStatus};

impl Case<'_> {
    /// Waits or runs.
    pub(super) fn under_way(
        &self,
        status: RestoreDrillStatus,
        reason: Reason,
        why: &str,
    ) -> RestoreDrillStatus {
        let mut conditions = self.begin(&status);
        let why = cut(why);
        conditions.set(READY, Truth::Unknown, reason, why.clone());
        conditions.set(RECONCILING, Truth::True, reason, why);
        conditions.set(STALLED, Truth::False, reason, "nothing is in the way");
        self.end(conditions, status)
    }

    /// A person must help.
    pub(super) fn stalled(
        &self,
        status: RestoreDrillStatus,
        reason: Reason,
        why: &str,
    ) -> RestoreDrillStatus {
        let mut conditions = self.begin(&status);
        let why = cut(why);
        conditions.set(READY, Truth::False, reason, why.clone());
        conditions.set(RECONCILING, Truth::False, reason, "waits for a person");
        conditions.set(STALLED, Truth::True, reason, why);
        self.end(conditions, status)
    }

    /// Nothing is on: what the last run said is what there is to say.
    pub(super) fn at_rest(&self, status: RestoreDrillStatus) -> RestoreDrillStatus {
        let mut conditions = self.begin(&status);
        let suspended = self.seen.drill.spec.suspend.unwrap_or_default();
        // The reason tells the next look that due times passed by wish.
        let (idle, why) = match suspended {
            true => (Reason::Suspended, "suspended: no new runs start"),
            false => (Reason::Idle, "nothing is under way"),
        };
        let future = status.last_schedule_time.filter(|time| *time > self.now);
        match (&status.last, future) {
            (Some(last), _) if last.result != Verdict::Passed => {
                conditions.set(READY, Truth::False, reason_of(last), last.message.clone());
                conditions.set(STALLED, Truth::True, reason_of(last), last.message.clone());
            }
            (_, Some(future)) => {
                let why = format!(
                    "a due time in the future is ignored: {future}; look at this cluster's clocks"
                );
                conditions.set(READY, Truth::True, Reason::FutureSchedule, why);
                conditions.set(STALLED, Truth::False, idle, why_not_stalled());
            }
            (Some(last), None) => {
                conditions.set(READY, Truth::True, reason_of(last), last.message.clone());
                conditions.set(STALLED, Truth::False, idle, why_not_stalled());
            }
            (None, None) => {
                let why = if suspended {
                    why
                } else {
                    "no drill was due yet"
                };
                conditions.set(READY, Truth::True, idle, why);
                conditions.set(STALLED, Truth::False, idle, why_not_stalled());
            }
        }
        conditions.set(RECONCILING, Truth::False, idle, why);
        self.end(conditions, status)
    }

    fn begin(&self, status: &RestoreDrillStatus) -> Conditions {
        let generation = self.seen.drill.metadata.generation;
        Conditions::new(&status.conditions, generation, self.now)
    }

    fn end(&self, mut conditions: Conditions, status: RestoreDrillStatus) -> RestoreDrillStatus {
        match &status.last {
            None => conditions.set(
                PASSED,
                Truth::Unknown,
                Reason::Pending,
                "no drill has ended yet",
            ),
            Some(last) => {
                let truth = match last.result {
                    Verdict::Passed => Truth::True,
                    Verdict::Failed => Truth::False,
                    Verdict::Inconclusive => Truth::Unknown,
                };
                conditions.set(PASSED, truth, reason_of(last), last.message.clone());
            }
        }
        for type_ in [ISOLATED, REGRESSION, BREAK_GLASS] {
            conditions.keep(type_);
        }
        RestoreDrillStatus {
            observed_generation: self.seen.drill.metadata.generation,
            conditions: conditions.finish(),
            ..status
        }
    }
}

/// States one more condition of a status.
pub(super) fn with(
    case: &Case<'_>,
    status: RestoreDrillStatus,
    type_: &str,
    (truth, reason, why): (Truth, Reason, &str),
) -> RestoreDrillStatus {
    let generation = case.seen.drill.metadata.generation;
    let mut conditions = Conditions::new(&status.conditions, generation, case.now);
    for Condition { type_, .. } in &status.conditions {
        conditions.keep(type_);
    }
    conditions.set(type_, truth, reason, cut(why));
    RestoreDrillStatus {
        conditions: conditions.finish(),
        ..status
    }
}

fn reason_of(last: &DrillOutcome) -> Reason {
    Reason::parse(&last.reason).unwrap_or(Reason::Unknown)
}

fn why_not_stalled() -> &'static str {
    "the spec can work"
}
