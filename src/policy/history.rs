//! What the Backups of a policy say about it. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::Observed;
use super::validate::ValidPolicy;
use crate::api::backup_policy::{Failures, LastBackup, Running};
use crate::api::condition::{COMPLETE, FAILED, READY, find, is_true};
use crate::api::{Backup, BackupPolicyStatus, LABEL_POLICY_UID, Reason};
use crate::backup::line::{is_finished, is_running};

/// A finished Backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Whether it is complete.
    pub complete: bool,
    /// `Succeeded`, or why not.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// Major of the server, if it was learnt.
    pub major: Option<i32>,
}

/// The Backup that ended last, of this policy and in its time. What one of the same name left behind
/// says nothing about it.
#[must_use]
pub fn newest(valid: &ValidPolicy, backups: &[Backup]) -> Option<Ended> {
    let ours = backups.iter().filter(|backup| is_of(valid, backup));
    let ended = ours.filter_map(|backup| {
        let status = backup.status.as_ref().filter(|_| is_finished(backup))?;
        let ready = find(&status.conditions, READY)?;
        Some(Ended {
            at: status.finished_at?,
            complete: is_true(&status.conditions, COMPLETE),
            reason: Reason::parse(&ready.reason).unwrap_or(Reason::Unknown),
            message: format!("Backup `{}`: {}", backup.name_any(), ready.message),
            major: status.found_major,
        })
    });
    ended
        .filter(|e| Some(e.at) >= valid.created)
        .max_by_key(|e| e.at)
}

/// Whether no other policy made it: this one did, or a person.
#[must_use]
pub fn is_of(valid: &ValidPolicy, backup: &Backup) -> bool {
    let maker = backup.labels().get(LABEL_POLICY_UID);
    maker.is_none_or(|uid| *uid == valid.uid)
}

/// The newest complete one; the status remembers one whose object is gone.
#[must_use]
pub fn last_backup(backups: &[Backup], old: Option<&LastBackup>) -> Option<LastBackup> {
    let complete = backups.iter().filter_map(|backup| {
        let status = backup.status.as_ref()?;
        if !is_true(&status.conditions, COMPLETE) {
            return None;
        }
        Some(LastBackup {
            name: backup.name_any(),
            finished_at: status.finished_at?,
            prefix: status.prefix.clone(),
            bytes: status.bytes.as_ref().map(|b| b.stored),
        })
    });
    // The seen one comes last: of equals it wins, because it may have more to tell.
    old.cloned()
        .into_iter()
        .chain(complete)
        .max_by_key(|b| b.finished_at)
}

/// Failed runs since then.
#[must_use]
pub fn failures(backups: &[Backup], last: Option<&LastBackup>) -> Failures {
    let since = last.map(|l| l.finished_at);
    let failed = backups.iter().filter(|backup| {
        let status = backup.status.as_ref();
        status.is_some_and(|s| {
            is_true(&s.conditions, FAILED) && s.finished_at.is_some_and(|at| Some(at) > since)
        })
    });
    Failures {
        consecutive: i32::try_from(failed.count()).unwrap_or(i32::MAX),
    }
}

/// The run that is on.
#[must_use]
pub fn running(backups: &[Backup]) -> Option<Running> {
    let mut on: Vec<Running> = backups
        .iter()
        .filter(|backup| is_running(backup))
        .filter_map(|backup| {
            Some(Running {
                name: backup.name_any(),
                started_at: backup.status.as_ref()?.started_at?,
            })
        })
        .collect();
    on.sort_by(|a, b| (a.started_at, &a.name).cmp(&(b.started_at, &b.name)));
    on.into_iter().next()
}

/// What a new `requestedAt` asks of the schedule (K21): the value to note, and the Backup to try again.
///
/// Only the newest scheduled run, only if it failed with its end known: where the result was lost
/// there may be a backup, and one due time never has two (P6).
#[must_use]
pub fn retried(
    valid: &ValidPolicy,
    seen: &Observed,
    old: &BackupPolicyStatus,
    newer_is_created: bool,
) -> (Option<String>, Option<String>) {
    let unchanged = (old.last_requested_at.clone(), old.retried.clone());
    if valid.suspended
        || valid.requested_at.is_none()
        || valid.requested_at == old.last_requested_at
    {
        return unchanged;
    }
    let newest = seen
        .backups
        .iter()
        .filter(|b| b.labels().get(LABEL_POLICY_UID) == Some(&valid.uid))
        .max_by_key(|b| b.spec.scheduled_time);
    let failed = newest.filter(|b| {
        let status = b.status.as_ref();
        status.is_some_and(|s| {
            let lost =
                find(&s.conditions, READY).is_some_and(|c| c.reason == Reason::ResultLost.as_str());
            is_true(&s.conditions, FAILED) && !lost
        })
    });
    let retried = failed.filter(|_| !newer_is_created);
    (
        valid.requested_at.clone(),
        retried.map(ResourceExt::name_any),
    )
}
