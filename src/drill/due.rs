//! Which run is owed (K17). Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::validate::ValidDrill;
use crate::api::RestoreDrillStatus;
use crate::schedule::{due_between, later};

/// A run that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owing {
    /// When it was due.
    pub due: Timestamp,
    /// Why it runs.
    pub why: Why,
    /// Older due times that nobody could serve, newest first.
    pub missed: Vec<Timestamp>,
}

/// Why a run is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its schedule says so.
    Scheduled,
    /// There is no schedule, and it has not run yet.
    Once,
    /// `lifeboat.dev/requestedAt` changed.
    Requested,
}

/// What is owed now: at most one run, however long nobody looked.
#[must_use]
pub fn owing(valid: &ValidDrill, old: &RestoreDrillStatus, now: Timestamp) -> Option<Owing> {
    if valid.suspended {
        return None;
    }
    let noted = noted(valid, old, now);
    let owed = valid
        .schedule
        .as_ref()
        .and_then(|(tiers, zone)| due_between(tiers, zone, noted, now));
    if let Some(owed) = owed {
        return Some(Owing {
            due: owed.newest.at,
            why: Why::Scheduled,
            missed: owed.older,
        });
    }
    if valid.requested_at.is_some() && valid.requested_at != old.last_requested_at {
        let this_second = Timestamp::from_second(now.as_second()).unwrap_or(now);
        // Two runs never have one due time, for it names them.
        let due = this_second.max(later(noted, Duration::from_secs(1)));
        return Some(Owing {
            due,
            why: Why::Requested,
            missed: Vec::new(),
        });
    }
    let never = old.last_schedule_time.is_none() && old.last.is_none() && old.running.is_none();
    (valid.schedule.is_none() && never).then(|| Owing {
        due: valid.created.unwrap_or(now),
        why: Why::Once,
        missed: Vec::new(),
    })
}

/// The newest due time that was decided; a new drill owes nothing. A time in the future says nothing.
fn noted(valid: &ValidDrill, old: &RestoreDrillStatus, now: Timestamp) -> Timestamp {
    let running = old.running.as_ref().map(|r| r.due);
    let last = old.last.as_ref().map(|l| l.due);
    // Without a creation time it is not in a cluster, and owes nothing.
    let created = valid.created.unwrap_or(now);
    [old.last_schedule_time, running, last]
        .into_iter()
        .flatten()
        .filter(|time| *time <= now)
        .fold(created, Timestamp::max)
}

/// When it is due next by its schedule; never while suspended.
#[must_use]
pub fn next(valid: &ValidDrill, now: Timestamp) -> Option<Timestamp> {
    let (tiers, zone) = valid.schedule.as_ref().filter(|_| !valid.suspended)?;
    tiers.next(zone, now).first().map(|due| due.at)
}
