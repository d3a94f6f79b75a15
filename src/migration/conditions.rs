//! The conditions of a run (K30), and how it ends. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::decide::Case;
use super::read;
use crate::api::Reason;
use crate::api::condition::{
    APPLIED, APPROVED, BACKUP_PROVEN, COMPLETE, Conditions, FAILED, PLANNED, READY, RECONCILING,
    REHEARSED, STALLED, Truth, cut, find,
};
use crate::api::migration_run::{ApprovalMode, MigrationRunStatus};
use crate::api::restore_drill::Verdict;
use crate::cluster::decision::{Decision, Notice};

impl Case<'_> {
    /// Whether the rehearsal that is there went well, on the backup that stands behind it.
    pub(super) fn is_rehearsed(&self, status: &MigrationRunStatus) -> bool {
        let gate = status.gate.as_ref().map(|g| &g.backup);
        let rehearsal = status.rehearsal.as_ref();
        rehearsal.is_some_and(|r| r.result == Verdict::Passed && Some(&r.backup) == gate)
    }

    /// Waits or runs.
    pub(super) fn under_way(
        &self,
        status: MigrationRunStatus,
        reason: Reason,
        why: &str,
    ) -> MigrationRunStatus {
        let why = cut(why);
        let mut conditions = self.begin(&status, reason, &why);
        conditions.set(READY, Truth::Unknown, reason, why.clone());
        conditions.set(RECONCILING, Truth::True, reason, why);
        conditions.set(STALLED, Truth::False, reason, "nothing is in the way");
        self.end(conditions, status, None, false)
    }

    /// Tries again at `at`: why, and when.
    pub(super) fn retries(
        &self,
        old: MigrationRunStatus,
        at: Timestamp,
        why: &str,
    ) -> Decision<MigrationRunStatus> {
        self.waits(
            old,
            at,
            Reason::Retrying,
            &format!("next try at {at}: {why}"),
        )
    }

    /// The pause before the next try is not over: why it is tried again stands in the status.
    pub(super) fn still_retries(
        &self,
        old: MigrationRunStatus,
        at: Timestamp,
    ) -> Decision<MigrationRunStatus> {
        let ready = find(&old.conditions, READY);
        let said = ready.filter(|c| c.reason == Reason::Retrying.as_str());
        let said = said.map_or_else(|| format!("next try at {at}"), |c| c.message.clone());
        self.waits(old, at, Reason::Retrying, &said)
    }

    /// Nothing goes on until a person acts; then it does.
    pub(super) fn hold(
        &self,
        old: MigrationRunStatus,
        reason: Reason,
        why: &str,
    ) -> Decision<MigrationRunStatus> {
        let before = old.conditions.clone();
        let why = cut(why);
        let mut conditions = self.begin(&old, reason, &why);
        conditions.set(READY, Truth::False, reason, why.clone());
        conditions.set(RECONCILING, Truth::False, reason, "waits for a person");
        conditions.set(STALLED, Truth::True, reason, why);
        let status = self.end(conditions, old, None, reason != Reason::AwaitingApproval);
        let notice = Notice::on_turn(&before, &status.conditions);
        Decision {
            notices: notice.into_iter().collect(),
            ..Decision::quiet(status)
        }
    }

    /// The end, and not a good one: what stands, and what to do (M13).
    pub(super) fn fail(
        &self,
        old: MigrationRunStatus,
        stage: Option<&str>,
        reason: Reason,
        why: &str,
    ) -> Decision<MigrationRunStatus> {
        let why = cut(why);
        let mut conditions = self.begin(&old, reason, &why);
        conditions.set(READY, Truth::False, reason, why.clone());
        conditions.set(RECONCILING, Truth::False, reason, "it has ended");
        conditions.set(STALLED, Truth::True, reason, why.clone());
        conditions.set(FAILED, Truth::True, reason, why.clone());
        let way_back = self.way_back(&old, reason);
        let status = MigrationRunStatus {
            running: None,
            next_attempt_at: None,
            finished_at: Some(self.now),
            way_back: Some(way_back.clone()),
            ..old
        };
        let stage = stage.map(|stage| (stage, reason, why.as_str()));
        let status = self.end(conditions, status, stage, true);
        Decision {
            notices: vec![Notice::warning(reason, sentence(&why, &way_back))],
            ..Decision::quiet(status)
        }
    }

    /// All of it stands, as it was rehearsed.
    pub(super) fn complete(
        &self,
        old: MigrationRunStatus,
        of: i64,
    ) -> Decision<MigrationRunStatus> {
        let why =
            format!("{of} of {of} segments are applied, and what stands is what was rehearsed");
        self.done(old, Reason::Succeeded, &why)
    }

    /// What is asked for stands already.
    pub(super) fn nothing_to_do(&self, old: MigrationRunStatus) -> Decision<MigrationRunStatus> {
        let target = &self.seen.run.spec.target.version;
        let why = format!("everything up to version {target} is applied already");
        self.done(old, Reason::NothingToDo, &why)
    }

    fn done(
        &self,
        old: MigrationRunStatus,
        reason: Reason,
        why: &str,
    ) -> Decision<MigrationRunStatus> {
        let mut conditions = self.begin(&old, reason, why);
        conditions.set(READY, Truth::True, reason, why);
        conditions.set(RECONCILING, Truth::False, reason, "it has ended");
        conditions.set(STALLED, Truth::False, reason, "nothing is in the way");
        conditions.set(COMPLETE, Truth::True, reason, why);
        let status = MigrationRunStatus {
            running: None,
            next_attempt_at: None,
            finished_at: Some(self.now),
            way_back: None,
            ..old
        };
        let status = self.end(conditions, status, None, true);
        Decision {
            notices: vec![Notice::normal(reason, why)],
            ..Decision::quiet(status)
        }
    }

    /// Not at its end, as long as nobody says so.
    fn begin(&self, status: &MigrationRunStatus, reason: Reason, why: &str) -> Conditions {
        let generation = self.seen.run.metadata.generation;
        let mut conditions = Conditions::new(&status.conditions, generation, self.now);
        for type_ in [COMPLETE, FAILED] {
            conditions.set(type_, Truth::False, reason, why);
        }
        conditions
    }

    /// The gates in their order, as the status has them; `broken`: the one that it failed at; `held`: nobody's approval would help.
    fn end(
        &self,
        mut conditions: Conditions,
        status: MigrationRunStatus,
        broken: Option<(&str, Reason, &str)>,
        held: bool,
    ) -> MigrationRunStatus {
        let gates = [
            (PLANNED, planned(&status)),
            (BACKUP_PROVEN, proven(&status)),
            (REHEARSED, self.rehearsal(&status)),
            (APPROVED, self.approval(&status, held)),
            (APPLIED, applied(&status)),
        ];
        for (type_, (truth, reason, why)) in gates {
            match broken {
                Some((stage, reason, why)) if stage == type_ && truth != Truth::True => {
                    let unknown = type_ == APPLIED && super::decide::is_unsettled(&status);
                    let truth = if unknown {
                        Truth::Unknown
                    } else {
                        Truth::False
                    };
                    conditions.set(type_, truth, reason, why);
                }
                _ => match in_vain(&status, type_).filter(|_| reason == Reason::Pending) {
                    Some((reason, why)) => conditions.set(type_, Truth::Unknown, reason, why),
                    None => conditions.set(type_, truth, reason, cut(&why)),
                },
            }
        }
        MigrationRunStatus {
            observed_generation: self.seen.run.metadata.generation,
            conditions: conditions.finish(),
            ..status
        }
    }

    fn rehearsal(&self, status: &MigrationRunStatus) -> Told {
        let Some(rehearsal) = &status.rehearsal else {
            return not_yet("not rehearsed yet");
        };
        let reason = Reason::parse(&rehearsal.reason).unwrap_or(Reason::Unknown);
        let why = format!("on Backup `{}`: {}", rehearsal.backup, rehearsal.message);
        match rehearsal.result {
            Verdict::Passed if self.is_rehearsed(status) => (Truth::True, reason, why),
            Verdict::Passed => not_yet(&format!("it is rehearsed anew; last {why}")),
            Verdict::Failed => (Truth::False, reason, why),
            Verdict::Inconclusive => (Truth::Unknown, reason, why),
        }
    }

    fn approval(&self, status: &MigrationRunStatus, held: bool) -> Told {
        if self.seen.run.spec.approval == Some(ApprovalMode::None) {
            let why = "spec.approval is None: nobody has to".to_owned();
            return (Truth::True, Reason::Succeeded, why);
        }
        match status.approvals.iter().find(|a| a.void.is_none()) {
            Some(a) => {
                let why = format!("by {} until {}", a.approver, a.expires);
                (Truth::True, Reason::Succeeded, why)
            }
            None if status.rehearsal.is_none() => not_yet("there is nothing to approve yet"),
            None if held => {
                not_yet("nobody has approved it, and nothing waits for that: Ready says what does")
            }
            None => {
                let why = self.who_may_approve();
                (Truth::False, Reason::AwaitingApproval, why)
            }
        }
    }

    /// What is applied, the next safe step, and what a restore would cost (M13).
    fn way_back(&self, status: &MigrationRunStatus, reason: Reason) -> String {
        let execution = status.execution.clone().unwrap_or_default();
        let of = status.plan.as_ref().map_or(0, |p| p.segments);
        let restore = status.gate.as_ref().and_then(|gate| {
            let data_at = gate.data_at?;
            Some(format!(
                " Restoring {} loses every write since {data_at}.",
                gate.backup
            ))
        });
        let restore = restore.unwrap_or_default();
        let rehearsed = status.rehearsal.as_ref().is_some_and(|r| r.way_back);
        let back = match rehearsed {
            true => "; the way back was rehearsed: a MigrationRun with `direction: Down` takes it",
            false => "",
        };
        let done = execution.applied;
        let text = if execution.begun || execution.unknown {
            format!(
                "{done} of {of} segments are known to be applied, and of one more nobody knows: look at lifeboat.migration_history and at what the statement was to make before anything else{back}.{restore}"
            )
        } else if done == 0 && !execution.partly {
            // A proven backup that is fresh enough is taken again, with what is mended now.
            let rehearsal = status.rehearsal.as_ref();
            let failed = rehearsal.is_some_and(|r| r.result == Verdict::Failed);
            let stale = match reason {
                // The rehearsal has the rights that production has, whatever the backup has.
                Reason::PermissionDenied => {
                    " A right that is given now needs no new backup as a rule; if the rehearsal misses it, set `spec.gate.dataAfter` to the time when it was given."
                }
                reason if failed || reason == Reason::NotAsRehearsed => {
                    " With `spec.gate.dataAfter`, the time when that was mended, it is rehearsed on a younger backup."
                }
                _ => "",
            };
            format!(
                "Nothing was applied. Mend what is named, delete this MigrationRun and create it again.{stale}"
            )
        } else if done >= of {
            let look = match execution.differences.is_empty() {
                true => "Look at what is named",
                false => "Look at the differences",
            };
            format!(
                "All {of} segments are applied. {look}; another MigrationRun begins when this one is deleted{back}.{restore}"
            )
        } else {
            let half = match execution.partly {
                true => "and some batches of one more",
                false => "nothing is half done",
            };
            format!(
                "{done} of {of} segments are applied, {half}. Mend what is named, delete this MigrationRun and create another with the same target: it goes on from there{back}.{restore}"
            )
        };
        cut(&text)
    }
}

/// Two sentences, of which the first may end already.
fn sentence(first: &str, second: &str) -> String {
    let end = if first.ends_with(['.', '?', '!', '…']) {
        ""
    } else {
        "."
    };
    format!("{first}{end} {second}")
}

type Told = (Truth, Reason, String);

/// Writes into a gate that is not passed why its last Job came to nothing: there it stands while the next one is at work, when Ready
/// tells of that.
pub(super) fn tried_in_vain(
    conditions: &mut [Condition],
    stage: &str,
    reason: Reason,
    message: &str,
) {
    let mut gates = conditions.iter_mut().filter(|c| c.type_ == stage);
    let gate = gates.find(|c| c.status == Truth::Unknown.as_str());
    if let Some(gate) = gate {
        reason.as_str().clone_into(&mut gate.reason);
        gate.message = cut(&format!("not yet; the last try: {message}"));
    }
}

/// Why the last Job of a gate came to nothing, as its condition has it, until another did better.
fn in_vain(status: &MigrationRunStatus, type_: &str) -> Option<(Reason, String)> {
    let failed = status.attempts.is_some_and(|a| a.failed > 0);
    let gate =
        find(&status.conditions, type_).filter(|c| failed && c.status == Truth::Unknown.as_str());
    let reason = Reason::parse(&gate?.reason)?;
    let said = reason != Reason::Pending && [PLANNED, REHEARSED].contains(&type_);
    said.then(|| (reason, gate.map(|c| c.message.clone()).unwrap_or_default()))
}

fn not_yet(why: &str) -> Told {
    (Truth::Unknown, Reason::Pending, why.to_owned())
}

fn planned(status: &MigrationRunStatus) -> Told {
    let Some(plan) = &status.plan else {
        return not_yet("not planned yet");
    };
    let short: String = plan.hash.chars().take(12).collect();
    let why = format!(
        "{} in {}, plan {short}",
        read::count(plan.statements, "statement"),
        read::count(plan.segments, "segment")
    );
    (Truth::True, Reason::Succeeded, why)
}

fn proven(status: &MigrationRunStatus) -> Told {
    match &status.gate {
        None => not_yet("no backup was looked for yet"),
        Some(gate) if gate.proven => {
            let why = format!("Backup `{}`", gate.backup);
            (Truth::True, Reason::Succeeded, why)
        }
        Some(gate) => not_yet(&format!("Backup `{}` is not proven yet", gate.backup)),
    }
}

fn applied(status: &MigrationRunStatus) -> Told {
    let Some(execution) = &status.execution else {
        return not_yet("nothing was begun");
    };
    let of = status.plan.as_ref().map_or(0, |p| p.segments);
    let done = execution.applied;
    let why = format!("{done} of {of} segments");
    match execution.verified {
        _ if execution.begun || execution.unknown => {
            let why = format!("{why} are known to stand; of one more nobody has seen the end");
            (Truth::Unknown, Reason::Unknown, why)
        }
        Some(true) if done >= of => (Truth::True, Reason::Succeeded, why),
        _ => (Truth::False, Reason::Pending, why),
    }
}
