//! Which due time is owed, and what becomes of it (K17, K29). Pure.

use std::collections::BTreeSet;
use std::iter;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::decide::Observed;
use super::validate::ValidPolicy;
use crate::api::backup::BackupReason;
use crate::api::backup_policy::{LastSkipped, NextDue, Skipped};
use crate::api::condition::{STALLED, find};
use crate::api::shared::LocalRef;
use crate::api::{Backup, BackupPolicyStatus, BackupSpec, LABEL_POLICY_UID, Reason, name};
use crate::backup::line::{is_finished, is_running};
use crate::cluster::decision::{Effect, Notice};
use crate::schedule::{Due, due_between, earlier, later};

/// How far back `count7d` looks.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Most skipped times that the status keeps.
const MAX_TIMES: usize = 50;

/// What becomes of what is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing is owed.
    Nothing,
    /// Its Backup exists already, though the status does not say so.
    Adopt(Timestamp),
    /// Its Backup is created.
    Create(Due),
    /// Another one waits already.
    Skip(Due, String),
    /// An object that is not ours has its name (K26).
    Collide(Due, String),
}

/// The answer, and older due times that nobody could serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owing {
    /// What becomes of the newest.
    pub answer: Answer,
    /// Older ones that are gone, newest first; not those with a Backup, nor of a suspended policy.
    pub missed: Vec<Timestamp>,
    /// A due time in the status or on a Backup that lies in the future.
    pub future: Option<Timestamp>,
}

/// What is owed now. Due times count after the newest that was decided, or after the policy's creation.
///
/// A Backup newer than the status tells of a status that was not written after it was created (a
/// crash, a conflict): it is adopted, and what that status would have told of older due times is told.
#[must_use]
pub fn owing(
    valid: &ValidPolicy,
    seen: &Observed,
    old: &BackupPolicyStatus,
    now: Timestamp,
) -> Owing {
    let scheduled = || seen.backups.iter().filter_map(|b| b.spec.scheduled_time);
    let known = || scheduled().chain(old.last_schedule_time);
    let ours = |b: &&Backup| b.labels().get(LABEL_POLICY_UID) == Some(&valid.uid);
    let started: BTreeSet<Timestamp> = seen
        .backups
        .iter()
        .filter(ours)
        .filter_map(|b| b.spec.scheduled_time.filter(|t| *t <= now))
        .collect();
    // Without a creation time it is not in a cluster, and owes nothing.
    let created = valid.created.unwrap_or(now);
    let begun = started.last().copied();
    // A time in the future says nothing of what was decided before it.
    let noted = match old.last_schedule_time {
        Some(time) if time > now => begun,
        noted => noted,
    };
    let noted = noted.map_or(created, |t| t.max(created));
    let unnoted = begun.filter(|t| *t > noted);
    let until = earlier(now, valid.spread);
    let due = due_between(&valid.tiers, &valid.zone, noted, until);
    let newest = due
        .as_ref()
        .map(|owed| &owed.newest)
        .filter(|newest| !valid.suspended && Some(newest.at) > unnoted);
    let mut owing = Owing {
        answer: match (newest, unnoted) {
            (Some(newest), _) => answer(valid, seen, newest.clone()),
            (None, Some(at)) => Answer::Adopt(at),
            (None, None) => Answer::Nothing,
        },
        missed: Vec::new(),
        future: known().filter(|t| *t > now).max(),
    };
    let was_suspended =
        find(&old.conditions, STALLED).is_some_and(|c| c.reason == Reason::Suspended.as_str());
    if let (Some(owed), Some(decided), false) = (due, owing.decided(), was_suspended) {
        owing.missed = iter::once(owed.newest.at)
            .chain(owed.older)
            .filter(|at| *at < decided && !started.contains(at))
            .collect();
    }
    owing
}

fn answer(valid: &ValidPolicy, seen: &Observed, newest: Due) -> Answer {
    let name = name::backup(&valid.name, newest.at);
    if let Some(same) = seen.backups.iter().find(|b| b.name_any() == name) {
        return match same.labels().get(LABEL_POLICY_UID) == Some(&valid.uid) {
            true => Answer::Adopt(newest.at),
            false => Answer::Collide(
                newest,
                format!("Backup `{name}` exists and is not of this policy: delete or rename it"),
            ),
        };
    }
    let waiting = seen
        .backups
        .iter()
        .filter(|b| b.spec.scheduled_time.is_some())
        .find(|b| !is_finished(b) && !is_running(b));
    match waiting {
        Some(waiting) => {
            let why = format!(
                "Backup `{}` waits already for the run before it to end",
                waiting.name_any()
            );
            Answer::Skip(newest, why)
        }
        None => Answer::Create(newest),
    }
}

impl Owing {
    /// The newest due time that this decides.
    #[must_use]
    pub fn decided(&self) -> Option<Timestamp> {
        match &self.answer {
            Answer::Nothing => None,
            Answer::Adopt(at) => Some(*at),
            Answer::Create(due) | Answer::Skip(due, _) | Answer::Collide(due, _) => Some(due.at),
        }
    }

    /// What to do, and what to tell.
    #[must_use]
    pub fn effects(&self, valid: &ValidPolicy) -> (Vec<Effect>, Vec<Notice>) {
        let mut notices = Vec::new();
        if let Some(newest) = self.missed.first() {
            let count = self.missed.len();
            // Only the newest are looked for: there may have been more.
            let least = if count < MAX_TIMES { "" } else { "at least " };
            let message = format!(
                "{least}{count} due times up to {newest} were missed and are not made up for"
            );
            notices.push(Notice::warning(Reason::Skipped, message));
        }
        let mut effects = Vec::new();
        match &self.answer {
            Answer::Nothing | Answer::Adopt(_) => {}
            Answer::Skip(due, why) => {
                let message = format!("the due time {} was skipped: {why}", due.at);
                notices.push(Notice::warning(Reason::Skipped, message));
            }
            Answer::Collide(due, why) => {
                let message = format!("the due time {} was skipped: {why}", due.at);
                notices.push(Notice::warning(Reason::NameCollision, message));
            }
            Answer::Create(due) => {
                let backup = scheduled(valid, due);
                let message = format!(
                    "Backup `{}` was created, due at {}",
                    backup.name_any(),
                    due.at
                );
                notices.push(Notice::normal(Reason::Started, message));
                effects.push(Effect::CreateBackup {
                    backup: Box::new(backup),
                    policy_uid: valid.uid.clone(),
                });
            }
        }
        (effects, notices)
    }

    /// `status.skipped` as it stands after this.
    #[must_use]
    pub fn skipped(&self, old: Option<&Skipped>, now: Timestamp) -> Option<Skipped> {
        let mut times: Vec<Timestamp> = self.missed.clone();
        let mut last = old.map(|s| s.last.clone());
        if let Some(time) = self.missed.first() {
            let why = "it was missed while nothing could start it; only the newest is made up for"
                .to_owned();
            last = Some(LastSkipped { time: *time, why });
        }
        if let Answer::Skip(due, why) | Answer::Collide(due, why) = &self.answer {
            times.push(due.at);
            let why = why.chars().take(256).collect();
            last = Some(LastSkipped { time: due.at, why });
        }
        times.extend(old.into_iter().flat_map(|s| s.times.iter().copied()));
        times.sort_unstable_by(|a, b| b.cmp(a));
        times.dedup();
        times.truncate(MAX_TIMES);
        let since = earlier(now, WEEK);
        let recent = times.iter().filter(|t| **t > since).count();
        Some(Skipped {
            count_7d: i32::try_from(recent).unwrap_or(i32::MAX),
            times,
            last: last?,
        })
    }
}

/// The next start of each tier, soonest first; nothing while suspended.
#[must_use]
pub fn next(valid: &ValidPolicy, now: Timestamp) -> Vec<NextDue> {
    if valid.suspended {
        return Vec::new();
    }
    let dues = valid.tiers.next(&valid.zone, earlier(now, valid.spread));
    dues.into_iter()
        .map(|due| NextDue {
            tier: due.tiers.join("+"),
            at: later(due.at, valid.spread),
        })
        .collect()
}

/// A Backup of a due time: no owner reference (K24), and nothing copied from the policy's labels.
fn scheduled(valid: &ValidPolicy, due: &Due) -> Backup {
    let spec = BackupSpec {
        policy_ref: LocalRef {
            name: valid.name.clone(),
        },
        tiers: due.tiers.clone(),
        scheduled_time: Some(due.at),
        reason: BackupReason::Scheduled,
        pin: None,
    };
    Backup {
        metadata: ObjectMeta {
            name: Some(name::backup(&valid.name, due.at)),
            namespace: Some(valid.namespace.clone()),
            labels: Some([(LABEL_POLICY_UID.to_owned(), valid.uid.clone())].into()),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    }
}
