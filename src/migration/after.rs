//! What follows from what stands on the database. Pure.

use super::conclude::MINUTE;
use super::decide::{Case, MAX_APPLIES};
use super::read;
use super::window::Opening;
use crate::api::condition::APPLIED;
use crate::api::migration_run::MigrationExecutionStatus;
use crate::api::{MigrationRunStatus, Reason};
use crate::cluster::decision::{Decision, Notice};
use crate::schedule::later;
use crate::task::AppliedResult;

impl Case<'_> {
    /// What stands is known, and nothing is half done. `again`: the worker began nothing, and another may have better luck.
    pub(super) fn after(
        &self,
        status: MigrationRunStatus,
        reason: Reason,
        message: &str,
        again: bool,
    ) -> Decision<MigrationRunStatus> {
        let execution = status.execution.clone().unwrap_or_default();
        let of = status.plan.as_ref().map_or(0, |p| p.segments);
        let all = execution.applied >= of;
        match (all, execution.verified) {
            (_, Some(false)) => {
                let why = match reason {
                    Reason::Succeeded => "what stands is not what was rehearsed",
                    _ => message,
                };
                let reason = match reason {
                    Reason::Succeeded => Reason::NotAsRehearsed,
                    other => other,
                };
                return self.fail(status, Some(APPLIED), reason, why);
            }
            (true, Some(true)) => return self.complete(status, of),
            _ => {}
        }
        let open = self.valid.ok().map(|valid| valid.window.at(self.now));
        let never = open.is_none_or(|o| o == Opening::Never);
        let more = Self::attempts(&status).apply < MAX_APPLIES;
        let untouched = execution.applied == 0 && !execution.partly;
        match reason {
            Reason::GateExpired if untouched && more => {
                let gate = MigrationRunStatus {
                    gate: None,
                    ..status
                };
                let why = format!("{message}: the gate is asked anew");
                self.waits(gate, self.now, Reason::GateExpired, &why)
            }
            Reason::PlanVoid if untouched && more => {
                let void = MigrationRunStatus {
                    plan: None,
                    overtaken_by: None,
                    rehearsal: None,
                    approvals: Vec::new(),
                    ..status
                };
                let why =
                    "the history is not what it was when the run was planned: it is planned anew";
                Decision {
                    notices: vec![Notice::warning(Reason::PlanVoid, why)],
                    ..self.waits(void, self.now, Reason::PlanVoid, why)
                }
            }
            Reason::WindowClosed if untouched && more && !never => {
                let at = later(self.now, MINUTE);
                let status = MigrationRunStatus {
                    next_attempt_at: Some(at),
                    ..status
                };
                self.waits(status, at, Reason::AwaitingWindow, message)
            }
            reason
                if (again || is_cut_off(reason))
                    // It has made room as it was told, which is nobody's fault.
                    && (more || reason == Reason::Yielded)
                    && (untouched || matches!(open, Some(Opening::Open(_)))) =>
            {
                // 1, 2, 4, 8 minutes: a server that restarts is back by then.
                let before = Self::attempts(&status).apply.saturating_sub(1);
                let doublings = u32::try_from(before.min(3)).unwrap_or_default();
                let pause = match reason {
                    Reason::Yielded => MINUTE,
                    _ => MINUTE * 2_u32.pow(doublings),
                };
                let at = later(self.now, pause);
                let status = MigrationRunStatus {
                    next_attempt_at: Some(at),
                    ..status
                };
                let leaves = self.seen.run.metadata.deletion_timestamp.is_some();
                let why = match leaves {
                    true => message.to_owned(),
                    false => format!("{message}; it goes on after a pause"),
                };
                Decision {
                    notices: vec![Notice::warning(reason, why)],
                    ..self.retries(status, at, message)
                }
            }
            Reason::Succeeded => {
                let why = "the worker says that all is well, and not that it compared what stands with what was rehearsed";
                self.fail(status, Some(APPLIED), Reason::ProtocolError, why)
            }
            reason => self.fail(status, Some(APPLIED), reason, message),
        }
    }
}

/// Ended from outside, where the worker would have gone on.
fn is_cut_off(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Terminated
            | Reason::Yielded
            | Reason::ConnectionLost
            | Reason::LockLost
            | Reason::DeadlineExceeded
            | Reason::ResultLost
            | Reason::OutOfMemory
            | Reason::StartDeadlineExceeded
            | Reason::ImagePullFailed
    )
}

/// The status with what a worker said of the database; said nothing: not known.
pub(super) fn stands(
    old: &MigrationRunStatus,
    execution: MigrationExecutionStatus,
    said: Option<&AppliedResult>,
) -> MigrationRunStatus {
    let most = old.plan.as_ref().map_or(0, |p| p.segments);
    let execution = match said {
        None => MigrationExecutionStatus {
            unknown: true,
            ..execution
        },
        Some(said) => MigrationExecutionStatus {
            applied: said.applied.clamp(0, most),
            begun: said.begun,
            partly: said.partly,
            unknown: false,
            verified: said.verified.or(execution.verified),
            differences: read::differences(&said.differences),
            ..execution
        },
    };
    MigrationRunStatus {
        // Its own part of the plan is in the history: there is no other plan for the rest.
        overtaken_by: old
            .overtaken_by
            .clone()
            .filter(|_| execution.applied == 0 && !execution.partly),
        execution: Some(execution),
        ..old.clone()
    }
}

/// The status with the backup of its gate as the one that a worker refused, if it did.
pub(super) fn refused(old: MigrationRunStatus, refused: bool) -> MigrationRunStatus {
    let backup = old.gate.as_ref().filter(|_| refused);
    let backup = backup.map(|g| g.backup.clone());
    MigrationRunStatus {
        refused_backup: backup.or(old.refused_backup),
        ..old
    }
}
