//! What a policy needs next: Backups that are due, checks, and the truth about both. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use super::checks::{Check, check, database};
use super::history::{Ended, failures, last_backup, newest, retried, running};
use super::signals::{last_proven, recovery_point, signals};
use super::validate::{Invalid, ValidPolicy};
use super::{due, due::Owing};
use crate::api::backup_policy::LastSkipped;
use crate::api::condition::{Conditions, HEALTHY, READY, RECONCILING, STALLED, Truth, find};
use crate::api::{Backup, BackupPolicy, BackupPolicyStatus, BackupStore, Reason, RestoreDrill};
use crate::cluster::decision::{Decision, Next, Notice};
use crate::cluster::seen::SeenJob;
use crate::health::{self, Assessment, assess};
use crate::schedule::later;
use crate::store::validate::validate as validate_store;
use crate::workload::Settings;

/// What is seen of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// The policy.
    pub policy: BackupPolicy,
    /// The store it names.
    pub store: Option<BackupStore>,
    /// All Backups in its namespace whose `spec.policyRef` names it.
    pub backups: Vec<Backup>,
    /// All RestoreDrills in its namespace whose `spec.policyRef` names it.
    pub drills: Vec<RestoreDrill>,
    /// Its newest check Job, by owner uid and task label.
    pub check_job: Option<SeenJob>,
    /// An older policy of its namespace with the same directory in the same store.
    pub shares_with: Option<String>,
    /// Its namespace is being deleted.
    pub namespace_terminating: bool,
}

/// Pause before another look whether a directory is free: nobody tells of another policy's end.
const SHARED_LOOK: Duration = Duration::from_secs(300);

/// Decides one policy.
#[must_use]
pub fn decide(
    valid: Result<&ValidPolicy, &Invalid>,
    seen: &Observed,
    settings: &Settings,
    now: Timestamp,
) -> Decision<BackupPolicyStatus> {
    let old = seen.policy.status.clone().unwrap_or_default();
    if seen.namespace_terminating || seen.policy.metadata.deletion_timestamp.is_some() {
        return Decision::quiet(old);
    }
    match (valid, &seen.shares_with) {
        (Err(invalid), _) => stalled(invalid, seen, &old, now),
        (Ok(valid), None) => live(valid, seen, &old, settings, now),
        // What a drill, a list and a retention find in a directory is of one database.
        (Ok(valid), Some(other)) => {
            let message = format!(
                "the BackupPolicy `{other}` has the directory {} of this store already: name another one, or delete that policy",
                valid.directory
            );
            let invalid = Invalid::new("spec.directory", message);
            Decision {
                next: Next::At(later(now, SHARED_LOOK)),
                ..stalled(&invalid, seen, &old, now)
            }
        }
    }
}

/// The spec cannot work: nothing starts, what runs goes on and is shown.
fn stalled(
    invalid: &Invalid,
    seen: &Observed,
    old: &BackupPolicyStatus,
    now: Timestamp,
) -> Decision<BackupPolicyStatus> {
    let generation = seen.policy.metadata.generation;
    let mut conditions = Conditions::new(&old.conditions, generation, now);
    stall(&mut conditions, Reason::InvalidSpec, &invalid.to_string());
    // Its thresholds and its schedule cannot be read: what was wrong stays wrong, and nothing is well (P13).
    if old.alerts.is_empty() {
        let message = "the spec is wrong, so nothing can be said";
        conditions.set(HEALTHY, Truth::Unknown, Reason::InvalidSpec, message);
    } else {
        conditions.keep(HEALTHY);
    }
    let conditions = conditions.finish();
    let last_backup = last_backup(&seen.backups, old.last_backup.as_ref());
    let notice = Notice::on_turn(&old.conditions, &conditions);
    let status = BackupPolicyStatus {
        observed_generation: generation,
        conditions,
        running: running(&seen.backups),
        next: Vec::new(),
        failures: Some(failures(&seen.backups, last_backup.as_ref())),
        recovery_point: recovery_point(&seen.backups, old.recovery_point),
        last_proven: last_proven(&seen.drills, old.last_proven.as_ref()),
        last_backup,
        ..old.clone()
    };
    Decision {
        notices: notice.into_iter().collect(),
        ..Decision::quiet(status)
    }
}

fn stall(conditions: &mut Conditions, reason: Reason, why: &str) {
    conditions.set(READY, Truth::False, reason, why);
    conditions.set(RECONCILING, Truth::False, reason, "waits for a person");
    conditions.set(STALLED, Truth::True, reason, why);
}

fn live(
    valid: &ValidPolicy,
    seen: &Observed,
    old: &BackupPolicyStatus,
    settings: &Settings,
    now: Timestamp,
) -> Decision<BackupPolicyStatus> {
    let check = check(valid, seen, old, settings, now);
    let obstacle = store_stalled(valid, seen, settings);
    let ended = newest(valid, &seen.backups);
    let mut effects = Vec::new();
    let mut notices = Vec::new();
    let mut next = check.next;

    // What cannot work is not started; once it can, the newest due time is made up for.
    let owing = obstacle
        .is_none()
        .then(|| due::owing(valid, seen, old, now));
    let mut skipped = old.skipped.clone();
    let mut last_schedule_time = old.last_schedule_time;
    let (mut last_requested_at, mut retry) = (old.last_requested_at.clone(), old.retried.clone());
    if let Some(owing) = &owing {
        (effects, notices) = owing.effects(valid);
        skipped = owing.skipped(old.skipped.as_ref(), now);
        last_schedule_time = last_schedule_time.max(owing.decided());
        let creates = matches!(owing.answer, due::Answer::Create(_));
        (last_requested_at, retry) = retried(valid, seen, old, creates);
    }
    let dues = match obstacle {
        None => due::next(valid, now),
        Some(_) => Vec::new(),
    };
    if let Some(first) = dues.first() {
        next = next.or_at(first.at);
    }

    let last_backup = last_backup(&seen.backups, old.last_backup.as_ref());
    let recovery_point = recovery_point(&seen.backups, old.recovery_point);
    let last_proven = last_proven(&seen.drills, old.last_proven.as_ref());
    let database = database(&check, ended.as_ref(), old.database.as_ref());
    let signals = signals(
        valid,
        seen,
        last_backup.as_ref(),
        recovery_point,
        last_proven.as_ref(),
        database.as_ref(),
    );
    let health = assess(&valid.rules, &signals, &old.alerts, now);
    if let Some(at) = health.next {
        next = next.or_at(at);
    }

    let conditions = conditions(&Truths {
        valid,
        seen,
        old,
        check: &check,
        ended: ended.as_ref(),
        obstacle,
        owing: owing.as_ref(),
        not_served: skipped
            .as_ref()
            .map(|skipped| &skipped.last)
            .filter(|last| !valid.suspended && Some(last.time) >= last_schedule_time),
        health: &health,
        now,
    });
    let turn = future_notice(&old.conditions, &conditions);
    notices.extend(turn.or_else(|| Notice::on_turn(&old.conditions, &conditions)));
    notices.extend(health::notices(&old.alerts, &health.alerts));
    effects.extend(check.effects.iter().cloned());
    let status = BackupPolicyStatus {
        observed_generation: Some(valid.generation),
        conditions,
        last_schedule_time,
        skipped,
        database,
        running: running(&seen.backups),
        next: dues,
        failures: Some(failures(&seen.backups, last_backup.as_ref())),
        last_backup,
        recovery_point,
        last_proven,
        alerts: health.alerts,
        last_check: check.last,
        next_check: Some(check.plan),
        last_requested_at,
        retried: retry,
    };
    Decision {
        effects,
        status,
        notices,
        next,
    }
}

fn store_stalled(
    valid: &ValidPolicy,
    seen: &Observed,
    settings: &Settings,
) -> Option<(Reason, String)> {
    let name = &valid.store;
    match &seen.store {
        None => Some((
            Reason::StoreNotFound,
            format!(
                "there is no BackupStore `{name}` in this namespace: create it, or name another in spec.storeRef"
            ),
        )),
        Some(store) => validate_store(store, settings)
            .err()
            .map(|why| (Reason::StoreStalled, format!("BackupStore `{name}`: {why}"))),
    }
}

/// What the conditions are made of.
struct Truths<'a> {
    valid: &'a ValidPolicy,
    seen: &'a Observed,
    old: &'a BackupPolicyStatus,
    check: &'a Check,
    ended: Option<&'a Ended>,
    obstacle: Option<(Reason, String)>,
    owing: Option<&'a Owing>,
    /// The newest due time, if nothing was started for it.
    not_served: Option<&'a LastSkipped>,
    health: &'a Assessment,
    now: Timestamp,
}

fn conditions(t: &Truths<'_>) -> Vec<Condition> {
    let generation = Some(t.valid.generation);
    let mut conditions = Conditions::new(&t.old.conditions, generation, t.now);
    if let Some((reason, obstacle)) = &t.obstacle {
        stall(&mut conditions, *reason, obstacle);
        let (healthy, why, message) = health::condition(t.health);
        conditions.set(HEALTHY, healthy, why, message);
        return conditions.finish();
    }
    let (mut truth, mut reason, mut message) = ready(t);
    let served = |time| t.ended.is_some_and(|e| e.complete && e.at > time);
    let not_served = t.not_served.filter(|last| !served(last.time));
    // What failed says more.
    if let Some(last) = not_served.filter(|_| truth != Truth::False) {
        (truth, reason) = (Truth::False, Reason::Skipped);
        message = format!("the due time {} was skipped: {}", last.time, last.why);
    }
    if let (Truth::True, Some(future)) = (truth, t.owing.and_then(|o| o.future)) {
        reason = Reason::FutureSchedule;
        message =
            format!("a due time in the future is ignored: {future}; look at this cluster's clocks");
    }
    conditions.set(READY, truth, reason, message);
    let failed = t.check.last.as_ref().is_some_and(|last| !last.succeeded);
    let starting;
    let (truth, reason, message) = match (t.check.answered, &t.check.waiting) {
        (false, None) => (Truth::True, Reason::Running, "a check is at work"),
        (false, Some((reason, why))) => {
            starting = format!("a check is starting: {why}");
            (Truth::True, *reason, starting.as_str())
        }
        (true, _) if failed => (Truth::True, Reason::Retrying, "the check is tried again"),
        (true, _) => (Truth::False, Reason::Idle, "nothing is in the way"),
    };
    conditions.set(RECONCILING, truth, reason, message);
    // The reason tells the next look that due times passed by wish (`due::owing`).
    let (reason, message) = match t.valid.suspended {
        true => (Reason::Suspended, "suspended: no new runs start"),
        false => (Reason::Idle, "the spec can work"),
    };
    conditions.set(STALLED, Truth::False, reason, message);
    let (healthy, why, message) = health::condition(t.health);
    conditions.set(HEALTHY, healthy, why, message);
    conditions.finish()
}

/// Whether the last check or backup reached both ends (K30). The newer of the two decides.
fn ready(t: &Truths<'_>) -> (Truth, Reason, String) {
    let checked = t
        .check
        .last
        .as_ref()
        .filter(|last| last.generation == t.valid.generation);
    match (checked, t.ended) {
        (checked, Some(ended)) if Some(ended.at) > checked.map(|c| c.time) => {
            (ended.complete.into(), ended.reason, ended.message.clone())
        }
        (Some(checked), _) if !checked.succeeded => {
            let reason = Reason::parse(&checked.reason).unwrap_or(Reason::Unknown);
            (Truth::False, reason, checked.message.clone())
        }
        (Some(checked), ended) => store_end(t, &checked.message, ended),
        (None, _) => (
            Truth::Unknown,
            Reason::Pending,
            "not checked yet".to_owned(),
        ),
    }
}

/// The check reached the database; whether the store was reached its probe says, or a newer backup.
fn store_end(t: &Truths<'_>, checked: &str, ended: Option<&Ended>) -> (Truth, Reason, String) {
    let status = t.seen.store.as_ref().and_then(|s| s.status.as_ref());
    let probed = status.and_then(|s| s.last_probe.as_ref());
    let reached = (Truth::True, Reason::Succeeded, checked.to_owned());
    if ended.is_some_and(|e| e.complete && Some(e.at) > probed.map(|p| p.time)) {
        return reached;
    }
    match (probed, status.and_then(|s| find(&s.conditions, READY))) {
        (Some(probe), Some(ready)) if !probe.succeeded => {
            let reason = Reason::parse(&ready.reason).unwrap_or(Reason::Unknown);
            let message = format!("BackupStore `{}`: {}", t.valid.store, ready.message);
            (Truth::False, reason, message)
        }
        (Some(probe), _) if probe.succeeded => reached,
        _ => (
            Truth::Unknown,
            Reason::Pending,
            format!("BackupStore `{}` is not probed yet", t.valid.store),
        ),
    }
}

/// An Event when `FutureSchedule` is new; Ready was and stays `True`, so the turn alone tells nothing.
fn future_notice(old: &[Condition], new: &[Condition]) -> Option<Notice> {
    let named = |conditions| {
        find(conditions, READY).filter(|c| c.reason == Reason::FutureSchedule.as_str())
    };
    let ready = named(new).filter(|_| named(old).is_none())?;
    Some(Notice::warning(
        Reason::FutureSchedule,
        ready.message.clone(),
    ))
}
