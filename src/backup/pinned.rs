//! `spec.pin`, said to the store: whoever sweeps a bucket reads the bucket, and may be another cluster's. Pure.
//!
//! Each generation of the spec is one wish, written once under its own name: a Job that comes late or twice changes nothing.

use kube::ResourceExt;

use super::decide::{Case, Observed};
use crate::api::backup::PinStatus;
use crate::api::backup_store::UpkeepPlan;
use crate::api::condition::{COMPLETE, cut, is_true};
use crate::api::{BackupStatus, Reason, name};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::schedule::upkeep::{Outcome, Round, Step, Upkeep};
use crate::schedule::{START_LOOK, later};
use crate::workload::{PinPlan, pin_job};

impl Case<'_> {
    /// Adds what it takes that the store says what the spec says.
    pub(super) fn with_pin(&self, decision: Decision<BackupStatus>) -> Decision<BackupStatus> {
        let status = &decision.status;
        let old = status.pin.clone().unwrap_or_default();
        let generation = self.seen.backup.metadata.generation.unwrap_or_default();
        let wanted = self.seen.backup.spec.pin.unwrap_or_default();
        let whole = is_true(&status.conditions, COMPLETE) && status.prefix.is_some();
        if !whole || is_told(self.seen, &old, generation) {
            return self.without_jobs(decision, "");
        }
        let round = round(&old, generation, self.now);
        let expected = name::pin_job(&self.backup.name, generation, round.plan.failed_tries);
        let job = self.seen.pin_jobs.iter().find(|job| job.name == expected);
        let mut decision = self.without_jobs(decision, &expected);
        match Upkeep::step(&round, &expected, job, self.now) {
            Step::Wait => sooner(&mut decision, round.plan.at),
            Step::Watch { until, .. } => sooner(&mut decision, until),
            Step::Start => {
                // Without its policy nobody knows the store; one that took its name knows another.
                let made_it = &self.backup.policy_uid;
                let policy = self.seen.policy.as_ref();
                let policy = policy.filter(|p| made_it.is_none() || *made_it == p.uid());
                let prefix = decision.status.prefix.clone();
                let (Some(policy), Some(store), Some(prefix)) = (policy, &self.seen.store, prefix)
                else {
                    return decision;
                };
                let plan = PinPlan {
                    name: expected,
                    prefix,
                    order: generation,
                    pinned: wanted,
                };
                let job = pin_job(self.settings, policy, store, &self.seen.backup, &plan);
                decision.effects.push(Effect::CreateJob {
                    job: Box::new(job),
                    owner_version: self.seen.backup.resource_version().unwrap_or_default(),
                });
                sooner(&mut decision, later(self.now, START_LOOK));
            }
            Step::Took(outcome) => {
                let (pin, notice) = self.told((old, round), wanted, generation, &outcome);
                if let Some(at) = pin.next_try_at {
                    sooner(&mut decision, at);
                }
                decision.status.pin = Some(pin);
                decision.notices.push(notice);
            }
        }
        decision
    }

    fn told(
        &self,
        (old, round): (PinStatus, Round),
        wanted: bool,
        generation: i64,
        outcome: &Outcome,
    ) -> (PinStatus, Notice) {
        let what = if wanted {
            "pinned"
        } else {
            "not pinned any more"
        };
        if outcome.reason == Reason::Succeeded {
            let pin = PinStatus {
                pinned: wanted,
                generation,
                ..PinStatus::default()
            };
            return (
                pin,
                Notice::normal(Reason::Succeeded, format!("{what} in the store")),
            );
        }
        let upkeep = Upkeep {
            owner: [&self.backup.namespace, &self.backup.name],
            generation,
            requested_at: None,
            period: std::time::Duration::from_secs(86_400),
            last: None,
            plan: None,
        };
        let (_, next) = upkeep.record(&round, outcome, self.now);
        let message = format!(
            "the store could not be told that it is {what}: {}",
            outcome.message
        );
        let pin = PinStatus {
            trying: generation,
            failed_tries: next.failed_tries,
            next_try_at: Some(next.at),
            message: Some(cut(&message)),
            ..old
        };
        (pin, Notice::warning(outcome.reason, message))
    }

    /// Removes every Job of a pin but the one that is on: what it said stands in the status, or is of no interest any more.
    fn without_jobs(
        &self,
        mut decision: Decision<BackupStatus>,
        current: &str,
    ) -> Decision<BackupStatus> {
        let others = self.seen.pin_jobs.iter().filter(|job| job.name != current);
        let namespace = &self.backup.namespace;
        decision
            .effects
            .extend(others.map(|job| Effect::delete(namespace, job)));
        decision
    }
}

/// Whether the store says what this spec says. One that never asked for anything is not pinned.
fn is_told(seen: &Observed, old: &PinStatus, generation: i64) -> bool {
    let wanted = seen.backup.spec.pin.unwrap_or_default();
    let never = !wanted && old.generation == 0 && old.trying == 0 && seen.pin_jobs.is_empty();
    old.generation == generation || never
}

/// Tries are counted for one generation.
fn round(old: &PinStatus, generation: i64, now: jiff::Timestamp) -> Round {
    let same = old.trying == generation;
    Round {
        plan: UpkeepPlan {
            at: old.next_try_at.filter(|_| same).unwrap_or(now),
            failed_tries: if same { old.failed_tries } else { 0 },
        },
        unanswered: true,
        name: String::new(),
    }
}

fn sooner(decision: &mut Decision<BackupStatus>, at: jiff::Timestamp) {
    decision.next = match decision.next {
        Next::At(other) => Next::At(other.min(at)),
        Next::OnChange => Next::At(at),
    };
}
