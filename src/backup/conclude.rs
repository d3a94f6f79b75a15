//! How an attempt ended, whether another follows, and what the conditions say. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::backup::{BackupBytes, GivenUp};
use crate::api::condition::{
    COMPLETE, Conditions, FAILED, READY, RECONCILING, STALLED, Truth, cut,
};
use crate::api::rules::major_of;
use crate::api::{Backup, BackupStatus, Reason, name};
use crate::cluster::decision::{Decision, Next, Notice};
use crate::schedule::later;
use crate::task::{BackupResult, Retry, TaskResult};

/// Attempts that another major than expected may cost without counting (K20).
const MAX_UNCOUNTED: i32 = 3;
/// After the first counted attempt, and after each later one (K3).
const DELAYS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(300)];

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    reason: Reason,
    message: String,
    /// Whether the same can go better later.
    again: bool,
    found_major: Option<i32>,
    /// The figures and the pod's uid.
    figures: Option<(Box<BackupResult>, String)>,
    /// Reason of the condition `Failed`, if it is not `reason`.
    failed: Option<Reason>,
}

/// What the policy says about further attempts.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How often one due time is tried.
    pub attempts: i32,
    /// When its next due time comes.
    pub ends: Option<Timestamp>,
    /// The user chose the image: another major cannot be tried.
    pub own_image: bool,
    /// Due time of the Backup.
    pub due: Timestamp,
}

impl Verdict {
    /// Given up for good.
    #[must_use]
    pub fn failed(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            again: false,
            found_major: None,
            figures: None,
            failed: None,
        }
    }

    /// An attempt that was given up from outside.
    #[must_use]
    pub fn of(given_up: &GivenUp) -> Self {
        let reason = Reason::parse(&given_up.reason).unwrap_or(Reason::ResultLost);
        Self {
            again: reason == Reason::StartDeadlineExceeded,
            ..Self::failed(reason, given_up.message.clone())
        }
    }

    /// No further attempt, for the reason of the last one.
    #[must_use]
    pub fn exhausted(last: Option<&Condition>) -> Self {
        let reason = last.and_then(|c| Reason::parse(&c.reason));
        let message = last.map_or("its last attempt failed", |c| c.message.as_str());
        Self {
            failed: Some(Reason::AttemptsExhausted),
            ..Self::failed(reason.unwrap_or(Reason::AttemptsExhausted), message)
        }
    }

    /// What a pod left behind. The result is untrusted (K14): closed reasons, bounded figures.
    #[must_use]
    pub fn read(result: Option<&TaskResult>, pod_uid: Option<&str>, why: &str) -> Self {
        let Some(result) = result else {
            let message = format!("the pod ended without a result: {why}");
            return Self::failed(Reason::ResultLost, message);
        };
        let mut verdict = Self {
            again: result.retry == Retry::Later,
            found_major: result.found_major.filter(|m| (9..=99).contains(m)),
            ..Self::failed(result.reason, result.message.clone())
        };
        if result.reason != Reason::Succeeded {
            return verdict;
        }
        let figures = result.backup.clone();
        let uid = figures.as_ref().and_then(|f| {
            let claimed = Some(f.pod_uid.as_str());
            pod_uid.or(claimed).filter(|uid| is_uid(uid))
        });
        match (figures.clone(), uid) {
            (Some(figures), Some(uid)) => {
                verdict.figures = Some((Box::new(figures), uid.to_owned()))
            }
            _ => {
                let message = "the worker says it succeeded but not with what; its manifest may stand in the bucket";
                return Self::failed(Reason::ResultLost, message);
            }
        }
        verdict
    }

    /// Whether there is a backup.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.figures.is_some()
    }
}

/// Writes the end of an attempt down: complete, another attempt, or failed.
#[must_use]
pub fn conclude(
    backup: &Backup,
    old: BackupStatus,
    verdict: Verdict,
    rules: &Rules,
    now: Timestamp,
) -> Decision<BackupStatus> {
    if verdict.succeeded() {
        return complete(backup, old, verdict, rules, now);
    }
    let uncounted = old.uncounted.unwrap_or_default();
    let attempt = old.attempt.unwrap_or(1);
    let counted = attempt - old.earlier_attempts.unwrap_or_default() - uncounted;
    let new_major = verdict.found_major.filter(|m| {
        verdict.reason == Reason::WrongMajor
            && !rules.own_image
            && uncounted < MAX_UNCOUNTED
            && old.found_major != Some(*m)
    });
    let learnt = BackupStatus {
        found_major: verdict.found_major.or(old.found_major),
        ..old
    };
    if new_major.is_some() {
        let status = BackupStatus {
            uncounted: Some(uncounted + 1),
            ..learnt
        };
        return again(backup, status, &verdict, now, now);
    }
    let delay = if counted <= 1 { DELAYS[0] } else { DELAYS[1] };
    let at = later(now, delay);
    let in_time = rules.ends.is_none_or(|end| at < end);
    let message = &verdict.message;
    if verdict.again && counted < rules.attempts && in_time {
        let message = format!("attempt {counted} of {}: {message}", rules.attempts);
        let verdict = Verdict { message, ..verdict };
        return again(backup, learnt, &verdict, at, now);
    }
    let verdict = match (verdict.again, in_time) {
        (false, _) => verdict,
        (true, true) => Verdict {
            message: format!(
                "attempt {counted} of {}, the last: {message}",
                rules.attempts
            ),
            failed: Some(Reason::AttemptsExhausted),
            ..verdict
        },
        (true, false) => Verdict {
            message: format!("attempt {counted}, the last before the next due time: {message}"),
            failed: Some(Reason::AttemptsExhausted),
            ..verdict
        },
    };
    finish(backup, &learnt, verdict, now)
}

fn again(
    backup: &Backup,
    old: BackupStatus,
    verdict: &Verdict,
    at: Timestamp,
    now: Timestamp,
) -> Decision<BackupStatus> {
    let mut conditions = Conditions::new(&old.conditions, backup.metadata.generation, now);
    conditions.set(READY, Truth::False, verdict.reason, cut(&verdict.message));
    let next = format!("the next attempt follows at {}", whole_second(at));
    conditions.set(RECONCILING, Truth::True, Reason::Retrying, next);
    conditions.set(
        STALLED,
        Truth::False,
        Reason::Retrying,
        "another attempt follows",
    );
    conditions.set(COMPLETE, Truth::False, Reason::Retrying, "not yet");
    conditions.set(FAILED, Truth::False, Reason::Retrying, "not given up");
    let status = BackupStatus {
        observed_generation: backup.metadata.generation,
        conditions: conditions.finish(),
        next_attempt_at: Some(at),
        given_up: None,
        progress: None,
        ..old
    };
    Decision {
        notices: vec![Notice::warning(verdict.reason, verdict.message.clone())],
        next: Next::At(at),
        ..Decision::quiet(status)
    }
}

/// Given up.
#[must_use]
pub fn finish(
    backup: &Backup,
    old: &BackupStatus,
    verdict: Verdict,
    now: Timestamp,
) -> Decision<BackupStatus> {
    let failed = verdict.failed.unwrap_or(verdict.reason);
    let message = cut(&verdict.message);
    let mut conditions = Conditions::new(&old.conditions, backup.metadata.generation, now);
    conditions.set(READY, Truth::False, verdict.reason, message.clone());
    conditions.set(RECONCILING, Truth::False, failed, "given up");
    conditions.set(STALLED, Truth::True, failed, message.clone());
    conditions.set(COMPLETE, Truth::False, failed, "there is no backup");
    conditions.set(FAILED, Truth::True, failed, message);
    let status = BackupStatus {
        observed_generation: backup.metadata.generation,
        conditions: conditions.finish(),
        finished_at: Some(now),
        next_attempt_at: None,
        given_up: None,
        progress: None,
        ..old.clone()
    };
    Decision {
        notices: vec![Notice::warning(verdict.reason, verdict.message)],
        ..Decision::quiet(status)
    }
}

fn complete(
    backup: &Backup,
    old: BackupStatus,
    verdict: Verdict,
    rules: &Rules,
    now: Timestamp,
) -> Decision<BackupStatus> {
    let Some((figures, uid)) = verdict.figures else {
        return Decision::quiet(old);
    };
    let mut conditions = Conditions::new(&old.conditions, backup.metadata.generation, now);
    let message = cut(&verdict.message);
    conditions.set(READY, Truth::True, Reason::Succeeded, message.clone());
    conditions.set(RECONCILING, Truth::False, Reason::Succeeded, "done");
    conditions.set(STALLED, Truth::False, Reason::Succeeded, "done");
    conditions.set(COMPLETE, Truth::True, Reason::Succeeded, message.clone());
    conditions.set(FAILED, Truth::False, Reason::Succeeded, "done");
    let major = major_of(&figures.server_version).filter(|m| (9..=99).contains(m));
    let directory = old.plan.as_ref().map(|p| p.directory.as_str());
    let status = BackupStatus {
        observed_generation: backup.metadata.generation,
        conditions: conditions.finish(),
        finished_at: Some(now),
        next_attempt_at: None,
        given_up: None,
        progress: None,
        found_major: verdict.found_major.or(major).or(old.found_major),
        prefix: directory.map(|d| name::run_prefix(d, rules.due, &uid)),
        bytes: Some(BackupBytes {
            raw: figures.raw_bytes.max(0),
            stored: figures.stored_bytes.max(0),
        }),
        tables: Some(figures.tables.max(0)),
        rows: Some(figures.rows.max(0)),
        data_at: figures.data_at,
        lsn: figures.lsn.as_deref().map(|text| first(text, 32)),
        server_version: Some(first(&figures.server_version, 64)),
        database_name: Some(first(&figures.database_name, 256)),
        ..old
    };
    Decision {
        notices: vec![Notice::normal(Reason::Succeeded, message)],
        ..Decision::quiet(status)
    }
}

/// The conditions of a Backup that waits or runs.
#[must_use]
pub fn under_way(backup: &Backup, reason: Reason, why: &str, now: Timestamp) -> Vec<Condition> {
    let old = backup.status.as_ref().map(|s| s.conditions.as_slice());
    let mut conditions = Conditions::new(old.unwrap_or_default(), backup.metadata.generation, now);
    conditions.set(READY, Truth::Unknown, reason, why);
    conditions.set(RECONCILING, Truth::True, reason, why);
    conditions.set(STALLED, Truth::False, reason, "nothing is in the way");
    conditions.set(COMPLETE, Truth::False, reason, "not yet");
    conditions.set(FAILED, Truth::False, reason, "not given up");
    conditions.finish()
}

/// The conditions of a Backup that a person must help.
#[must_use]
pub fn stalled(
    backup: &Backup,
    old: &BackupStatus,
    reason: Reason,
    why: &str,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = Conditions::new(&old.conditions, backup.metadata.generation, now);
    conditions.set(READY, Truth::False, reason, why);
    conditions.set(RECONCILING, Truth::False, reason, "waits for a person");
    conditions.set(STALLED, Truth::True, reason, why);
    conditions.set(COMPLETE, Truth::False, reason, "not yet");
    conditions.set(FAILED, Truth::False, reason, "not given up");
    conditions.finish()
}

fn first(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

/// Looks like a uid: enough hex digits for a prefix, dashes between, and nothing else.
fn is_uid(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_hexdigit() || b == b'-';
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits >= 12 && text.len() <= 64 && text.bytes().all(plain)
}

fn whole_second(time: Timestamp) -> String {
    time.strftime("%H:%M:%SZ").to_string()
}
