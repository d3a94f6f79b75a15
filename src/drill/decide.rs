//! What a drill needs next: its runs, one at a time, and the truth about them. Pure.
//!
//! ```text
//!          owed, its turn        status only            Job seen               ended
//!   Idle ─────────────────► Idle ───────────► Intended ──────────► On ───────────────► Idle
//!                                                 ▲     create-only │ another major
//!                                                 └─────────────────┘
//! ```
//!
//! A run is written into the status before its Job is created, as an attempt of a Backup is (P6). A Job that was seen
//! and is gone is not made anew: the run ends as `Inconclusive`. What falls due while a run is on is skipped.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use super::due::{self, Owing, Why};
use super::hold::Ready;
pub use super::line::another_goes_first;
use super::validate::{Invalid, ValidDrill};
use crate::api::condition::{RECONCILING, find};
use crate::api::restore_drill::RunningDrill;
use crate::api::{
    Backup, BackupPolicy, BackupStore, Reason, RestoreDrill, RestoreDrillStatus, name,
};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::cluster::seen::SeenJob;
use crate::schedule::{START_LOOK, later};
use crate::workload::Settings;

/// What is seen of a drill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// The drill.
    pub drill: RestoreDrill,
    /// The policy it names.
    pub policy: Option<BackupPolicy>,
    /// The store that the policy names.
    pub store: Option<BackupStore>,
    /// The Backup that a run would drill, as far as objects tell: [`to_drill`].
    pub backup: Option<Backup>,
    /// Whether the policy has a complete backup.
    pub has_backup: bool,
    /// All its Jobs, by owner uid and task label, in the order of their names.
    pub jobs: Vec<SeenJob>,
    /// Another drill of the policy goes first: [`another_goes_first`].
    pub first: Option<String>,
    /// Its namespace is being deleted.
    pub namespace_terminating: bool,
}

/// The Backup that tells which major and how much room a run needs: the one that the spec names, else the newest
/// complete one of `backups`.
#[must_use]
pub fn to_drill<'a>(drill: &RestoreDrill, backups: &'a [Backup]) -> Option<&'a Backup> {
    let select = drill.spec.select.as_ref();
    match select.and_then(|s| s.backup.as_ref()) {
        Some(named) => backups.iter().find(|b| b.name_any() == *named),
        None => backups
            .iter()
            .filter(|b| is_complete(b))
            .max_by_key(|b| b.status.as_ref().and_then(|s| s.finished_at)),
    }
}

/// Whether there is a restore point.
#[must_use]
pub fn is_complete(backup: &Backup) -> bool {
    use crate::api::condition::{COMPLETE, is_true};
    let status = backup.status.as_ref();
    status.is_some_and(|s| is_true(&s.conditions, COMPLETE))
}

/// What one decision works on.
pub(super) struct Case<'a> {
    pub(super) valid: Result<&'a ValidDrill, &'a Invalid>,
    pub(super) seen: &'a Observed,
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
}

/// Decides one drill.
#[must_use]
pub fn decide(
    valid: Result<&ValidDrill, &Invalid>,
    seen: &Observed,
    settings: &Settings,
    now: Timestamp,
) -> Decision<RestoreDrillStatus> {
    let old = seen.drill.status.clone().unwrap_or_default();
    if seen.namespace_terminating || seen.drill.metadata.deletion_timestamp.is_some() {
        return Decision::quiet(old);
    }
    let case = Case {
        valid,
        seen,
        settings,
        now,
    };
    let stale = case.stale_jobs(old.running.as_ref());
    let mut decision = match old.running.clone() {
        None => case.idle(old),
        Some(run) => {
            let job = case.job_of(&run);
            let decision = match (job, &run.job_uid) {
                (None, None) => case.intended(old, run),
                _ => case.on(old, run, job),
            };
            case.skip_what_is_due(decision)
        }
    };
    decision.effects.splice(0..0, stale);
    if let Some(at) = decision.status.next {
        decision.next = decision.next.or_at(at);
    }
    decision
}

impl Case<'_> {
    /// The Job of a run's attempt.
    fn job_of(&self, run: &RunningDrill) -> Option<&SeenJob> {
        let name = name::drill_job(&run.run, run.attempt);
        self.seen.jobs.iter().find(|job| job.name == name)
    }

    /// Jobs of runs and attempts whose end stands in the cached status (K16).
    fn stale_jobs(&self, run: Option<&RunningDrill>) -> Vec<Effect> {
        let current = run.map(|run| name::drill_job(&run.run, run.attempt));
        let namespace = self.seen.drill.namespace().unwrap_or_default();
        let stale = self.seen.jobs.iter();
        let stale = stale.filter(|job| Some(&job.name) != current.as_ref());
        stale.map(|job| Effect::delete(&namespace, job)).collect()
    }

    /// When it is due next, if it can be.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.valid.ok().and_then(|valid| due::next(valid, self.now))
    }

    fn idle(&self, old: RestoreDrillStatus) -> Decision<RestoreDrillStatus> {
        let ready = match self.ready() {
            Ok(ready) => ready,
            Err((reason, why)) => return self.hold(old, reason, &why),
        };
        let status = RestoreDrillStatus {
            next: self.next_due(),
            ..old
        };
        let Some(owing) = due::owing(ready.drill, &status, self.now) else {
            return self.rest(status);
        };
        if owing.why == Why::Once && !self.seen.has_backup && !ready.drill.elsewhere {
            let why = format!(
                "waits until BackupPolicy `{}` has a complete backup",
                ready.valid_policy.name
            );
            return Decision::quiet(self.under_way(status, Reason::Pending, &why));
        }
        if let Some(first) = &self.seen.first {
            let why = format!("RestoreDrill `{first}` of the same policy goes first");
            return Decision::quiet(self.under_way(status, Reason::Queued, &why));
        }
        self.intend(status, &ready, &owing)
    }

    fn rest(&self, status: RestoreDrillStatus) -> Decision<RestoreDrillStatus> {
        let before = status.conditions.clone();
        let status = self.at_rest(status);
        let mut decision = Decision::quiet(status);
        decision.notices = Notice::on_turn(&before, &decision.status.conditions)
            .into_iter()
            .collect();
        let future = decision.status.last_schedule_time;
        if let Some(future) = future.filter(|time| *time > self.now) {
            decision.next = Next::At(future);
        }
        decision
    }

    /// Nothing starts until a person acts.
    pub(super) fn hold(
        &self,
        old: RestoreDrillStatus,
        reason: Reason,
        why: &str,
    ) -> Decision<RestoreDrillStatus> {
        let before = old.conditions.clone();
        let status = self.stalled(RestoreDrillStatus { next: None, ..old }, reason, why);
        let notice = Notice::on_turn(&before, &status.conditions);
        Decision {
            notices: notice.into_iter().collect(),
            ..Decision::quiet(status)
        }
    }

    /// Writes the run down. Its Job is created when this stands in the status.
    fn intend(
        &self,
        old: RestoreDrillStatus,
        ready: &Ready<'_>,
        owing: &Owing,
    ) -> Decision<RestoreDrillStatus> {
        let mut notices = Vec::new();
        let by_wish = find(&old.conditions, RECONCILING)
            .is_some_and(|c| c.reason == Reason::Suspended.as_str());
        if let (Some(newest), false) = (owing.missed.first(), by_wish) {
            let message = format!(
                "{} due times up to {newest} were missed and are not made up for",
                owing.missed.len()
            );
            notices.push(Notice::warning(Reason::Skipped, message));
        }
        let run = name::drill_run(&ready.drill.name, owing.due);
        let why = format!("run `{run}` is about to start");
        let running = RunningDrill {
            run,
            due: owing.due,
            started_at: self.now,
            attempted_at: Some(self.now),
            attempt: 1,
            major: self.major(ready),
            job_uid: None,
            deadline_seconds: i64::try_from(ready.drill.deadline.as_secs()).unwrap_or(i64::MAX),
            made_from: self.generations(),
            given_up: None,
            progress: None,
        };
        let status = RestoreDrillStatus {
            last_schedule_time: old.last_schedule_time.max(Some(owing.due)),
            last_requested_at: ready
                .drill
                .requested_at
                .clone()
                .or(old.last_requested_at.clone()),
            running: Some(running),
            ..old
        };
        Decision {
            notices,
            next: Next::At(later(self.now, START_LOOK)),
            ..Decision::quiet(self.under_way(status, Reason::Starting, &why))
        }
    }

    /// The major of the backup, else of its server; none where the user names the image.
    fn major(&self, ready: &Ready<'_>) -> Option<i32> {
        if self.names_image() {
            return None;
        }
        let backup = self.seen.backup.as_ref().and_then(|b| b.status.as_ref());
        let server = ready.policy.status.as_ref();
        let server = server.and_then(|s| s.database.as_ref()).map(|d| d.major);
        backup.and_then(|s| s.found_major).or(server)
    }

    /// Whether drill or policy name the image, so that nobody else chooses its major.
    pub(super) fn names_image(&self) -> bool {
        let own = self.seen.drill.spec.postgres.as_ref();
        let policy = self.seen.policy.as_ref();
        let template = policy.and_then(|p| p.spec.template.as_ref());
        own.is_some_and(|p| p.image.is_some())
            || template.is_some_and(|t| t.postgres_image.is_some())
    }

    /// A due time that came while the run of `decision` goes on.
    fn skip_what_is_due(
        &self,
        mut decision: Decision<RestoreDrillStatus>,
    ) -> Decision<RestoreDrillStatus> {
        decision.status.next = self.next_due();
        let (Some(run), Ok(valid)) = (decision.status.running.clone(), self.valid) else {
            return decision;
        };
        let owing = due::owing(valid, &decision.status, self.now);
        if let Some(owing) = owing.filter(|o| o.why == Why::Scheduled) {
            let message = format!(
                "the due time {} was skipped: run `{}` is still on",
                owing.due, run.run
            );
            decision
                .notices
                .push(Notice::warning(Reason::Skipped, message));
            let newest = decision.status.last_schedule_time.max(Some(owing.due));
            decision.status.last_schedule_time = newest;
        }
        decision
    }
}
