//! One run: its Job created, watched, concluded. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::break_glass;
use super::conclude::{Ended, MAX_ATTEMPTS};
use super::decide::Case;
use super::hold::Ready;
use crate::api::backup::GivenUp;
use crate::api::condition::{RECONCILING, cut, find};
use crate::api::restore_drill::{Network, RunningDrill};
use crate::api::{Reason, RestoreDrillStatus};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::cluster::seen::{JobState, SeenJob, never_started};
use crate::schedule::{START_LOOK, later};
use crate::workload::{DrillPlan, START_DEADLINE, drill_job, drill_network, network_name};

/// A worker that is still seen at work this long after its deadlines is given up.
const GIVE_UP_SLACK: Duration = Duration::from_secs(1_200);
/// A deadline that does not read.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(4 * 3_600);

impl Case<'_> {
    /// Creates the Job of the attempt that stands in the status, until it is seen or its time to start is over.
    pub(super) fn intended(
        &self,
        old: RestoreDrillStatus,
        run: RunningDrill,
    ) -> Decision<RestoreDrillStatus> {
        if let Some(first) = &self.seen.first {
            let why = format!("RestoreDrill `{first}` of the same policy goes first");
            return Decision::quiet(self.under_way(old, Reason::Queued, &why));
        }
        let queued =
            find(&old.conditions, RECONCILING).is_some_and(|c| c.reason == Reason::Queued.as_str());
        if queued {
            // It waited for its turn, and that is no part of the time to restore.
            let run = RunningDrill {
                started_at: self.now,
                attempted_at: Some(self.now),
                ..run
            };
            return self.starting(old, run, Vec::new());
        }
        let until = later(run.attempted_at.unwrap_or(run.started_at), START_DEADLINE);
        let ready = match self.ready() {
            Ok(_) if self.now >= until => {
                let why = "its Job could not be created within 15 minutes";
                let ended = Ended::lost(Reason::StartDeadlineExceeded, why);
                return self.conclude(old, run, ended);
            }
            Err((reason, why)) if self.now >= until => {
                return self.conclude(old, run, Ended::lost(reason, why));
            }
            Err((reason, why)) => {
                return Decision {
                    next: Next::At(until),
                    ..self.hold(old, reason, &why)
                };
            }
            Ok(ready) => ready,
        };
        let job = drill_job(
            self.settings,
            ready.policy,
            ready.store,
            &self.seen.drill,
            &self.plan(&ready, &run),
        );
        let effect = Effect::CreateJob {
            job: Box::new(job),
            owner_version: self.seen.drill.resource_version().unwrap_or_default(),
        };
        self.starting(old, run, vec![self.network(&ready), effect])
    }

    /// Closes the net around the pods before there are any, or takes away what an earlier spec closed (K38).
    fn network(&self, ready: &Ready<'_>) -> Effect {
        let drill = &self.seen.drill;
        match drill.spec.network.unwrap_or_default() {
            Network::Isolated => Effect::ApplyNetwork {
                policy: Box::new(drill_network(
                    self.settings,
                    ready.policy,
                    ready.store,
                    drill,
                )),
            },
            Network::Open => Effect::DeleteNetwork {
                namespace: ready.drill.namespace.clone(),
                name: network_name(drill),
            },
        }
    }

    fn starting(
        &self,
        old: RestoreDrillStatus,
        run: RunningDrill,
        effects: Vec<Effect>,
    ) -> Decision<RestoreDrillStatus> {
        let why = format!("run `{}` is about to start", run.run);
        let status = RestoreDrillStatus {
            running: Some(run),
            ..old
        };
        Decision {
            effects,
            next: Next::At(later(self.now, START_LOOK)),
            ..Decision::quiet(self.under_way(status, Reason::Starting, &why))
        }
    }

    fn plan(&self, ready: &Ready<'_>, run: &RunningDrill) -> DrillPlan {
        let backup = self.seen.backup.as_ref().and_then(|b| b.status.as_ref());
        DrillPlan {
            run: run.run.clone(),
            attempt: run.attempt,
            due: run.due,
            decided_at: run.started_at,
            directory: ready.valid_policy.directory.clone(),
            deadline: deadline(run),
            major: run.major,
            raw_bytes: backup
                .and_then(|s| s.bytes.as_ref())
                .map_or(0, |bytes| bytes.raw),
            break_glass: break_glass::due(&self.seen.drill, run),
        }
    }

    /// Its Job was seen.
    pub(super) fn on(
        &self,
        old: RestoreDrillStatus,
        mut run: RunningDrill,
        job: Option<&SeenJob>,
    ) -> Decision<RestoreDrillStatus> {
        let Some(job) = job else {
            let ended = match &run.given_up {
                Some(given_up) => Ended::given_up(given_up),
                None => Ended::lost(Reason::ResultLost, "its Job is gone and left no result"),
            };
            // Nothing was restored, and what kept it from that may be mended now.
            if run.given_up.is_some() && self.made_otherwise(&run) && run.attempt < MAX_ATTEMPTS {
                let why = format!("run `{}` begins anew", run.run);
                return self.again(old, run.clone(), run.major, (why, &ended));
            }
            return self.conclude(old, run, ended);
        };
        let mut notices = Vec::new();
        if run.job_uid.is_none() {
            run.job_uid = Some(job.uid.clone());
            let message = format!("run `{}` started: Job `{}`", run.run, job.name);
            notices.push(Notice::normal(Reason::Started, message));
        }
        let mut decision = match &job.state {
            JobState::Ended { result, why, .. } => {
                let ended = Ended::read(result.as_deref(), why);
                let ended = match &run.given_up {
                    Some(given_up) if !ended.has_verdict() => Ended::given_up(given_up),
                    _ => ended,
                };
                self.conclude(old, run, ended)
            }
            JobState::Waiting { reason, why } => {
                let mut until = later(job.created_at, START_DEADLINE);
                let mut what = format!("the pod did not start within 15 minutes: {why}");
                if self.made_otherwise(&run) {
                    until = self.now;
                    what =
                        format!("drill, policy or store changed before the pod had started: {why}");
                }
                let given_up = GivenUp {
                    reason: never_started(*reason).as_str().to_owned(),
                    message: cut(&what),
                };
                let message = format!("run `{}` is starting: {why}", run.run);
                self.watch(old, (run, job), until, given_up, (*reason, message))
            }
            JobState::Running { .. } => {
                let most = START_DEADLINE + deadline(&run) + GIVE_UP_SLACK;
                let given_up = GivenUp {
                    reason: Reason::ResultLost.as_str().to_owned(),
                    message: "the pod outlived all its deadlines; its node may be lost".to_owned(),
                };
                let message = format!("run `{}` is at work", run.run);
                let until = later(job.created_at, most);
                self.watch(old, (run, job), until, given_up, (Reason::Running, message))
            }
        };
        notices.append(&mut decision.notices);
        Decision {
            notices,
            ..decision
        }
    }

    /// What an attempt is made from.
    pub(super) fn generations(&self) -> Option<String> {
        let drill = self.seen.drill.metadata.generation?;
        let policy = self.seen.policy.as_ref()?.metadata.generation?;
        let store = self.seen.store.as_ref()?.metadata.generation?;
        Some(format!("{drill} {policy} {store}"))
    }

    /// An attempt that begins now would be made from something else.
    fn made_otherwise(&self, run: &RunningDrill) -> bool {
        let was = run.made_from.as_ref().zip(self.generations());
        was.is_some_and(|(was, is)| *was != is)
    }

    /// Looks on until `until`; then writes down that it gives up, and only then removes the Job.
    fn watch(
        &self,
        old: RestoreDrillStatus,
        (mut run, job): (RunningDrill, &SeenJob),
        until: Timestamp,
        given_up: GivenUp,
        (reason, message): (Reason, String),
    ) -> Decision<RestoreDrillStatus> {
        let mut effects = Vec::new();
        let mut next = Next::At(until);
        if run.given_up.is_some() {
            let namespace = self.seen.drill.namespace().unwrap_or_default();
            effects = vec![Effect::delete(&namespace, job)];
            next = Next::At(later(self.now, START_LOOK));
        } else if self.now >= until {
            run.given_up = Some(given_up);
            next = Next::At(later(self.now, START_LOOK));
        }
        let status = RestoreDrillStatus {
            running: Some(run),
            ..old
        };
        Decision {
            effects,
            next,
            ..Decision::quiet(self.under_way(status, reason, &message))
        }
    }
}

fn deadline(run: &RunningDrill) -> Duration {
    let seconds = u64::try_from(run.deadline_seconds);
    seconds.map_or(DEFAULT_DEADLINE, Duration::from_secs)
}
