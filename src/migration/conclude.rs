//! How a Job ended, and what that makes of the run. Pure.
//!
//! The worker's result is untrusted (K14): closed reasons, bounded texts, figures that cannot be are dropped. What a worker
//! at the database did not say is not known, and what is not known is asked of the history.

use std::time::Duration;

use super::after::{refused, stands};
use super::conditions::tried_in_vain;
use super::decide::{Case, is_unsettled};
use super::read;
use super::run::words;
use crate::api::backup::GivenUp;
use crate::api::condition::{APPLIED, PLANNED, REHEARSED, cut};
use crate::api::migration_run::{
    MigrationAttempts, MigrationExecutionStatus, MigrationStep, RunningMigration,
};
use crate::api::restore_drill::Verdict;
use crate::api::{MigrationRunStatus, Reason};
use crate::cluster::decision::{Decision, Notice};
use crate::schedule::later;
use crate::task::{Retry, TaskResult};

/// Jobs in a row of a step that come to nothing.
const MAX_FAILED: i32 = 3;
/// Jobs in a row that read the history and do not (K4).
const MAX_UNSETTLED: i32 = 2;
/// Jobs in a row that cannot remove what was begun.
const MAX_LEFT: i32 = 5;
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// How a Job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    reason: Reason,
    message: String,
    retry: Retry,
    result: Option<Box<TaskResult>>,
}

impl Ended {
    /// Without a word of a worker.
    #[must_use]
    pub fn lost(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry: Retry::Later,
            result: None,
        }
    }

    /// Given up from outside.
    #[must_use]
    pub fn given_up(given_up: &GivenUp) -> Self {
        let reason = Reason::parse(&given_up.reason).unwrap_or(Reason::ResultLost);
        Self::lost(reason, given_up.message.clone())
    }

    /// What a pod left behind.
    #[must_use]
    pub fn read(result: Option<&TaskResult>, why: &str) -> Self {
        match result {
            Some(result) => Self {
                reason: result.reason,
                message: result.message.clone(),
                retry: result.retry,
                result: Some(Box::new(result.clone())),
            },
            None if why.starts_with("OOMKilled") => Self::lost(Reason::OutOfMemory, why),
            None => {
                let message = format!("the pod ended without a result: {why}");
                Self::lost(Reason::ResultLost, message)
            }
        }
    }

    /// Whether a worker said anything.
    #[must_use]
    pub fn has_result(&self) -> bool {
        self.result.is_some()
    }

    fn broken(message: &str) -> Self {
        Self::lost(Reason::ProtocolError, message)
    }

    fn migration(&self) -> Option<&crate::task::MigrationResult> {
        self.result.as_ref().and_then(|r| r.migration.as_ref())
    }
}

impl Case<'_> {
    /// Writes the end of a Job down.
    pub(super) fn conclude(
        &self,
        old: MigrationRunStatus,
        running: RunningMigration,
        ended: Ended,
    ) -> Decision<MigrationRunStatus> {
        let step = running.step;
        let status = MigrationRunStatus {
            running: None,
            ..old
        };
        if let Some(decision) = self.another_major(step, &status, &ended) {
            return decision;
        }
        match step {
            MigrationStep::Plan => self.planned(status, &ended),
            MigrationStep::Rehearse => self.rehearsed(status, &ended),
            MigrationStep::Apply => self.applied(status, &running, &ended),
            MigrationStep::Settle => self.settled(status, &ended),
        }
    }

    /// The image was of another major: at once again, uncounted, once for each major that is found (K20).
    fn another_major(
        &self,
        step: MigrationStep,
        status: &MigrationRunStatus,
        ended: &Ended,
    ) -> Option<Decision<MigrationRunStatus>> {
        let found = ended.result.as_ref().and_then(|r| r.found_major)?;
        let other = ended.reason == Reason::WrongMajor
            && matches!(step, MigrationStep::Plan | MigrationStep::Rehearse)
            && (9..=99).contains(&found);
        let template = self
            .seen
            .policy
            .as_ref()
            .and_then(|p| p.spec.template.as_ref());
        let server = self
            .seen
            .drill
            .as_ref()
            .and_then(|d| d.spec.postgres.as_ref());
        let own_image = template.is_some_and(|t| t.postgres_image.is_some())
            || (step == MigrationStep::Rehearse && server.is_some_and(|p| p.image.is_some()));
        if !other || own_image || status.found_major.is_some() {
            return None;
        }
        let status = MigrationRunStatus {
            found_major: Some(found),
            ..status.clone()
        };
        let why = format!("it begins anew with major version {found}");
        Some(self.waits(status, self.now, Reason::Starting, &why))
    }

    fn planned(&self, old: MigrationRunStatus, ended: &Ended) -> Decision<MigrationRunStatus> {
        let document = ended.migration().and_then(|m| m.document.as_ref());
        // One that could not be made anew is none.
        let none = || MigrationRunStatus {
            plan: None,
            ..old.clone()
        };
        if ended.reason != Reason::Succeeded {
            return self.again(none(), MigrationStep::Plan, PLANNED, ended);
        }
        let plan = document
            .and(self.seen.document.as_ref())
            .and_then(read::plan);
        let Some(plan) = plan else {
            let broken = Ended::broken("the plan could not be read out of the worker's log");
            return self.again(none(), MigrationStep::Plan, PLANNED, &broken);
        };
        let message = format!(
            "{} in {} of {}",
            read::count(plan.statements, "statement"),
            read::count(plan.segments, "segment"),
            read::count(plan.files.len(), "file")
        );
        let same = old.plan.as_ref();
        let same = same.is_some_and(|p| p.hash == plan.hash && p.history_at == plan.history_at);
        let status = MigrationRunStatus {
            attempts: Some(none_failed(&old)),
            plan: Some(plan),
            ..old
        };
        let status = match same {
            true => status,
            // What was rehearsed and approved was another plan.
            false => MigrationRunStatus {
                rehearsal: None,
                approvals: Vec::new(),
                ..status
            },
        };
        Decision {
            notices: vec![Notice::normal(
                Reason::Succeeded,
                format!("planned: {message}"),
            )],
            ..self.waits(status, self.now, Reason::Running, &message)
        }
    }

    fn rehearsed(&self, old: MigrationRunStatus, ended: &Ended) -> Decision<MigrationRunStatus> {
        let said = ended.migration().and_then(|m| m.rehearsal.as_ref());
        let Some(said) = said else {
            let broken = Ended::broken("the rehearsal ended well and says nothing of what it saw");
            let ended = match ended.reason {
                Reason::Succeeded => &broken,
                _ => ended,
            };
            return self.again(old, MigrationStep::Rehearse, REHEARSED, ended);
        };
        let good = ended.reason == Reason::Succeeded;
        let backup = old
            .gate
            .as_ref()
            .map(|g| g.backup.clone())
            .unwrap_or_default();
        let rehearsal = read::rehearsal(said, ended.reason, &ended.message, backup, self.now);
        let agrees = good == (said.result == Verdict::Passed);
        let Some(rehearsal) = rehearsal.filter(|_| agrees) else {
            let broken = Ended::broken("the rehearsal's result contradicts itself");
            return self.again(old, MigrationStep::Rehearse, REHEARSED, &broken);
        };
        match said.result {
            Verdict::Inconclusive => self.again(old, MigrationStep::Rehearse, REHEARSED, ended),
            Verdict::Failed => {
                let why = format!(
                    "in the rehearsal on Backup `{}`: {}",
                    rehearsal.backup, ended.message
                );
                let status = MigrationRunStatus {
                    rehearsal: Some(rehearsal),
                    ..old
                };
                self.fail(status, Some(REHEARSED), ended.reason, &why)
            }
            Verdict::Passed => {
                let notice = format!(
                    "rehearsed on Backup `{}`: {}",
                    rehearsal.backup, rehearsal.message
                );
                let status = MigrationRunStatus {
                    attempts: Some(none_failed(&old)),
                    rehearsal: Some(rehearsal),
                    ..old
                };
                let why = "it went well on the backup";
                Decision {
                    notices: vec![Notice::normal(Reason::Succeeded, notice)],
                    ..self.waits(status, self.now, Reason::Running, why)
                }
            }
        }
    }

    fn applied(
        &self,
        old: MigrationRunStatus,
        running: &RunningMigration,
        ended: &Ended,
    ) -> Decision<MigrationRunStatus> {
        let said = ended.migration().and_then(|m| m.applied.as_ref());
        let execution = old.execution.clone().unwrap_or_default();
        let execution = MigrationExecutionStatus {
            started_at: execution.started_at.or(Some(running.started_at)),
            reason: Some(ended.reason.as_str().to_owned()),
            message: Some(cut(&ended.message)),
            tries: execution.tries + said.map_or(0, |s| s.tries.clamp(0, 1_000_000)),
            ..execution
        };
        // Whoever began nothing has left what stood: nobody has to be asked.
        let nothing = said.is_none() && ended.migration().is_some_and(|m| m.nothing_begun);
        // The worker's own gate: it has looked at the backup.
        let old = refused(old, said.is_some() && ended.reason == Reason::GateExpired);
        let status = match nothing {
            true => MigrationRunStatus {
                execution: Some(execution),
                ..old
            },
            false => stands(&old, execution, said),
        };
        if is_unsettled(&status) {
            let why = format!("{}: what stands is read from the history", ended.message);
            return Decision {
                notices: vec![Notice::warning(ended.reason, why.clone())],
                ..self.waits(status, self.now, Reason::Running, &why)
            };
        }
        let again = nothing && ended.retry == Retry::Later;
        self.after(status, ended.reason, &ended.message, again)
    }

    fn settled(&self, old: MigrationRunStatus, ended: &Ended) -> Decision<MigrationRunStatus> {
        let before = old.execution.clone().unwrap_or_default();
        let said = ended.migration().and_then(|m| m.applied.as_ref());
        let Some(said) = said else {
            let attempts = Self::attempts(&old);
            let failed = attempts.failed.saturating_add(1);
            let status = MigrationRunStatus {
                attempts: Some(MigrationAttempts { failed, ..attempts }),
                next_attempt_at: Some(later(self.now, MINUTE)),
                ..old
            };
            let why = format!(
                "nobody could read from the history what stands: {}",
                ended.message
            );
            return match failed >= MAX_UNSETTLED {
                true => self.fail(status, Some(APPLIED), ended.reason, &why),
                false => self.retries(status, later(self.now, MINUTE), &why),
            };
        };
        let reason = before.reason.as_deref().and_then(Reason::parse);
        let reason = reason.unwrap_or(Reason::ResultLost);
        let message = before.message.clone().unwrap_or_default();
        let execution = MigrationExecutionStatus {
            unknown: false,
            ..before
        };
        let status = stands(&old, execution, Some(said));
        // What the history says is not what was applied: the worker before it is no longer of interest (M5, M6).
        if matches!(
            ended.reason,
            Reason::HistoryRewound | Reason::HistoryTouched
        ) {
            return self.fail(status, Some(APPLIED), ended.reason, &ended.message);
        }
        if said.begun {
            return self.left(status, ended, reason, &message);
        }
        let status = MigrationRunStatus {
            attempts: Some(none_failed(&status)),
            ..status
        };
        self.after(status, reason, &message, false)
    }

    /// What was begun could not be removed: somebody else's transaction may be in the way, and end (M4).
    fn left(
        &self,
        old: MigrationRunStatus,
        ended: &Ended,
        reason: Reason,
        message: &str,
    ) -> Decision<MigrationRunStatus> {
        let attempts = Self::attempts(&old);
        let failed = attempts.failed.saturating_add(1);
        let at = later(self.now, MINUTE);
        let status = MigrationRunStatus {
            attempts: Some(MigrationAttempts { failed, ..attempts }),
            next_attempt_at: Some(at),
            ..old
        };
        let (reason, said) = match ended.reason {
            Reason::Succeeded | Reason::Terminated => (reason, message),
            _ => (ended.reason, ended.message.as_str()),
        };
        let why = format!("a statement was begun and nobody has seen its end: {said}");
        match failed >= MAX_LEFT {
            true => self.fail(status, Some(APPLIED), reason, &why),
            false => Decision {
                notices: vec![Notice::warning(reason, why.clone())],
                ..self.retries(status, at, &why)
            },
        }
    }

    /// Another Job of a step that changes nothing, after 1 and 5 minutes; or the end.
    fn again(
        &self,
        old: MigrationRunStatus,
        step: MigrationStep,
        stage: &str,
        ended: &Ended,
    ) -> Decision<MigrationRunStatus> {
        let attempts = Self::attempts(&old);
        let failed = attempts.failed.saturating_add(1);
        let at = later(self.now, if failed == 1 { MINUTE } else { MINUTE * 5 });
        let mut status = MigrationRunStatus {
            attempts: Some(MigrationAttempts { failed, ..attempts }),
            next_attempt_at: Some(at),
            ..old
        };
        let message = format!("{}: {}", words(step), ended.message);
        if ended.retry == Retry::Never || failed >= MAX_FAILED {
            return self.fail(status, Some(stage), ended.reason, &message);
        }
        tried_in_vain(&mut status.conditions, stage, ended.reason, &message);
        Decision {
            notices: vec![Notice::warning(ended.reason, message.clone())],
            ..self.retries(status, at, &message)
        }
    }
}

fn none_failed(old: &MigrationRunStatus) -> MigrationAttempts {
    MigrationAttempts {
        failed: 0,
        ..old.attempts.unwrap_or_default()
    }
}
