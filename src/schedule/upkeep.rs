//! The rhythm of probes and checks: at once when the spec or `requestedAt` changed, then once a
//! period at a time of its own, and after a failure again and again (K20, K21). Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::spread::within;
use super::{earlier, later};
use crate::api::Reason;
use crate::api::backup_store::{UpkeepPlan, UpkeepRun};
use crate::api::condition::cut;
use crate::cluster::seen::{JobState, SeenJob, never_started};
use crate::task::TaskResult;
use crate::workload::{START_DEADLINE, UPKEEP_DEADLINE};

/// Longest value of `requestedAt` that is told apart.
pub const MAX_REQUESTED_AT: usize = 128;
/// A run that is neither ended nor removed this long after its deadlines is given up.
const GIVE_UP_SLACK: Duration = Duration::from_secs(900);
/// The next run of a period comes no sooner than this after the last.
const MIN_REST: Duration = Duration::from_secs(3_600);

/// What is known of one object's probes or checks.
#[derive(Debug, Clone)]
pub struct Upkeep<'a> {
    /// Namespace and name, which set the time of day.
    pub owner: [&'a str; 2],
    /// Generation of the spec.
    pub generation: i64,
    /// Value of the annotation, cut to [`MAX_REQUESTED_AT`].
    pub requested_at: Option<String>,
    /// How often it runs when all is well.
    pub period: Duration,
    /// The last answer.
    pub last: Option<&'a UpkeepRun>,
    /// The plan that stands in the status.
    pub plan: Option<&'a UpkeepPlan>,
}

/// The run that is on or comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// As it stands in the status.
    pub plan: UpkeepPlan,
    /// Whether this spec or request has no answer yet.
    pub unanswered: bool,
    /// Part of the Job's name that tells rounds apart; the same however often it is decided.
    pub name: String,
}

/// What to do about a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Not yet.
    Wait,
    /// Create its Job.
    Start,
    /// Its Job is on. Look again at `until`.
    Watch {
        /// When it is given up.
        until: Timestamp,
        /// Why its worker has not begun; `None` once it has.
        waiting: Option<(Reason, String)>,
    },
    /// It ended.
    Took(Box<Outcome>),
}

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `Succeeded`, or why not.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// What the worker wrote, if it did.
    pub result: Option<TaskResult>,
}

impl Upkeep<'_> {
    /// The round that is on or comes next.
    #[must_use]
    pub fn round(&self, now: Timestamp) -> Round {
        let answered = self.last.filter(|last| {
            last.generation == self.generation && last.requested_at == self.requested_at
        });
        let plan = match (answered, self.plan) {
            (Some(_), Some(plan)) => plan.clone(),
            (Some(last), None) => UpkeepPlan {
                at: self.daily(last.time),
                failed_tries: 0,
            },
            // A plan that is due keeps its time, so that looking again changes nothing.
            (None, plan) => UpkeepPlan {
                at: plan.map_or(now, |p| p.at.min(now)),
                failed_tries: 0,
            },
        };
        let since = self.last.map_or(0, |last| last.time.as_second());
        Round {
            name: format!("{since}-{}", plan.failed_tries),
            unanswered: answered.is_none(),
            plan,
        }
    }

    /// What to do about `round`, whose Job has the name `expected`.
    #[must_use]
    pub fn step(round: &Round, expected: &str, job: Option<&SeenJob>, now: Timestamp) -> Step {
        let Some(job) = job.filter(|job| job.name == expected) else {
            return if now >= round.plan.at {
                Step::Start
            } else {
                Step::Wait
            };
        };
        let (until, waiting) = match &job.state {
            JobState::Ended { result, why, .. } => {
                return Step::Took(Box::new(Outcome::of(result.as_deref(), why)));
            }
            JobState::Waiting { reason, why } => {
                let until = later(job.created_at, START_DEADLINE);
                if now >= until {
                    let message = format!("its pod did not start within 15 minutes: {why}");
                    return Step::Took(Box::new(Outcome {
                        reason: never_started(*reason),
                        message,
                        result: None,
                    }));
                }
                (until, Some((*reason, why.clone())))
            }
            JobState::Running { .. } => {
                let most = START_DEADLINE + UPKEEP_DEADLINE + GIVE_UP_SLACK;
                (later(job.created_at, most), None)
            }
        };
        if now >= until {
            return Step::Took(Box::new(Outcome::of(None, "it outlived its deadlines")));
        }
        Step::Watch { until, waiting }
    }

    /// What stands in the status after a round ended.
    #[must_use]
    pub fn record(
        &self,
        round: &Round,
        outcome: &Outcome,
        now: Timestamp,
    ) -> (UpkeepRun, UpkeepPlan) {
        let succeeded = outcome.reason == Reason::Succeeded;
        let failed_tries = match succeeded {
            true => 0,
            false => round.plan.failed_tries.saturating_add(1),
        };
        let run = UpkeepRun {
            time: now,
            generation: self.generation,
            requested_at: self.requested_at.clone(),
            succeeded,
            reason: outcome.reason.as_str().to_owned(),
            message: cut(&outcome.message),
        };
        let at = match succeeded {
            true => self.daily(now),
            false => later(now, self.backoff(failed_tries)),
        };
        (run, UpkeepPlan { at, failed_tries })
    }

    /// The first time of this object's own after `last`, at least an hour later.
    fn daily(&self, last: Timestamp) -> Timestamp {
        let period = self.period.as_secs().max(1);
        let phase = within(&self.owner, period.saturating_sub(1));
        let earliest = later(last, MIN_REST);
        let second = u64::try_from(earliest.as_second()).unwrap_or_default();
        let into = second % period;
        let wait = (phase + period).saturating_sub(into) % period;
        let start = earlier(earliest, Duration::from_nanos(subsecond(earliest)));
        later(start, Duration::from_secs(wait))
    }

    /// 1, 2, 4 … 30 minutes, and up to a tenth more, the same for one object and try.
    fn backoff(&self, failed_tries: i32) -> Duration {
        let doublings = u32::try_from(failed_tries.saturating_sub(1)).unwrap_or_default();
        let minutes = 2_u64.saturating_pow(doublings).min(30);
        let [namespace, name] = self.owner;
        let jitter = within(&[namespace, name, &failed_tries.to_string()], minutes * 6);
        Duration::from_secs(minutes * 60 + jitter)
    }
}

impl Outcome {
    fn of(result: Option<&TaskResult>, why: &str) -> Self {
        match result {
            Some(result) => Self {
                reason: result.reason,
                message: result.message.clone(),
                result: Some(result.clone()),
            },
            None => Self {
                reason: Reason::ResultLost,
                message: format!("its pod ended without a result: {why}"),
                result: None,
            },
        }
    }
}

fn subsecond(time: Timestamp) -> u64 {
    u64::try_from(time.subsec_nanosecond()).unwrap_or_default()
}

/// The annotation's value as it is compared and stored.
#[must_use]
pub fn requested_at(annotation: Option<&String>) -> Option<String> {
    annotation.map(|text| text.chars().take(MAX_REQUESTED_AT).collect())
}
