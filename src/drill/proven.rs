//! What the drills of a policy say of one of its Backups. Pure. (What they say of the policy: `policy::signals`.)

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use crate::api::condition::{Conditions, PROVEN, Truth, cut, find};
use crate::api::restore_drill::{DrillOutcome, DrillRecord, Verdict};
use crate::api::{Backup, Reason, RestoreDrill};
use crate::cluster::decision::Notice;
use crate::schedule::{earlier, later};

/// Clocks of database server, worker and operator may differ by this much.
const CLOCKS: Duration = Duration::from_secs(3_600);
/// A Backup's look at its drills may come so much later than their ends.
const LATE: Duration = Duration::from_secs(300);

/// What the drills say of one Backup.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Proof {
    /// Whether it is proven, or a drill of it failed.
    pub proves: bool,
    /// Name of the run.
    pub run: String,
    /// When that run ended.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// The newest word on a Backup among the drills of its policy: a run that proves it, or one that failed. What proved
/// nothing and could tell nothing says nothing.
#[must_use]
pub fn of_backup<'a>(
    backup: &Backup,
    drills: impl IntoIterator<Item = &'a RestoreDrill>,
) -> Option<Proof> {
    let name = backup.name_any();
    let mine = drills.into_iter().filter(|drill| {
        drill.namespace() == backup.namespace()
            && drill.spec.policy_ref.name == backup.spec.policy_ref.name
            // Another folder may hold a copy: what became of that says nothing of this one.
            && drill.spec.select.as_ref().is_none_or(|s| s.prefix.is_none())
    });
    let records = mine.flat_map(|drill| {
        let status = drill.status.as_ref();
        let last = status.and_then(|s| s.last.as_ref());
        let history = status.map(|s| s.history.as_slice()).unwrap_or_default();
        history.iter().map(move |record| (record, last))
    });
    let told = records.filter(|(record, last)| {
        record.backup.as_deref() == Some(name.as_str())
            && (record.counts() || record.result == Verdict::Failed)
            && is_of(backup, record, *last)
    });
    let newest =
        told.max_by(|(a, _), (b, _)| (a.finished_at, &a.run).cmp(&(b.finished_at, &b.run)));
    newest.map(|(record, _)| Proof {
        proves: record.counts(),
        run: record.run.clone(),
        at: record.finished_at,
        reason: Reason::parse(&record.reason).unwrap_or(Reason::Unknown),
    })
}

/// Whether the record speaks of this very backup and not of one of the same name in another folder: by the folder
/// where it is known, else by its moment.
fn is_of(backup: &Backup, record: &DrillRecord, last: Option<&DrillOutcome>) -> bool {
    let Some(status) = &backup.status else {
        return false;
    };
    let folder = last
        .filter(|l| l.run == record.run)
        .and_then(|l| l.prefix.as_ref());
    if let (Some(drilled), Some(own)) = (folder, &status.prefix) {
        return drilled == own;
    }
    let Some(data_at) = record.data_at else {
        return false;
    };
    if let Some(own) = status.data_at {
        return own == data_at;
    }
    let after = status
        .started_at
        .is_none_or(|t| data_at >= earlier(t, CLOCKS));
    let before = status
        .finished_at
        .is_none_or(|t| data_at <= later(t, CLOCKS));
    after && before
}

/// The conditions of a finished Backup with what the drills say. Without a word of theirs, or without a newer one,
/// they stay as they are: a drill that is gone took nothing back.
#[must_use]
pub fn conditions(
    old: &[Condition],
    proof: Option<&Proof>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let Some(proof) = proof else {
        return old.to_vec();
    };
    // The drill that turned it last may be gone; an older one turns it back as little.
    let is_older = |c: &&Condition| later(proof.at, LATE) < c.last_transition_time.0;
    let turns = |c: &&Condition| c.status != truth(proof).as_str();
    if find(old, PROVEN).filter(turns).filter(is_older).is_some() {
        return old.to_vec();
    }
    let mut conditions = Conditions::new(old, generation, now);
    for condition in old {
        conditions.keep(&condition.type_);
    }
    let at = proof.at.strftime("%Y-%m-%dT%H:%M:%SZ");
    let message = match proof.proves {
        true => format!(
            "drill run `{}` restored it whole and equal at {at}",
            proof.run
        ),
        false => format!("drill run `{}` failed at {at}", proof.run),
    };
    conditions.set(PROVEN, truth(proof), reason(proof), cut(&message));
    conditions.finish()
}

/// An Event when a Backup became proven, or is no more.
#[must_use]
pub fn turn(old: &[Condition], new: &[Condition]) -> Option<Notice> {
    let now = find(new, PROVEN)?;
    if find(old, PROVEN).is_some_and(|before| before.status == now.status) {
        return None;
    }
    let reason = Reason::parse(&now.reason)?;
    Some(match now.status == Truth::True.as_str() {
        true => Notice::normal(reason, now.message.clone()),
        false => Notice::warning(reason, now.message.clone()),
    })
}

fn truth(proof: &Proof) -> Truth {
    proof.proves.into()
}

fn reason(proof: &Proof) -> Reason {
    match proof.proves {
        true => Reason::Succeeded,
        false => proof.reason,
    }
}
