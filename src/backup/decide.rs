//! What a Backup needs next: its attempts, one Job each, and the truth about them. Pure.
//!
//! ```text
//!            (waits in line)      status only            Job seen
//!   Fresh ───────────────► Fresh ────────────► Intended ──────────► On ──► finished
//!     ▲                                            ▲     create-only │
//!     └── requestedAt, after a failure             └──── Between ◄───┘ failed, and another attempt follows
//! ```
//!
//! An attempt is written into the status before its Job is created: a crash in between leaves an
//! intention that is carried out again, under the same name, and never a Job that nobody watches (P6).
//! A Job that was seen once and is gone is never made anew: its pod may have finished (`ResultLost`).

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use super::conclude::{self, Verdict};
pub use super::line::another_goes_first;
use super::line::{has_begun, is_finished};
use super::validate::{Invalid, ValidBackup};
use crate::api::backup::{AttemptPlan, GivenUp};
use crate::api::condition::{FAILED, READY, find, is_true};
use crate::api::{Backup, BackupPolicy, BackupStatus, BackupStore, Reason};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::cluster::seen::{JobState, SeenJob};
use crate::policy::validate::{ValidPolicy, validate as validate_policy};
use crate::schedule::{START_LOOK, earlier, later};
use crate::store::validate::validate as validate_store;
use crate::workload::{BackupPlan, START_DEADLINE, Settings, backup_job};

/// A worker that is still seen at work this long after its deadlines is given up, 10 min before P4's bound.
const GIVE_UP_SLACK: Duration = Duration::from_secs(1_200);
/// Deadline of an attempt whose plan is not known.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(7_200);

/// What is seen of a Backup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// The Backup.
    pub backup: Backup,
    /// The policy it names.
    pub policy: Option<BackupPolicy>,
    /// The store that the policy names.
    pub store: Option<BackupStore>,
    /// The Job of attempt [`attempt_to_watch`], by name and owner uid.
    pub job: Option<SeenJob>,
    /// Another Backup of the policy goes first: [`another_goes_first`].
    pub others_running: bool,
    /// Its namespace is being deleted.
    pub namespace_terminating: bool,
}

/// The attempt whose Job `observe` looks up: the one in status, or the first.
#[must_use]
pub fn attempt_to_watch(backup: &Backup) -> i32 {
    let attempt = backup.status.as_ref().and_then(|s| s.attempt);
    attempt.unwrap_or_default().max(1)
}

/// Why nothing starts.
enum Hold {
    /// Until a person acts.
    Stalled(Reason, String),
    /// Until its turn comes.
    Queued(String),
    /// For ever.
    Never(Reason, String),
}

/// What one decision works on.
struct Case<'a> {
    backup: &'a ValidBackup,
    seen: &'a Observed,
    policy: Option<Result<ValidPolicy, Invalid>>,
    settings: &'a Settings,
    now: Timestamp,
}

/// Decides one Backup.
#[must_use]
pub fn decide(
    valid: Result<&ValidBackup, &Invalid>,
    seen: &Observed,
    settings: &Settings,
    now: Timestamp,
) -> Decision<BackupStatus> {
    let old = seen.backup.status.clone().unwrap_or_default();
    if seen.namespace_terminating || seen.backup.metadata.deletion_timestamp.is_some() {
        return Decision::quiet(old);
    }
    let backup = match valid {
        Ok(backup) => backup,
        Err(_) if is_finished(&seen.backup) => return Decision::quiet(old),
        Err(invalid) => {
            let verdict = Verdict::failed(Reason::InvalidSpec, invalid.to_string());
            return conclude::finish(&seen.backup, &old, verdict, now);
        }
    };
    // Most Backups are finished and have no use for it.
    let policy = seen.policy.as_ref().filter(|_| !is_finished(&seen.backup));
    let policy = policy.map(|p| validate_policy(p, settings));
    let case = Case {
        backup,
        seen,
        policy,
        settings,
        now,
    };
    if is_finished(&seen.backup) {
        case.finished(old)
    } else if !has_begun(&old) {
        case.fresh(old)
    } else if let Some(at) = old.next_attempt_at {
        case.between(old, at)
    } else if old.job_uid.is_none() && seen.job.is_none() {
        case.intended(old)
    } else {
        case.on(old)
    }
}

impl Case<'_> {
    fn valid_policy(&self) -> Option<&ValidPolicy> {
        self.policy.as_ref().and_then(|p| p.as_ref().ok())
    }

    fn delete(&self, job: Option<&SeenJob>) -> Vec<Effect> {
        let namespace = &self.backup.namespace;
        job.map(|job| Effect::delete(namespace, job))
            .into_iter()
            .collect()
    }

    /// The result stands in the cached status, so its Job may go (K16). A policy's `requestedAt` begins anew (K21).
    fn finished(&self, old: BackupStatus) -> Decision<BackupStatus> {
        let effects = self.delete(self.seen.job.as_ref());
        let Some(request) = self.renewal(&old) else {
            return Decision {
                effects,
                ..Decision::quiet(old)
            };
        };
        let status = BackupStatus {
            requested_at: Some(request),
            renewed_at: Some(self.now),
            earlier_attempts: old.attempt,
            uncounted: None,
            started_at: None,
            finished_at: None,
            ..old
        };
        let mut decision = self.queued(status, "the policy's requestedAt asks for another try");
        decision.effects = effects;
        decision
    }

    fn renewal(&self, old: &BackupStatus) -> Option<String> {
        let policy = self.seen.policy.as_ref()?;
        let status = policy.status.as_ref()?;
        let reason = find(&old.conditions, READY).map(|c| c.reason.as_str());
        let asked = self.backup.policy_uid.is_some()
            && self.backup.policy_uid == policy.uid()
            && status.retried.as_deref() == Some(self.backup.name.as_str())
            && is_true(&old.conditions, FAILED)
            && reason != Some(Reason::ResultLost.as_str());
        let request = status.last_requested_at.clone()?;
        (asked && old.requested_at.as_ref() != Some(&request)).then_some(request)
    }

    fn fresh(&self, old: BackupStatus) -> Decision<BackupStatus> {
        let job = self.seen.job.as_ref();
        if old.attempt.is_none() && job.is_some() {
            // A status that was lost: the Job of the first attempt tells that it began.
            return self.on(BackupStatus {
                attempt: Some(1),
                started_at: Some(self.now),
                ..old
            });
        }
        // The Job of an attempt before `requestedAt`.
        let effects = self.delete(job);
        let mut decision = match self.hold(true) {
            Some(hold) => self.held(old, hold),
            None if job.is_some_and(is_alive) => {
                self.queued(old, "waits for the Job before it to go")
            }
            None => self.intend(BackupStatus {
                started_at: Some(self.now),
                ..old
            }),
        };
        decision.effects = effects;
        decision
    }

    fn hold(&self, first: bool) -> Option<Hold> {
        let name = &self.seen.backup.spec.policy_ref.name;
        let stalled = |reason, message| Some(Hold::Stalled(reason, message));
        let Some(policy) = &self.policy else {
            let message = format!("there is no BackupPolicy `{name}` in this namespace");
            return stalled(Reason::PolicyNotFound, message);
        };
        let policy = match policy {
            Ok(policy) => policy,
            Err(invalid) => {
                return stalled(
                    Reason::PolicyStalled,
                    format!("BackupPolicy `{name}`: {invalid}"),
                );
            }
        };
        if self
            .backup
            .policy_uid
            .as_ref()
            .is_some_and(|uid| *uid != policy.uid)
        {
            let message = format!(
                "the BackupPolicy `{name}` that made it was deleted; one of the same name took its place"
            );
            return Some(Hold::Never(Reason::PolicyNotFound, message));
        }
        let store = &policy.store;
        let Some(seen) = &self.seen.store else {
            let message = format!("there is no BackupStore `{store}` in this namespace");
            return stalled(Reason::StoreNotFound, message);
        };
        if let Err(invalid) = validate_store(seen, self.settings) {
            return stalled(
                Reason::StoreStalled,
                format!("BackupStore `{store}`: {invalid}"),
            );
        }
        if first && policy.suspended && self.backup.policy_uid.is_some() {
            return Some(Hold::Queued(format!("BackupPolicy `{name}` is suspended")));
        }
        if self.seen.others_running {
            return Some(Hold::Queued(
                "another Backup of the policy goes first".to_owned(),
            ));
        }
        None
    }

    fn held(&self, old: BackupStatus, hold: Hold) -> Decision<BackupStatus> {
        match hold {
            Hold::Queued(why) => self.queued(old, &why),
            Hold::Never(reason, why) => {
                let verdict = Verdict::failed(reason, why);
                conclude::finish(&self.seen.backup, &old, verdict, self.now)
            }
            Hold::Stalled(reason, why) => {
                let conditions = conclude::stalled(&self.seen.backup, &old, reason, &why, self.now);
                let notice = Notice::on_turn(&old.conditions, &conditions);
                let status = BackupStatus { conditions, ..old };
                Decision {
                    notices: notice.into_iter().collect(),
                    ..Decision::quiet(self.look(status))
                }
            }
        }
    }

    fn queued(&self, status: BackupStatus, why: &str) -> Decision<BackupStatus> {
        Decision::quiet(self.under_way(status, Reason::Queued, why))
    }

    /// Writes the next attempt down. Its Job is created when this stands in the status.
    fn intend(&self, old: BackupStatus) -> Decision<BackupStatus> {
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
    fn intended(&self, old: BackupStatus) -> Decision<BackupStatus> {
        let needed = (self.valid_policy(), &self.seen.policy, &self.seen.store);
        let (Some(valid), Some(policy), Some(store)) = needed else {
            return match self.hold(false) {
                Some(hold @ Hold::Stalled(..)) => self.held(old, hold),
                _ => Decision::quiet(old),
            };
        };
        if let Some(hold @ Hold::Stalled(..)) = self.hold(false) {
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

    fn on(&self, old: BackupStatus) -> Decision<BackupStatus> {
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
            JobState::Waiting { why } => {
                let until = later(job.created_at, START_DEADLINE);
                let given_up = GivenUp {
                    reason: Reason::StartDeadlineExceeded.as_str().to_owned(),
                    message: conclude::cut(&format!(
                        "the pod did not start within 15 minutes: {why}"
                    )),
                };
                let message = format!("attempt {attempt} is starting: {why}");
                self.watch(status, job, until, given_up, (Reason::Starting, message))
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
    fn window_ends(&self, old: &BackupStatus) -> Option<Timestamp> {
        let policy = self.valid_policy().filter(|p| !p.suspended)?;
        let started = earlier(old.started_at.unwrap_or(self.now), policy.spread);
        let next = policy
            .tiers
            .next(&policy.zone, started.max(self.backup.due));
        next.first().map(|due| later(due.at, policy.spread))
    }

    fn between(&self, old: BackupStatus, at: Timestamp) -> Decision<BackupStatus> {
        let job = self.seen.job.as_ref();
        let failure = find(&old.conditions, READY).cloned();
        let wrong_major = failure
            .as_ref()
            .is_some_and(|c| c.reason == Reason::WrongMajor.as_str());
        let over = self.window_ends(&old).is_some_and(|end| self.now >= end);
        let mut decision = if self.now < at {
            Decision {
                next: Next::At(at),
                ..Decision::quiet(self.look(old))
            }
        } else if job.is_some_and(is_alive) {
            Decision::quiet(old)
        } else if over && !wrong_major {
            let verdict = Verdict::exhausted(failure.as_ref());
            conclude::finish(&self.seen.backup, &old, verdict, self.now)
        } else {
            match self.hold(false) {
                Some(hold) => self.held(old, hold),
                None => self.intend(old),
            }
        };
        decision.effects.extend(self.delete(job));
        decision
    }

    fn under_way(&self, status: BackupStatus, reason: Reason, why: &str) -> BackupStatus {
        let conditions = conclude::under_way(&self.seen.backup, reason, why, self.now);
        self.look(BackupStatus {
            conditions,
            progress: None,
            ..status
        })
    }

    fn look(&self, status: BackupStatus) -> BackupStatus {
        BackupStatus {
            observed_generation: self.seen.backup.metadata.generation,
            ..status
        }
    }
}

fn is_alive(job: &SeenJob) -> bool {
    !matches!(job.state, JobState::Ended { .. })
}

fn directory(status: &BackupStatus) -> Option<&str> {
    status.plan.as_ref().map(|p| p.directory.as_str())
}

fn deadline(status: &BackupStatus) -> Duration {
    let seconds = status.plan.as_ref().map(|p| p.deadline_seconds);
    let seconds = seconds.and_then(|s| u64::try_from(s).ok());
    seconds.map_or(DEFAULT_DEADLINE, Duration::from_secs)
}
