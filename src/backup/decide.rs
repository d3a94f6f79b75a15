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

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde::Serialize;

use super::conclude::{self, Verdict};
pub use super::line::another_goes_first;
use super::line::{has_begun, is_finished, place};
use super::validate::{Invalid, ValidBackup};
use crate::api::condition::{COMPLETE, FAILED, READY, find, is_true};
use crate::api::{Backup, BackupPolicy, BackupStatus, BackupStore, Reason};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::cluster::seen::{JobState, SeenJob};
use crate::drill::proven::{self, Proof};
use crate::policy::validate::{ValidPolicy, validate as validate_policy};
use crate::store::validate::validate as validate_store;
use crate::workload::Settings;

/// What is seen of a Backup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// The Backup.
    pub backup: Backup,
    /// Jobs that tell the store of its pin.
    pub pin_jobs: Vec<SeenJob>,
    /// The policy it names.
    pub policy: Option<BackupPolicy>,
    /// The store that the policy names.
    pub store: Option<BackupStore>,
    /// The Job of attempt [`attempt_to_watch`], by name and owner uid.
    pub job: Option<SeenJob>,
    /// Another Backup of the policy goes first: [`another_goes_first`].
    pub others_running: bool,
    /// A MigrationRun whose worker changes the database.
    pub migrating: Option<String>,
    /// What the drills of the policy say of it.
    pub proof: Option<Proof>,
    /// Its namespace is being deleted.
    pub namespace_terminating: bool,
}

/// The attempt whose Job `observe` looks up: the one in status, or the first.
#[must_use]
pub fn attempt_to_watch(backup: &Backup) -> i32 {
    let attempt = backup.status.as_ref().and_then(|s| s.attempt);
    attempt.unwrap_or_default().max(1)
}

/// A Backup does not wait for a migration longer than so after it was asked for: twice as long as a run works on before it pauses for
/// one. Beside one, the locks of the database decide.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(2);

/// Why nothing starts.
pub(super) enum Hold {
    /// Until a person acts.
    Stalled(Reason, String),
    /// Until its turn comes.
    Waits(Reason, String),
    /// Until its turn comes, and no longer than to this time.
    Until(Timestamp, Reason, String),
    /// For ever.
    Never(Reason, String),
}

/// What one decision works on.
pub(super) struct Case<'a> {
    pub(super) backup: &'a ValidBackup,
    pub(super) seen: &'a Observed,
    pub(super) policy: Option<Result<ValidPolicy, Invalid>>,
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
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
    pub(super) fn valid_policy(&self) -> Option<&ValidPolicy> {
        self.policy.as_ref().and_then(|p| p.as_ref().ok())
    }

    pub(super) fn delete(&self, job: Option<&SeenJob>) -> Vec<Effect> {
        let namespace = &self.backup.namespace;
        job.map(|job| Effect::delete(namespace, job))
            .into_iter()
            .collect()
    }

    /// The result stands in the cached status, so its Job may go (K16). A policy's `requestedAt` begins anew (K21).
    fn finished(&self, old: BackupStatus) -> Decision<BackupStatus> {
        let effects = self.delete(self.seen.job.as_ref());
        let Some(request) = self.renewal(&old) else {
            return self.with_pin(Decision {
                effects,
                ..self.proven(old)
            });
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

    /// What the drills say of a complete one; else all stays as it is.
    fn proven(&self, old: BackupStatus) -> Decision<BackupStatus> {
        let proof = self.seen.proof.as_ref();
        let proof = proof.filter(|_| is_true(&old.conditions, COMPLETE));
        let generation = self.seen.backup.metadata.generation;
        let conditions = proven::conditions(&old.conditions, proof, generation, self.now);
        let notice = proven::turn(&old.conditions, &conditions);
        Decision {
            notices: notice.into_iter().collect(),
            ..Decision::quiet(BackupStatus { conditions, ..old })
        }
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

    pub(super) fn hold(&self, first: bool) -> Option<Hold> {
        let name = &self.seen.backup.spec.policy_ref.name;
        let stalled = |reason, message| Some(Hold::Stalled(reason, message));
        let Some(policy) = &self.policy else {
            // One of the same name would be another (K26).
            if self.backup.policy_uid.is_some() {
                let message = format!("the BackupPolicy `{name}` that made it was deleted");
                return Some(Hold::Never(Reason::PolicyNotFound, message));
            }
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
            let message = format!("BackupPolicy `{name}` is suspended");
            return Some(Hold::Waits(Reason::Queued, message));
        }
        if self.seen.others_running {
            let message = "another Backup of the policy goes first".to_owned();
            return Some(Hold::Waits(Reason::Queued, message));
        }
        // A dump holds locks on every table until it ends, and what would wait for them makes others wait (M17).
        let (since, _) = place(&self.seen.backup);
        let until = since + LONGEST_WAIT;
        if let Some(run) = self.seen.migrating.as_ref().filter(|_| self.now < until) {
            let message = format!(
                "MigrationRun `{run}` is changing the database: the backup begins when that ends or pauses, at {until} the latest"
            );
            return Some(Hold::Until(until, Reason::AwaitingMigration, message));
        }
        None
    }

    pub(super) fn held(&self, old: BackupStatus, hold: Hold) -> Decision<BackupStatus> {
        match hold {
            Hold::Waits(reason, why) => Decision::quiet(self.under_way(old, reason, &why)),
            Hold::Until(until, reason, why) => Decision {
                next: Next::At(until),
                ..Decision::quiet(self.under_way(old, reason, &why))
            },
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

    fn between(&self, old: BackupStatus, at: Timestamp) -> Decision<BackupStatus> {
        let job = self.seen.job.as_ref();
        let failure = find(&old.conditions, READY).cloned();
        let wrong_major = failure
            .as_ref()
            .is_some_and(|c| c.reason == Reason::WrongMajor.as_str());
        let over = self.window_ends(&old).is_some_and(|end| self.now >= end);
        let hold = self.hold(false);
        let mut decision = if self.now < at {
            Decision {
                next: Next::At(at),
                ..Decision::quiet(self.look(old))
            }
        } else if job.is_some_and(is_alive) {
            Decision::quiet(old)
        } else if let Some(hold @ Hold::Never(..)) = hold {
            // Its policy is another's now: neither that one's rules nor its window say anything about it.
            self.held(old, hold)
        } else if over && !wrong_major {
            let verdict = Verdict::exhausted(failure.as_ref());
            conclude::finish(&self.seen.backup, &old, verdict, self.now)
        } else {
            match hold {
                Some(hold) => self.held(old, hold),
                None => self.intend(old),
            }
        };
        decision.effects.extend(self.delete(job));
        decision
    }

    pub(super) fn under_way(
        &self,
        status: BackupStatus,
        reason: Reason,
        why: &str,
    ) -> BackupStatus {
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
