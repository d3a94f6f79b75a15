//! A run that is being deleted: its worker is told to end and looked after first (M24). Pure.

use super::decide::{Case, is_over, is_unsettled};
use super::run::STOP_LOOK;
use crate::api::Reason;
use crate::api::migration_run::{
    MigrationExecutionStatus, MigrationRunStatus, MigrationStep, RunningMigration,
};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::cluster::seen::JobState;
use crate::schedule::later;

impl Case<'_> {
    /// Lets the object go when nobody is at the database and what stands is known, or nobody can be sent to ask.
    pub(super) fn leave(&self, old: MigrationRunStatus) -> Decision<MigrationRunStatus> {
        if !self.has_finalizer() {
            return Decision::quiet(old);
        }
        match old.running.clone() {
            Some(running) => self.stop(old, running),
            None if self.seen.pods > 0 => self.look_again(old, Vec::new()),
            None if !is_unsettled(&old) => self.let_go(old, None),
            // It held because of that. Whoever deletes it may have made way: it is tried once more.
            None if self.was_tried(&old) => self.let_go(old, Some("the last try failed too")),
            None => match self.ready_to_settle() {
                Ok(_) if !self.seen.namespace_terminating => self.settle(old),
                Ok(_) => self.let_go(old, Some("its namespace is being deleted")),
                Err((_, why)) => self.let_go(old, Some(why.as_str())),
            },
        }
    }

    /// It has come to its end, unsettled, since somebody deleted it.
    fn was_tried(&self, old: &MigrationRunStatus) -> bool {
        let deleted = self.seen.run.metadata.deletion_timestamp.as_ref();
        is_over(old) && old.finished_at >= deleted.map(|t| t.0)
    }

    fn stop(
        &self,
        old: MigrationRunStatus,
        running: RunningMigration,
    ) -> Decision<MigrationRunStatus> {
        let job = self.job_of(&running);
        let ended = job.is_none_or(|j| matches!(j.state, JobState::Ended { .. }));
        match (job, running.step) {
            // It reads, and removes what an earlier one left: that is what is waited for.
            (Some(job), MigrationStep::Settle) => self.on(old, running, Some(job)),
            (Some(job), _) if !ended => {
                let effect = Effect::delete(&self.namespace(), job);
                self.look_again(old, vec![effect])
            }
            _ if self.seen.pods > 0 => self.look_again(old, Vec::new()),
            (None, MigrationStep::Settle) if running.job_uid.is_none() => {
                match self.seen.namespace_terminating {
                    true => self.let_go(old, Some("its namespace is being deleted")),
                    false => self.intended(old, running),
                }
            }
            // It may have been created, and not been seen yet.
            (None, MigrationStep::Apply) if running.job_uid.is_none() => {
                let execution = old.execution.clone().unwrap_or_default();
                let status = MigrationRunStatus {
                    running: None,
                    execution: Some(MigrationExecutionStatus {
                        unknown: true,
                        ..execution
                    }),
                    ..old
                };
                self.look_again(status, Vec::new())
            }
            _ => self.on(old, running, job),
        }
    }

    fn look_again(
        &self,
        status: MigrationRunStatus,
        effects: Vec<Effect>,
    ) -> Decision<MigrationRunStatus> {
        Decision {
            effects,
            next: Next::At(later(self.now, STOP_LOOK)),
            ..Decision::quiet(status)
        }
    }

    fn let_go(
        &self,
        old: MigrationRunStatus,
        unread: Option<&str>,
    ) -> Decision<MigrationRunStatus> {
        let notice = unread.map(|why| {
            let message = format!(
                "what stands is not known, or something is half done, because {why}: look at lifeboat.migration_history of the database"
            );
            Notice::warning(Reason::Unknown, message)
        });
        Decision {
            effects: self.without_finalizer().into_iter().collect(),
            notices: notice.into_iter().collect(),
            ..Decision::quiet(old)
        }
    }
}
