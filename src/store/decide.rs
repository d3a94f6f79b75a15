//! What a store needs next: probes, and the truth about the last one. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use super::validate::{Invalid, ValidStore};
use crate::api::backup_store::UpkeepPlan;
use crate::api::condition::{
    CONDITIONAL_WRITES, CREDENTIALS_VALID, Conditions, READY, RECONCILING, STALLED, Truth, WRITABLE,
};
use crate::api::{BackupStore, BackupStoreStatus, Reason};
use crate::cluster::decision::{Decision, Effect, Next, Notice};
use crate::cluster::seen::SeenJob;
use crate::schedule::upkeep::{Outcome, Round, Step, Upkeep};
use crate::schedule::{START_LOOK, later};
use crate::task::ProbeResult;
use crate::workload::{Settings, probe_job};

/// How often a store that is well is probed.
const PERIOD: Duration = Duration::from_secs(6 * 3_600);

/// What is seen of a store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// The store.
    pub store: BackupStore,
    /// Its newest probe Job, by owner uid and task label.
    pub probe_job: Option<SeenJob>,
    /// When a backup last went through it whole; only known while its last probe failed.
    pub written_at: Option<Timestamp>,
    /// Its namespace is being deleted.
    pub namespace_terminating: bool,
}

/// Decides one store.
#[must_use]
pub fn decide(
    valid: Result<&ValidStore, &Invalid>,
    seen: &Observed,
    settings: &Settings,
    now: Timestamp,
) -> Decision<BackupStoreStatus> {
    let old = seen.store.status.clone().unwrap_or_default();
    if seen.namespace_terminating || seen.store.metadata.deletion_timestamp.is_some() {
        return Decision::quiet(old);
    }
    let mut decision = match valid {
        Ok(valid) => probe(valid, seen, &old, settings, now),
        Err(invalid) => Decision::quiet(stalled(invalid, seen, &old, now)),
    };
    decision.notices = Notice::on_turn(&old.conditions, &decision.status.conditions)
        .into_iter()
        .collect();
    decision
}

fn stalled(
    invalid: &Invalid,
    seen: &Observed,
    old: &BackupStoreStatus,
    now: Timestamp,
) -> BackupStoreStatus {
    let generation = seen.store.metadata.generation;
    let mut conditions = Conditions::new(&old.conditions, generation, now);
    let why = invalid.to_string();
    conditions.set(READY, Truth::False, Reason::InvalidSpec, why.clone());
    conditions.set(
        RECONCILING,
        Truth::False,
        Reason::InvalidSpec,
        "waits for a new spec",
    );
    conditions.set(STALLED, Truth::True, Reason::InvalidSpec, why);
    for type_ in [CREDENTIALS_VALID, WRITABLE, CONDITIONAL_WRITES] {
        conditions.keep(type_);
    }
    BackupStoreStatus {
        observed_generation: generation,
        conditions: conditions.finish(),
        ..old.clone()
    }
}

fn probe(
    valid: &ValidStore,
    seen: &Observed,
    old: &BackupStoreStatus,
    settings: &Settings,
    now: Timestamp,
) -> Decision<BackupStoreStatus> {
    // A backup that went through since says that the store is well again, so it is asked at once.
    let failed = old.last_probe.as_ref().filter(|last| !last.succeeded);
    let again = failed.is_some_and(|last| seen.written_at > Some(last.time));
    let standing = old.next_probe.clone().map(|plan| UpkeepPlan {
        at: if again { plan.at.min(now) } else { plan.at },
        ..plan
    });
    let upkeep = Upkeep {
        owner: [&valid.namespace, &valid.name],
        generation: valid.generation,
        requested_at: valid.requested_at.clone(),
        period: PERIOD,
        last: old.last_probe.as_ref(),
        plan: standing.as_ref(),
    };
    let round = upkeep.round(now);
    let job = probe_job(settings, &seen.store, &round.name);
    let expected = job.metadata.name.clone().unwrap_or_default();
    let step = Upkeep::step(&round, &expected, seen.probe_job.as_ref(), now);

    let mut effects = Vec::new();
    if let Some(done) = seen.probe_job.as_ref().filter(|job| job.name != expected) {
        effects.push(Effect::delete(&valid.namespace, done));
    }
    let mut last = old.last_probe.clone();
    let mut plan = round.plan.clone();
    let mut outcome = None;
    let next = match step {
        Step::Wait => Next::At(plan.at),
        Step::Watch { until, .. } => Next::At(until),
        Step::Start => {
            effects.push(Effect::CreateJob {
                job: Box::new(job),
                owner_version: seen.store.resource_version().unwrap_or_default(),
            });
            Next::At(later(now, START_LOOK))
        }
        Step::Took(ref ended) => {
            let ended = believed(ended);
            let (run, follows) = upkeep.record(&round, &ended, now);
            last = Some(run);
            plan = follows;
            outcome = Some(ended);
            Next::At(plan.at)
        }
    };
    let mut conditions = Conditions::new(&old.conditions, Some(valid.generation), now);
    let status = BackupStoreStatus {
        observed_generation: Some(valid.generation),
        last_probe: last,
        next_probe: Some(plan),
        conditions: Vec::new(),
    };
    general(&mut conditions, valid, &status, &round, &step);
    abilities(&mut conditions, old, outcome.as_ref());
    Decision {
        effects,
        status: BackupStoreStatus {
            conditions: conditions.finish(),
            ..status
        },
        notices: Vec::new(),
        next,
    }
}

/// A result is untrusted (K14): one that says it succeeded and denies what that means did not.
fn believed(ended: &Outcome) -> Outcome {
    let probe = ended.result.as_ref().and_then(|r| r.probe.as_ref());
    let denied = match probe {
        Some(p) if p.credentials_valid == Some(false) => Some(Reason::StoreCredentialsInvalid),
        Some(p) if p.writable == Some(false) => Some(Reason::StoreAccessDenied),
        Some(_) => None,
        None => Some(Reason::ProtocolError),
    };
    match denied {
        Some(reason) if ended.reason == Reason::Succeeded => Outcome {
            reason,
            ..ended.clone()
        },
        _ => ended.clone(),
    }
}

fn general(
    conditions: &mut Conditions,
    valid: &ValidStore,
    status: &BackupStoreStatus,
    round: &Round,
    step: &Step,
) {
    let last = status.last_probe.as_ref();
    match last.filter(|last| last.generation == valid.generation) {
        Some(last) => {
            let reason = Reason::parse(&last.reason).unwrap_or(Reason::Unknown);
            conditions.set(READY, last.succeeded.into(), reason, last.message.clone());
        }
        None => conditions.set(READY, Truth::Unknown, Reason::Pending, "not probed yet"),
    }
    let answered = matches!(step, Step::Took(_)) || !round.unanswered;
    let failed = last.is_some_and(|last| !last.succeeded);
    let starting;
    let (truth, reason, message) = match (answered, step) {
        (false, Step::Watch { waiting: None, .. }) => {
            (Truth::True, Reason::Running, "a probe is at work")
        }
        (
            false,
            Step::Watch {
                waiting: Some((reason, why)),
                ..
            },
        ) => {
            starting = format!("a probe is starting: {why}");
            (Truth::True, *reason, starting.as_str())
        }
        (false, _) => (Truth::True, Reason::Starting, "a probe is starting"),
        (true, _) if failed => (Truth::True, Reason::Retrying, "the probe is tried again"),
        (true, _) => (Truth::False, Reason::Idle, "nothing is under way"),
    };
    conditions.set(RECONCILING, truth, reason, message);
    conditions.set(STALLED, Truth::False, Reason::Idle, "the spec can work");
}

fn abilities(conditions: &mut Conditions, old: &BackupStoreStatus, outcome: Option<&Outcome>) {
    let Some(outcome) = outcome else {
        for type_ in [CREDENTIALS_VALID, WRITABLE, CONDITIONAL_WRITES] {
            match crate::api::condition::find(&old.conditions, type_) {
                Some(_) => conditions.keep(type_),
                None => conditions.set(type_, Truth::Unknown, Reason::Pending, "not probed yet"),
            }
        }
        return;
    };
    let none = ProbeResult::default();
    let result = outcome.result.as_ref();
    let probe = result.and_then(|r| r.probe.as_ref()).unwrap_or(&none);
    let refused = match outcome.reason {
        reason @ (Reason::BucketNotFound | Reason::StoreFull) => reason,
        _ => Reason::StoreAccessDenied,
    };
    let rows = [
        (
            CREDENTIALS_VALID,
            probe.credentials_valid,
            Reason::StoreCredentialsInvalid,
            [
                "the store accepts the credentials",
                "the store refuses the credentials",
            ],
        ),
        (
            WRITABLE,
            probe.writable,
            refused,
            [
                "put and multipart uploads work",
                "what backups write is refused",
            ],
        ),
        (
            CONDITIONAL_WRITES,
            probe.conditional_writes,
            Reason::NotSupportedByStore,
            [
                "a second write of one key is refused",
                "the store would overwrite; unique prefixes keep backups apart",
            ],
        ),
    ];
    for (type_, answer, reason, [yes, no]) in rows {
        match answer {
            Some(true) => conditions.set(type_, Truth::True, Reason::Succeeded, yes),
            Some(false) => conditions.set(type_, Truth::False, reason, no),
            None => conditions.set(
                type_,
                Truth::Unknown,
                Reason::Unknown,
                "the last probe did not get that far",
            ),
        }
    }
}
