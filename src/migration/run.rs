//! One Job: created, watched, ended. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::conclude::Ended;
use super::decide::Case;
use super::window::Opening;
use crate::api::backup::GivenUp;
use crate::api::condition::cut;
use crate::api::migration_run::{MigrationExecutionStatus, MigrationStep, RunningMigration};
use crate::api::restore_drill::Network;
use crate::api::{BackupPolicy, BackupStore, MigrationRunStatus, Reason};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::cluster::seen::{JobState, SeenJob, never_started};
use crate::schedule::{START_LOOK, later};
use crate::task::{ApplyTask, SettleTask};
use crate::workload::{
    MigrationJobPlan, RehearsePlan, START_DEADLINE, StepPlan, migration_job, rehearsal_network,
    rehearsal_network_name,
};

/// A worker that is still seen at work this long after its deadlines is given up.
const GIVE_UP_SLACK: Duration = Duration::from_secs(1_200);
/// A deadline that does not read.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(4 * 3_600);
/// A backup waits so long for a migration to come to its end.
const MAX_BACKUP_DELAY: Duration = Duration::from_secs(3_600);
/// When to look again for a Job that was told to end.
pub(super) const STOP_LOOK: Duration = Duration::from_secs(10);

impl Case<'_> {
    /// Creates the Job that stands in the status, until it is seen or its time to start is over.
    pub(super) fn intended(
        &self,
        old: MigrationRunStatus,
        running: RunningMigration,
    ) -> Decision<MigrationRunStatus> {
        let late = self.now >= later(running.started_at, START_DEADLINE);
        if late {
            let why = "its Job could not be created within 15 minutes";
            let ended = Ended::lost(Reason::StartDeadlineExceeded, why);
            return self.conclude(old, running, ended);
        }
        let plan = match running.step {
            MigrationStep::Settle => self.settle_plan(&old, &running),
            _ => match self.still(&old, &running) {
                Ok(plan) => Ok(plan),
                Err(()) => return self.withdraw(old, &running),
            },
        };
        let (parts, plan) = match plan {
            Ok(plan) => plan,
            Err((reason, why)) => {
                return Decision {
                    next: Next::At(later(running.started_at, START_DEADLINE)),
                    ..self.hold(old, reason, &why)
                };
            }
        };
        let why = format!("the Job `{}` is about to start", self.job_name(&running));
        // It stands before the first worker does, so that nobody's deletion overtakes one (M24).
        let effects = match running.step {
            MigrationStep::Apply if !self.has_finalizer() => vec![self.with_finalizer()],
            step => {
                let network = (step == MigrationStep::Rehearse).then(|| self.network(parts));
                let job = migration_job(self.settings, parts, &self.seen.run, &plan);
                let create = Effect::CreateJob {
                    job: Box::new(job),
                    owner_version: self.seen.run.resource_version().unwrap_or_default(),
                };
                network.into_iter().chain([create]).collect()
            }
        };
        Decision {
            effects,
            next: Next::At(later(self.now, START_LOOK)),
            ..self.under(old, Reason::Starting, &why)
        }
    }

    /// The Job of a step whose gates all still hold. What no longer does is said by the next look.
    fn still(
        &self,
        old: &MigrationRunStatus,
        running: &RunningMigration,
    ) -> Result<((&BackupPolicy, &BackupStore), MigrationJobPlan), ()> {
        let ready = self.may_begin(old).map_err(|_| ())?;
        let step = match running.step {
            MigrationStep::Plan => StepPlan::Plan,
            MigrationStep::Rehearse => {
                let (plan, gate) = (old.plan.as_ref().ok_or(())?, old.gate.as_ref().ok_or(())?);
                let backup = self
                    .seen
                    .backups
                    .iter()
                    .find(|b| b.name_any() == gate.backup);
                let bytes = backup.and_then(|b| b.status.as_ref()?.bytes.as_ref());
                StepPlan::Rehearse(RehearsePlan {
                    drill: Box::new(ready.drill.clone()),
                    plan_hash: plan.hash.clone(),
                    backup: gate.backup.clone(),
                    prefix: gate.prefix.clone().ok_or(())?,
                    raw_bytes: bytes.map_or(0, |bytes| bytes.raw),
                })
            }
            MigrationStep::Apply | MigrationStep::Settle => {
                let begun = super::decide::has_applied(old);
                if !begun && !self.stands(old, &ready) {
                    return Err(());
                }
                let Opening::Open(closes_at) = ready.run.window.at(self.now) else {
                    return Err(());
                };
                let now = self.with_approvals(old.clone());
                let counts = now.approvals.iter().filter(|a| a.void.is_none());
                let approved_by: Vec<String> = counts.map(|a| a.approver.clone()).collect();
                if ready.run.needs_approval && approved_by.is_empty() {
                    return Err(());
                }
                StepPlan::Apply(Box::new(apply_task(
                    old,
                    ready.run.max_age,
                    approved_by,
                    (closes_at, self.yields_at(ready.policy)),
                )?))
            }
        };
        let parts = (ready.policy, ready.store);
        Ok((parts, self.job_plan(old, running, step)))
    }

    #[expect(clippy::type_complexity, reason = "the parts of one Job")]
    fn settle_plan(
        &self,
        old: &MigrationRunStatus,
        running: &RunningMigration,
    ) -> Result<((&BackupPolicy, &BackupStore), MigrationJobPlan), (Reason, String)> {
        let parts = self.ready_to_settle()?;
        let plan = old.plan.as_ref().map(|p| p.hash.clone());
        let step = StepPlan::Settle(SettleTask {
            plan_hash: plan.unwrap_or_default(),
            evidence_key: old.rehearsal.as_ref().and_then(|r| r.key.clone()),
            evidence_hash: old.rehearsal.as_ref().map(|r| r.evidence_hash.clone()),
        });
        Ok((parts, self.job_plan(old, running, step)))
    }

    fn job_plan(
        &self,
        old: &MigrationRunStatus,
        running: &RunningMigration,
        step: StepPlan,
    ) -> MigrationJobPlan {
        MigrationJobPlan {
            step,
            attempt: running.attempt,
            deadline: deadline(running),
            major: self.major(old),
        }
    }

    /// When a backup of the policy will have waited for so long that the run pauses (M17): no worker can be told later.
    fn yields_at(&self, policy: &BackupPolicy) -> Option<Timestamp> {
        let next = policy
            .status
            .as_ref()?
            .next
            .iter()
            .map(|due| due.at)
            .min()?;
        Some(later(next.max(self.now), MAX_BACKUP_DELAY))
    }

    /// The major that a worker found, else the plan's, else the server's as the policy knows it.
    pub(super) fn major(&self, old: &MigrationRunStatus) -> Option<i32> {
        let policy = self.seen.policy.as_ref().and_then(|p| p.status.as_ref());
        let server = policy.and_then(|s| s.database.as_ref()).map(|d| d.major);
        old.found_major
            .or(old.plan.as_ref().map(|p| p.major))
            .or(server)
    }

    /// Closes the net around the pods before there are any (K38).
    fn network(&self, (policy, store): (&BackupPolicy, &BackupStore)) -> Effect {
        let drill = self.seen.drill.as_ref();
        match drill.and_then(|d| d.spec.network).unwrap_or_default() {
            Network::Isolated => Effect::ApplyNetwork {
                policy: Box::new(rehearsal_network(
                    self.settings,
                    policy,
                    store,
                    &self.seen.run,
                )),
            },
            Network::Open => Effect::DeleteNetwork {
                namespace: self.namespace(),
                name: rehearsal_network_name(&self.seen.run),
            },
        }
    }

    /// Takes back what was intended. Where a worker may have been created that is not seen yet, the history is asked.
    fn withdraw(
        &self,
        old: MigrationRunStatus,
        running: &RunningMigration,
    ) -> Decision<MigrationRunStatus> {
        let may_be_there = running.step == MigrationStep::Apply && self.has_finalizer();
        let execution = match may_be_there {
            true => Some(MigrationExecutionStatus {
                unknown: true,
                ..old.execution.clone().unwrap_or_default()
            }),
            false => old.execution.clone(),
        };
        let status = MigrationRunStatus {
            running: None,
            execution,
            ..old
        };
        let soon = later(self.now, Duration::from_secs(1));
        self.waits(
            status,
            soon,
            Reason::Pending,
            "what it rests on has changed",
        )
    }

    /// What a Job is made from.
    pub(super) fn generations(&self) -> Option<String> {
        let policy = self.seen.policy.as_ref()?.metadata.generation?;
        let drill = self.seen.drill.as_ref()?.metadata.generation?;
        let store = self.seen.store.as_ref()?.metadata.generation?;
        Some(format!("{policy} {drill} {store}"))
    }

    /// Its Job was seen.
    pub(super) fn on(
        &self,
        old: MigrationRunStatus,
        mut running: RunningMigration,
        job: Option<&SeenJob>,
    ) -> Decision<MigrationRunStatus> {
        let Some(job) = job else {
            let ended = match (&self.seen.end, &running.given_up) {
                (Some(JobState::Ended { result, why, .. }), _) => {
                    Ended::read(result.as_deref(), why)
                }
                (_, Some(given_up)) => Ended::given_up(given_up),
                _ => Ended::lost(Reason::ResultLost, "its Job is gone and left no result"),
            };
            return self.conclude(old, running, ended);
        };
        let mut notices = Vec::new();
        if running.job_uid.is_none() {
            running.job_uid = Some(job.uid.clone());
            let message = format!("{} started: Job `{}`", words(running.step), job.name);
            notices.push(Notice::normal(Reason::Started, message));
        }
        let mut decision = match &job.state {
            JobState::Ended { result, why, .. } => {
                let ended = Ended::read(result.as_deref(), why);
                let ended = match &running.given_up {
                    Some(given_up) if !ended.has_result() => Ended::given_up(given_up),
                    _ => ended,
                };
                self.conclude(old, running, ended)
            }
            JobState::Waiting { reason, why } => {
                let mut until = later(job.created_at, START_DEADLINE);
                let mut what = format!("the pod did not start within 15 minutes: {why}");
                let was = running.made_from.as_ref().zip(self.generations());
                // What is wrong with it may be mended by now.
                if was.is_some_and(|(was, is)| *was != is) {
                    until = self.now;
                    what =
                        format!("policy, drill or store changed before the pod had started: {why}");
                }
                let given_up = GivenUp {
                    reason: never_started(*reason).as_str().to_owned(),
                    message: cut(&what),
                };
                let message = format!("{} is starting: {why}", words(running.step));
                self.watch(old, (running, job), until, given_up, (*reason, message))
            }
            JobState::Running { .. } => {
                let most = START_DEADLINE + deadline(&running) + GIVE_UP_SLACK;
                let given_up = GivenUp {
                    reason: Reason::ResultLost.as_str().to_owned(),
                    message: "the pod outlived all its deadlines; its node may be lost".to_owned(),
                };
                let message = format!("{} is at work", words(running.step));
                let until = later(job.created_at, most);
                self.watch(
                    old,
                    (running, job),
                    until,
                    given_up,
                    (Reason::Running, message),
                )
            }
        };
        notices.append(&mut decision.notices);
        Decision {
            notices,
            ..decision
        }
    }

    /// Looks on until `until`; then writes down that it gives up, and only then removes the Job.
    pub(super) fn watch(
        &self,
        old: MigrationRunStatus,
        (mut running, job): (RunningMigration, &SeenJob),
        until: Timestamp,
        given_up: GivenUp,
        (reason, message): (Reason, String),
    ) -> Decision<MigrationRunStatus> {
        let mut effects = Vec::new();
        let mut next = Next::At(until);
        if running.given_up.is_some() {
            effects = vec![Effect::delete(&self.namespace(), job)];
            next = Next::At(later(self.now, STOP_LOOK));
        } else if self.now >= until {
            running.given_up = Some(given_up);
            next = Next::At(later(self.now, STOP_LOOK));
        }
        let status = MigrationRunStatus {
            running: Some(running),
            ..old
        };
        Decision {
            effects,
            next,
            ..self.under(status, reason, &message)
        }
    }
}

fn apply_task(
    old: &MigrationRunStatus,
    max_age: Duration,
    approved_by: Vec<String>,
    (closes_at, yields_at): (Timestamp, Option<Timestamp>),
) -> Result<ApplyTask, ()> {
    let plan = old.plan.as_ref().ok_or(())?;
    let rehearsal = old.rehearsal.as_ref().ok_or(())?;
    let gate = old.gate.as_ref().ok_or(())?;
    Ok(ApplyTask {
        plan_hash: plan.hash.clone(),
        evidence_hash: rehearsal.evidence_hash.clone(),
        evidence_key: rehearsal.key.clone().ok_or(())?,
        backup: gate.backup.clone(),
        prefix: gate.prefix.clone().ok_or(())?,
        max_age_seconds: max_age.as_secs(),
        approved_by,
        closes_at,
        yields_at,
    })
}

/// A step, in a sentence.
pub(super) fn words(step: MigrationStep) -> &'static str {
    match step {
        MigrationStep::Plan => "planning",
        MigrationStep::Rehearse => "the rehearsal",
        MigrationStep::Apply => "applying",
        MigrationStep::Settle => "reading the history",
    }
}

fn deadline(running: &RunningMigration) -> Duration {
    let seconds = u64::try_from(running.deadline_seconds);
    seconds.map_or(DEFAULT_DEADLINE, Duration::from_secs)
}
