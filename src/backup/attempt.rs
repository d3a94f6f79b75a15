//! One attempt: written down, its Job created, watched, concluded. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::conclude::{self, Verdict};
use super::decide::{Case, Hold};
use crate::api::backup::{AttemptPlan, GivenUp};
use crate::api::condition::cut;
use crate::api::{BackupStatus, Reason};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::cluster::seen::{JobState, SeenJob, never_started};
use crate::schedule::{START_LOOK, earlier, later};
use crate::workload::{BackupPlan, START_DEADLINE, backup_job};

/// A worker that is still seen at work this long after its deadlines is given up, 10 min before P4's bound.
const GIVE_UP_SLACK: Duration = Duration::from_secs(1_200);
/// Deadline of an attempt whose plan is not known.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(7_200);

impl Case<'_> {
    /// Writes the next attempt down. Its Job is created when this stands in the status.
    pub(super) fn intend(&self, old: BackupStatus) -> Decision<BackupStatus> {
        let Some(policy) = self.valid_policy() else {
            return Decision::quiet(old);
        };
        let attempt = old.attempt.unwrap_or_default().saturating_add(1);
        let status = BackupStatus {
            attempt: Some(attempt),
            next_attempt_at: None,
            job_uid: None,
            given_up: None,
            plan: Some(AttemptPlan {
                directory: policy.directory.clone(),
                deadline_seconds: i64::try_from(policy.deadline.as_secs()).unwrap_or(i64::MAX),
                made_from: self.generations(),
            }),
            ..old
        };
        let why = format!("attempt {attempt} is about to start");
        let next = Next::At(later(self.now, START_LOOK));
        Decision {
            next,
            ..Decision::quiet(self.under_way(status, Reason::Starting, &why))
        }
    }

    /// Creates the Job of the attempt that stands in the status, as often as it takes until it is seen.
    pub(super) fn intended(&self, old: BackupStatus) -> Decision<BackupStatus> {
        let needed = (self.valid_policy(), &self.seen.policy, &self.seen.store);
        let (Some(valid), Some(policy), Some(store)) = needed else {
            return match self.hold(false) {
                Some(hold @ Hold::Stalled(..)) => self.held(old, hold),
                _ => Decision::quiet(old),
            };
        };
        // A migration may have begun between the intention and the Job: the later one waits, and that is the dump (M17).
        if let Some(hold @ (Hold::Stalled(..) | Hold::Until(_, Reason::AwaitingMigration, _))) =
            self.hold(false)
        {
            return self.held(old, hold);
        }
        let attempt = old.attempt.unwrap_or(1);
        let learnt = policy
            .status
            .as_ref()
            .and_then(|s| s.database.as_ref())
            .map(|d| d.major);
        let plan = BackupPlan {
            attempt,
            attempts: valid.attempts,
            due: self.backup.due,
            directory: directory(&old).unwrap_or(&valid.directory).to_owned(),
            deadline: deadline(&old),
            major: old.found_major.or(learnt),
            tiers: self.backup.tiers.clone(),
        };
        let job = backup_job(self.settings, policy, store, &self.seen.backup, &plan);
        let why = format!("attempt {attempt} is about to start");
        Decision {
            effects: vec![Effect::CreateJob {
                job: Box::new(job),
                owner_version: self.seen.backup.resource_version().unwrap_or_default(),
            }],
            next: Next::At(later(self.now, START_LOOK)),
            ..Decision::quiet(self.under_way(old, Reason::Starting, &why))
        }
    }

    pub(super) fn on(&self, old: BackupStatus) -> Decision<BackupStatus> {
        let attempt = old.attempt.unwrap_or(1);
        let Some(job) = &self.seen.job else {
            let verdict = match &old.given_up {
                Some(given_up) => Verdict::of(given_up),
                None => Verdict::failed(
                    Reason::ResultLost,
                    format!("the Job of attempt {attempt} is gone and left no result"),
                ),
            };
            return self.conclude(old, verdict);
        };
        let mut notices = Vec::new();
        let mut status = old;
        if status.job_uid.is_none() {
            status.job_uid = Some(job.uid.clone());
            let message = format!("attempt {attempt} started: Job `{}`", job.name);
            notices.push(Notice::normal(Reason::Started, message));
        }
        let mut decision = match &job.state {
            JobState::Ended {
                result,
                pod_uid,
                why,
            } => {
                let verdict = Verdict::read(result.as_deref(), pod_uid.as_deref(), why);
                let verdict = match &status.given_up {
                    Some(given_up) if !verdict.succeeded() => Verdict::of(given_up),
                    _ => verdict,
                };
                self.conclude(status, verdict)
            }
            JobState::Waiting { reason, why } => {
                let mut until = later(job.created_at, START_DEADLINE);
                let mut what = format!("the pod did not start within 15 minutes: {why}");
                let mut given_up_for = never_started(*reason);
                // What is wrong with it may be mended by now.
                if self.made_otherwise(&status) {
                    until = self.now;
                    // And so it is worth another try, whatever kept this one waiting.
                    given_up_for = Reason::StartDeadlineExceeded;
                    what = format!("policy or store changed before the pod had started: {why}");
                }
                let given_up = GivenUp {
                    reason: given_up_for.as_str().to_owned(),
                    message: cut(&what),
                };
                let message = format!("attempt {attempt} is starting: {why}");
                self.watch(status, job, until, given_up, (*reason, message))
            }
            JobState::Running { .. } => {
                let most = START_DEADLINE + deadline(&status) + GIVE_UP_SLACK;
                let given_up = GivenUp {
                    reason: Reason::ResultLost.as_str().to_owned(),
                    message: "the pod outlived all its deadlines; its node may be lost".to_owned(),
                };
                let message = format!("attempt {attempt} is at work");
                let until = later(job.created_at, most);
                self.watch(status, job, until, given_up, (Reason::Running, message))
            }
        };
        notices.append(&mut decision.notices);
        Decision {
            notices,
            ..decision
        }
    }

    /// What an attempt is made from.
    fn generations(&self) -> Option<String> {
        let policy = self.seen.policy.as_ref()?.metadata.generation?;
        let store = self.seen.store.as_ref()?.metadata.generation?;
        Some(format!("{policy} {store}"))
    }

    /// An attempt that begins now would be made from something else.
    fn made_otherwise(&self, status: &BackupStatus) -> bool {
        let was = status.plan.as_ref().and_then(|p| p.made_from.as_ref());
        was.zip(self.generations().as_ref())
            .is_some_and(|(was, is)| was != is)
    }

    /// Looks on until `until`; then writes down that it gives up, and only then removes the Job.
    fn watch(
        &self,
        mut status: BackupStatus,
        job: &SeenJob,
        until: Timestamp,
        given_up: GivenUp,
        (reason, message): (Reason, String),
    ) -> Decision<BackupStatus> {
        let progress = status.progress.clone();
        let mut effects = Vec::new();
        let mut next = Next::At(until);
        if status.given_up.is_some() {
            effects = self.delete(Some(job));
            next = Next::At(later(self.now, START_LOOK));
        } else if self.now >= until {
            status.given_up = Some(given_up);
            next = Next::At(later(self.now, START_LOOK));
        }
        let mut status = self.under_way(status, reason, &message);
        if reason == Reason::Running {
            status.progress = progress;
        }
        Decision {
            effects,
            next,
            ..Decision::quiet(status)
        }
    }

    fn conclude(&self, old: BackupStatus, verdict: Verdict) -> Decision<BackupStatus> {
        let rules = conclude::Rules {
            attempts: self.valid_policy().map_or(3, |p| p.attempts),
            ends: self.window_ends(&old),
            own_image: self.valid_policy().is_some_and(|p| p.own_image),
            due: self.backup.due,
        };
        conclude::conclude(&self.seen.backup, old, verdict, &rules, self.now)
    }

    /// When the attempts of this due time end, because the policy's next one comes (K3).
    pub(super) fn window_ends(&self, old: &BackupStatus) -> Option<Timestamp> {
        let policy = self.valid_policy().filter(|p| !p.suspended)?;
        let started = earlier(old.started_at.unwrap_or(self.now), policy.spread);
        let next = policy
            .tiers
            .next(&policy.zone, started.max(self.backup.due));
        next.first().map(|due| later(due.at, policy.spread))
    }
}

fn directory(status: &BackupStatus) -> Option<&str> {
    status.plan.as_ref().map(|p| p.directory.as_str())
}

fn deadline(status: &BackupStatus) -> Duration {
    let seconds = status.plan.as_ref().map(|p| p.deadline_seconds);
    let seconds = seconds.and_then(|s| u64::try_from(s).ok());
    seconds.map_or(DEFAULT_DEADLINE, Duration::from_secs)
}
