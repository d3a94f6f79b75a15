//! What Backups and RestoreDrills tell of a policy's health: the signals, and what of them stands in the status. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::Observed;
use super::history::is_of;
use super::validate::ValidPolicy;
use crate::api::backup_policy::{DatabaseFacts, LastBackup};
use crate::api::condition::{BREAK_GLASS, COMPLETE, FAILED, Truth, is_true};
use crate::api::health::LastProven;
use crate::api::restore_drill::{BreakGlass, DrillOutcome, DrillRecord, Verdict};
use crate::api::{Backup, RestoreDrill};
use crate::health::Signals;
use crate::health::signals::{Done, End, Told, Took};

/// The signals of a policy. `last_backup`, `recovery_point` and `proven` are as they will stand in the status.
#[must_use]
pub fn signals<'a>(
    valid: &'a ValidPolicy,
    seen: &Observed,
    last_backup: Option<&LastBackup>,
    recovery_point: Option<Timestamp>,
    proven: Option<&LastProven>,
    database: Option<&DatabaseFacts>,
) -> Signals<'a> {
    let newest = last_backup.and_then(|l| seen.backups.iter().find(|b| b.name_any() == l.name));
    Signals {
        created: valid.created,
        suspended: valid.suspended,
        tiers: &valid.tiers,
        deadline: valid.deadline,
        backup: last_backup.map(|last| Done {
            name: last.name.clone(),
            at: last.finished_at,
        }),
        took: newest.and_then(took),
        recovery_point,
        proven: proven.cloned(),
        ended: ended(valid, &seen.backups),
        restore: restore(&seen.drills),
        failed: told(&seen.drills, Verdict::Failed),
        not_dumped: open(valid, database, |facts| &facts.extension_data),
        password_expires: database.and_then(|facts| facts.password_expires),
        left_out: open(valid, database, |facts| &facts.not_dumped),
        inconclusive: told(&seen.drills, Verdict::Inconclusive),
        by_script: by_script_failed(&seen.drills),
    }
}

/// What the check found, but for what the spec accepts (G3, G4).
fn open(
    valid: &ValidPolicy,
    database: Option<&DatabaseFacts>,
    of: impl Fn(&DatabaseFacts) -> &Vec<String>,
) -> Vec<String> {
    let found = database.into_iter().flat_map(of);
    let open = found.filter(|table| !valid.accepted.contains(table));
    open.cloned().collect()
}

/// The recovery point of the newest complete backup; of one that did not tell, when its first attempt began: its data is at
/// least as new, unless it is a standby's. The status remembers one that is gone.
#[must_use]
pub fn recovery_point(backups: &[Backup], old: Option<Timestamp>) -> Option<Timestamp> {
    let complete = backups.iter().filter_map(|backup| {
        let status = backup.status.as_ref()?;
        let complete = is_true(&status.conditions, COMPLETE);
        status.data_at.or(status.started_at).filter(|_| complete)
    });
    complete.chain(old).max()
}

/// The newest backup that a drill has proven. Never an older one than the status has, whatever becomes of the drill.
///
/// A drill that looks below a folder of its own (`select.prefix`) proves nothing of this policy's backups.
#[must_use]
pub fn last_proven(drills: &[RestoreDrill], old: Option<&LastProven>) -> Option<LastProven> {
    let own = drills.iter().filter(|drill| {
        let select = drill.spec.select.as_ref();
        select.is_none_or(|select| select.prefix.is_none())
    });
    let found = own.flat_map(records).filter_map(|record| {
        Some(LastProven {
            backup: record.backup.clone().filter(|_| record.counts())?,
            data_at: record.data_at?,
            proven_at: record.finished_at,
            run: record.run,
        })
    });
    // Data is never newer than its proof: a server's clock that runs ahead does not make a backup the newest for ever.
    let order = |p: &LastProven| (p.data_at.min(p.proven_at), p.proven_at, p.run.clone());
    old.cloned().into_iter().chain(found).max_by_key(order)
}

/// Every run that a drill remembers.
fn records(drill: &RestoreDrill) -> Vec<DrillRecord> {
    let Some(status) = &drill.status else {
        return Vec::new();
    };
    let last = status.last.as_ref().map(record);
    status.history.iter().cloned().chain(last).collect()
}

fn record(last: &DrillOutcome) -> DrillRecord {
    DrillRecord {
        run: last.run.clone(),
        finished_at: last.finished_at,
        result: last.result,
        reason: last.reason.clone(),
        proves: last.proves,
        score: last.score,
        rto: last.rto.as_ref().map(|rto| rto.total),
        backup: last.backup.clone(),
        data_at: last.data_at,
    }
}

fn took(backup: &Backup) -> Option<Took> {
    let status = backup.status.as_ref()?;
    let took = status.finished_at?.duration_since(status.started_at?);
    Some(Took {
        name: backup.name_any(),
        seconds: u64::try_from(took.as_secs()).ok()?,
    })
}

fn ended(valid: &ValidPolicy, backups: &[Backup]) -> Vec<End> {
    let ours = backups.iter().filter(|backup| is_of(valid, backup));
    let ended = ours.filter_map(|backup| {
        let status = backup.status.as_ref()?;
        let failed = is_true(&status.conditions, FAILED);
        let over = failed || is_true(&status.conditions, COMPLETE);
        let at = status.finished_at.filter(|_| over)?;
        Some(End { at, failed })
    });
    ended.filter(|end| Some(end.at) >= valid.created).collect()
}

/// The newest run that passed and was measured. One that failed may have ended early, and says nothing of the time.
fn restore(drills: &[RestoreDrill]) -> Option<Took> {
    let passed = drills.iter().flat_map(records);
    let passed = passed.filter(|r| r.result == Verdict::Passed && r.rto.is_some());
    let newest = passed.max_by_key(|r| (r.finished_at, r.run.clone()))?;
    Some(Took {
        name: newest.run,
        seconds: u64::try_from(newest.rto?).ok()?,
    })
}

fn by_script_failed(drills: &[RestoreDrill]) -> Vec<Told> {
    // What is not tried any more is known to whoever wrote so.
    let tried = drills
        .iter()
        .filter(|d| d.spec.break_glass != Some(BreakGlass::Never));
    let failed = tried.filter_map(|drill| {
        let conditions = &drill.status.as_ref()?.conditions;
        let said = conditions.iter().find(|c| c.type_ == BREAK_GLASS)?;
        (said.status == Truth::False.as_str()).then(|| Told {
            drill: drill.name_any(),
            message: said.message.clone(),
        })
    });
    let mut failed: Vec<Told> = failed.collect();
    failed.sort_by(|a, b| a.drill.cmp(&b.drill));
    failed
}

fn told(drills: &[RestoreDrill], verdict: Verdict) -> Vec<Told> {
    let mut told: Vec<Told> = drills
        .iter()
        .filter_map(|drill| {
            let last = drill.status.as_ref()?.last.as_ref()?;
            (last.result == verdict).then(|| Told {
                drill: drill.name_any(),
                message: last.message.clone(),
            })
        })
        .collect();
    told.sort_by(|a, b| a.drill.cmp(&b.drill));
    told
}
