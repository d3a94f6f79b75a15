//! What a run needs next. Pure.
//!
//! ```text
//!  Plan ─► gate: a fresh backup, proven ─► Rehearse ─► approvals ─► window ─► Apply ─► complete
//!   ▲       ▲    (made and drilled if there is none)                  │        │
//!   │       └── too old when it is its turn ──────────────────────────┘        ├─► cut off, nothing half done: Apply again
//!   └── the history is another ───────────────────────────────────────────────┤
//!                                                Settle reads what stands ◄────┴─► said nothing, or left something begun
//! ```
//!
//! Which of them comes next is derived from what the status holds; a Job is written into it before it is created, as a
//! drill's is (P6). A Job that was seen and is gone is not made anew: planning and rehearsing are done again, for they change
//! nothing; of a worker at the database the history is asked (K4, M5). Everything that is not known is a no.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use super::approvals;
use super::hold::Ready;
use super::line::{self, Before};
use super::validate::{Invalid, ValidRun};
use super::window::{Opening, apply_deadline};
use crate::api::condition::{APPLIED, COMPLETE, FAILED, READY, find, is_true};
use crate::api::migration_run::{
    MigrationAttempts, MigrationPlan, MigrationStep, RunningMigration,
};
use crate::api::{
    Backup, BackupPolicy, BackupStore, MigrationApproval, MigrationRun, MigrationRunStatus, Reason,
    RestoreDrill, name,
};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::cluster::seen::{Admission, JobState, SeenJob};
use crate::schedule::{START_LOOK, earlier, later};
use crate::workload::Settings;

/// A backup that grew too old while people slept is renewed so long before the window opens.
const LEAD: Duration = Duration::from_secs(2 * 3_600);
/// When to look again for admission policies that are missing.
const ADMISSION_LOOK: Duration = Duration::from_secs(60);
/// Jobs that apply, of one run.
pub(super) const MAX_APPLIES: i32 = 5;

/// What is seen of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// The run.
    pub run: MigrationRun,
    /// The policy it names.
    pub policy: Option<BackupPolicy>,
    /// The store that the policy names.
    pub store: Option<BackupStore>,
    /// The drill it names.
    pub drill: Option<RestoreDrill>,
    /// Drills that it made, and one that has the name of such.
    pub gate_drills: Vec<RestoreDrill>,
    /// Every Backup that names the policy, and one that has the name of the gate's.
    pub backups: Vec<Backup>,
    /// Approvals that name it.
    pub approvals: Vec<MigrationApproval>,
    /// All its Jobs, by owner uid and task label, in the order of their names.
    pub jobs: Vec<SeenJob>,
    /// How the pod of the Job in the status ended, where the Job is gone.
    pub end: Option<JobState>,
    /// Pods of its Jobs that are not through.
    pub pods: usize,
    /// Another run of the database goes first: [`super::line::another_goes_first`].
    pub first: Option<Before>,
    /// A Backup of the database that is running, or that waits for a migration to pause.
    pub dumping: Option<String>,
    /// The admission policies.
    pub admission: Admission,
    /// The plan, as the log of the Job that planned has it.
    pub document: Option<MigrationPlan>,
    /// Its namespace is being deleted.
    pub namespace_terminating: bool,
}

/// What one decision works on.
pub(super) struct Case<'a> {
    pub(super) valid: Result<&'a ValidRun, &'a Invalid>,
    pub(super) seen: &'a Observed,
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
}

/// Whether it has come to its end.
#[must_use]
pub fn is_over(status: &MigrationRunStatus) -> bool {
    is_true(&status.conditions, COMPLETE) || is_true(&status.conditions, FAILED)
}

/// Decides one run.
#[must_use]
pub fn decide(
    valid: Result<&ValidRun, &Invalid>,
    seen: &Observed,
    settings: &Settings,
    now: Timestamp,
) -> Decision<MigrationRunStatus> {
    let old = line::overtaken(seen.run.status.clone().unwrap_or_default(), &seen.first);
    let case = Case {
        valid,
        seen,
        settings,
        now,
    };
    if seen.run.metadata.deletion_timestamp.is_some() {
        return case.leave(old);
    }
    if seen.namespace_terminating {
        return Decision::quiet(old);
    }
    let stale = case.stale_jobs(old.running.as_ref());
    let approvals = old.approvals.clone();
    let decision = match old.running.clone() {
        _ if is_over(&old) => case.over(old),
        None => case.idle(old),
        Some(running) => {
            let job = case.job_of(&running);
            match (job, &running.job_uid) {
                (None, None) => case.intended(old, running),
                _ => case.on(old, running, job),
            }
        }
    };
    let mut decision = approvals::tell(&approvals, decision);
    decision.effects.splice(0..0, stale);
    decision
}

impl Case<'_> {
    /// The Job that stands in the status.
    pub(super) fn job_of(&self, running: &RunningMigration) -> Option<&SeenJob> {
        let name = self.job_name(running);
        self.seen.jobs.iter().find(|job| job.name == name)
    }

    pub(super) fn job_name(&self, running: &RunningMigration) -> String {
        let run = self.seen.run.name_any();
        name::migration_job(&run, running.step.as_str(), running.attempt)
    }

    pub(super) fn namespace(&self) -> String {
        self.seen.run.namespace().unwrap_or_default()
    }

    /// Jobs whose end stands in the cached status (K16).
    fn stale_jobs(&self, running: Option<&RunningMigration>) -> Vec<Effect> {
        let current = running.map(|running| self.job_name(running));
        let stale = self.seen.jobs.iter();
        let stale = stale.filter(|job| Some(&job.name) != current.as_ref());
        let namespace = self.namespace();
        stale.map(|job| Effect::delete(&namespace, job)).collect()
    }

    /// What comes next, while no Job is on.
    fn idle(&self, old: MigrationRunStatus) -> Decision<MigrationRunStatus> {
        // What an earlier worker left is looked after whatever else is said (M4).
        if is_unsettled(&old) {
            return self.settle(old);
        }
        let ready = match self.may_begin(&old) {
            Ok(ready) => ready,
            Err(decision) => return *decision,
        };
        if let Some(at) = old.next_attempt_at.filter(|at| *at > self.now) {
            return self.still_retries(old, at);
        }
        let old = MigrationRunStatus {
            next_attempt_at: None,
            ..old
        };
        // What was rehearsed and approved stands until another plan says that it is of something else.
        let stands = old.overtaken_by.is_none() || has_applied(&old);
        let plan = old.plan.as_ref().filter(|_| stands);
        match plan.map(|plan| plan.files.is_empty()) {
            None => return self.intend(old, MigrationStep::Plan, None),
            Some(true) => return self.nothing_to_do(old),
            Some(false) => {}
        }
        // Between two workers of one run neither backup nor rehearsal is asked for anew: what stands is no longer what they saw.
        let begun = has_applied(&old);
        if !begun && !self.is_rehearsed(&old) {
            return match self.gate(old, &ready) {
                Ok(old) => self.intend(old, MigrationStep::Rehearse, None),
                Err(decision) => *decision,
            };
        }
        let old = self.with_approvals(old);
        if ready.run.needs_approval && !old.approvals.iter().any(|a| a.void.is_none()) {
            let why = self.who_may_approve();
            let until = ready.run.window.not_after();
            // Said once: whoever watches Events learns that it is their turn.
            let said = find(&old.conditions, READY)
                .is_some_and(|c| c.reason == Reason::AwaitingApproval.as_str());
            let notice = (!said).then(|| Notice::normal(Reason::AwaitingApproval, why.clone()));
            return Decision {
                notices: notice.into_iter().collect(),
                ..self.waits(old, until, Reason::AwaitingApproval, &why)
            };
        }
        let opening = ready.run.window.at(self.now);
        let renew_from = match opening {
            Opening::At(at) => earlier(at, LEAD),
            Opening::Open(_) | Opening::Never => self.now,
        };
        if !begun && renew_from <= self.now && !self.stands(&old, &ready) {
            return self.renew(old, &ready);
        }
        match opening {
            Opening::Open(closes) => self.go(old, &ready, closes),
            Opening::At(_) | Opening::Never if begun => {
                let why = "the window closed before all of it was applied";
                self.fail(old, Some(APPLIED), Reason::WindowClosed, why)
            }
            Opening::At(at) => {
                let why = format!("the window opens at {at}");
                let until = if renew_from > self.now {
                    renew_from
                } else {
                    at
                };
                let counts = old.approvals.iter().filter(|a| a.void.is_none());
                let until = counts.map(|a| a.expires).fold(until, Timestamp::min);
                self.waits(old, until, Reason::AwaitingWindow, &why)
            }
            Opening::Never => self.too_late(old),
        }
    }

    fn go(
        &self,
        old: MigrationRunStatus,
        ready: &Ready<'_>,
        closes: Timestamp,
    ) -> Decision<MigrationRunStatus> {
        // A dump holds locks on every table until it ends, and what would wait for them makes others wait (M17).
        if let Some(backup) = &self.seen.dumping {
            let why = format!("Backup `{backup}` of the database goes first");
            return self.waits(old, closes, Reason::Queued, &why);
        }
        let deadline = apply_deadline(self.now, closes, ready.run.longest_statement);
        self.intend(old, MigrationStep::Apply, Some(deadline))
    }

    /// What must be so before anything begins, whichever step it is.
    pub(super) fn may_begin(
        &self,
        old: &MigrationRunStatus,
    ) -> Result<Ready<'_>, Box<Decision<MigrationRunStatus>>> {
        let ready = match self.ready() {
            Ok(ready) => ready,
            Err((reason, why)) => return Err(Box::new(self.hold(old.clone(), reason, &why))),
        };
        let missing = match &self.seen.admission {
            Admission::Missing(why) => Some(why.clone()),
            Admission::InPlace(since) if ready.run.created.is_none_or(|t| t <= *since) => {
                Some(format!(
                    "this MigrationRun is older than the admission policies, which stand since {since}, so nobody held who asked for it against who wrote it: delete it and create it again"
                ))
            }
            Admission::InPlace(_) => None,
        };
        if let Some(why) = missing {
            // Nobody watches them, so nothing tells when they are there.
            return Err(Box::new(Decision {
                next: Next::At(later(self.now, ADMISSION_LOOK)),
                ..self.hold(old.clone(), Reason::AdmissionMissing, &why)
            }));
        }
        if ready.run.suspended {
            let why = "suspended: nothing begins";
            return Err(Box::new(self.under(old.clone(), Reason::Suspended, why)));
        }
        if ready.run.window.at(self.now) == Opening::Never {
            return Err(Box::new(self.too_late(old.clone())));
        }
        if let Some(first) = &self.seen.first {
            let how = match first.failed {
                true => {
                    "failed and holds those after it: delete or suspend it when it was looked into"
                }
                false => "goes first; delete or suspend it if it shall not",
            };
            let why = format!("MigrationRun `{}` of the same database {how}", first.name);
            let until = ready.run.window.not_after();
            let waits = self.waits(old.clone(), until, Reason::Queued, &why);
            return Err(Box::new(waits));
        }
        Ok(ready)
    }

    fn too_late(&self, old: MigrationRunStatus) -> Decision<MigrationRunStatus> {
        let after = self.seen.run.spec.window.not_after;
        let why =
            format!("the window does not open again before {after}, and nothing begins after that");
        self.fail(old, Some(APPLIED), Reason::WindowClosed, &why)
    }

    /// Looks again at `until` at the latest.
    pub(super) fn waits(
        &self,
        old: MigrationRunStatus,
        until: Timestamp,
        reason: Reason,
        why: &str,
    ) -> Decision<MigrationRunStatus> {
        Decision {
            next: Next::At(until),
            ..self.under(old, reason, why)
        }
    }

    /// Under way, until something changes.
    pub(super) fn under(
        &self,
        old: MigrationRunStatus,
        reason: Reason,
        why: &str,
    ) -> Decision<MigrationRunStatus> {
        Decision::quiet(self.under_way(old, reason, why))
    }

    /// Begins a Job soon: it is created when it stands in the status.
    pub(super) fn intend(
        &self,
        old: MigrationRunStatus,
        step: MigrationStep,
        deadline: Option<Duration>,
    ) -> Decision<MigrationRunStatus> {
        let mut attempts = old.attempts.unwrap_or_default();
        let (attempt, usual) = match step {
            MigrationStep::Plan => (&mut attempts.plan, 15 * 60),
            MigrationStep::Rehearse => (&mut attempts.rehearse, 6 * 3_600),
            MigrationStep::Apply => (&mut attempts.apply, 24 * 3_600),
            MigrationStep::Settle => (&mut attempts.settle, 10 * 60),
        };
        *attempt = attempt.saturating_add(1);
        let deadline = deadline.unwrap_or(Duration::from_secs(usual));
        let running = RunningMigration {
            step,
            attempt: *attempt,
            started_at: self.now,
            job_uid: None,
            deadline_seconds: i64::try_from(deadline.as_secs()).unwrap_or(i64::MAX),
            made_from: self.generations(),
            given_up: None,
            progress: None,
        };
        let why = format!("the Job `{}` is about to start", self.job_name(&running));
        let status = MigrationRunStatus {
            attempts: Some(attempts),
            running: Some(running),
            next_attempt_at: None,
            overtaken_by: old.overtaken_by.filter(|_| step != MigrationStep::Plan),
            ..old
        };
        self.waits(status, later(self.now, START_LOOK), Reason::Starting, &why)
    }

    /// Asks the history what stands.
    pub(super) fn settle(&self, old: MigrationRunStatus) -> Decision<MigrationRunStatus> {
        if let Some(at) = old.next_attempt_at.filter(|at| *at > self.now) {
            return self.still_retries(old, at);
        }
        match self.ready_to_settle() {
            Ok(_) => self.intend(old, MigrationStep::Settle, None),
            Err((reason, why)) => self.hold(old, reason, &why),
        }
    }

    pub(super) fn attempts(old: &MigrationRunStatus) -> MigrationAttempts {
        old.attempts.unwrap_or_default()
    }
}

/// Whether somebody has to read the history before anything else.
pub(super) fn is_unsettled(status: &MigrationRunStatus) -> bool {
    let execution = status.execution.as_ref();
    execution.is_some_and(|e| e.unknown || e.begun)
}

/// A part of it stands.
pub(super) fn has_applied(status: &MigrationRunStatus) -> bool {
    status
        .execution
        .as_ref()
        .is_some_and(|e| e.applied > 0 || e.partly)
}
