//! Due times of tiers.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Serialize;

use super::{Cron, Zone, later};

/// Steps of one search: an overlap of a day in minutes, and some more. Nothing else needs a second step.
const MAX_STEPS: usize = 2_000;
/// How many missed due times are told apart.
const MAX_OLDER: usize = 50;
/// Due times per tier from which the gap is measured.
const GAP_SAMPLES: usize = 24;
const DAY: Duration = Duration::from_secs(86_400);
/// The longest gap is looked for over a bit more than a year, and short ones over the longest month and a bit.
const GAP_STRETCH: [(Duration, u32); 2] =
    [(Duration::from_secs(7 * 86_400), 400), (Duration::ZERO, 40)];
/// Steps of that search: for gaps of half an hour and more it goes to the end.
const GAP_STEPS: usize = 4_000;

/// The tiers of a policy: names, unique, and their crons.
#[derive(Debug, Clone, Default)]
pub struct Tiers(Vec<(String, Cron)>);

impl Tiers {
    /// From names that were proved unique.
    #[must_use]
    pub fn new(tiers: Vec<(String, Cron)>) -> Self {
        Self(tiers)
    }

    /// No schedule: manual backups only.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next due time of each tier after `after`; coinciding tiers are one. Soonest first.
    #[must_use]
    pub fn next(&self, zone: &Zone, after: Timestamp) -> Vec<Due> {
        let found = self
            .0
            .iter()
            .filter_map(|(name, cron)| Some((next_after(cron, zone, after)?, name.clone())));
        merge(found.collect())
    }
}

/// A due time, without spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// The tiers that are due then, in the order of the spec.
    pub tiers: Vec<String>,
}

/// What is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// The newest due time: the only one that is made up for.
    pub newest: Due,
    /// Older ones, newest first, at most 50: gone.
    pub older: Vec<Timestamp>,
}

/// The first due time after `after`. In a DST gap it is the gap's end, in an overlap the first pass.
#[must_use]
pub fn next_after(cron: &Cron, zone: &Zone, after: Timestamp) -> Option<Timestamp> {
    let mut civil = zone.civil(after);
    for _ in 0..MAX_STEPS {
        civil = cron.next(civil)?;
        let at = zone.instant(civil)?;
        if at > after {
            return Some(at);
        }
    }
    None
}

/// The last due time at or before `until`. Costs the same however long nobody looked.
#[must_use]
pub fn latest_until(cron: &Cron, zone: &Zone, until: Timestamp) -> Option<Timestamp> {
    let mut civil: DateTime = cron.previous(zone.latest_civil(until), true)?;
    for _ in 0..MAX_STEPS {
        let at = zone.instant(civil)?;
        if at <= until {
            return Some(at);
        }
        civil = cron.previous(civil, false)?;
    }
    None
}

/// What fell due after `after`, up to and at `until`.
#[must_use]
pub fn due_between(tiers: &Tiers, zone: &Zone, after: Timestamp, until: Timestamp) -> Option<Owed> {
    let newest = latest(tiers, zone, after, until)?;
    let mut older = Vec::new();
    let mut before = newest.at;
    while older.len() < MAX_OLDER {
        let Ok(bound) = before.checked_sub(Duration::from_nanos(1)) else {
            break;
        };
        let Some(due) = latest(tiers, zone, after, bound) else {
            break;
        };
        before = due.at;
        older.push(due.at);
    }
    Some(Owed { newest, older })
}

/// The shortest time between two due times, measured on a stretch of the calendar that never moves.
/// `None` with fewer than two due times.
#[must_use]
pub fn shortest_gap(tiers: &Tiers, zone: &Zone) -> Option<Duration> {
    let start: Timestamp = "2024-01-01T00:00:00Z".parse().ok()?;
    let mut times = Vec::new();
    for (_, cron) in &tiers.0 {
        let mut at = start;
        for _ in 0..GAP_SAMPLES {
            let Some(next) = next_after(cron, zone, at) else {
                break;
            };
            times.push(next);
            at = next;
        }
    }
    times.sort_unstable();
    times.dedup();
    times
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Duration::try_from(b.duration_since(*a)).ok(),
            _ => None,
        })
        .min()
}

/// The longest time between two due times, if it is longer than `least`. Measured on the wall clock, so that a
/// change of clocks makes no day longer. Costs less the longer `least` is.
#[must_use]
pub fn longest_gap(tiers: &Tiers, least: Duration) -> Option<Duration> {
    // What is absent on whole days shows on a long stretch in long strides; what is left is looked for in short ones.
    GAP_STRETCH
        .iter()
        .find_map(|(stride, days)| gap_over(tiers, least.max(*stride), DAY * *days))
}

/// The longest gap over `stretch`, if it is longer than `least`: from one due time to the last one within `least` of it;
/// where there is none, the gap is longer, and so are the strides from there on.
fn gap_over(tiers: &Tiers, least: Duration, stretch: Duration) -> Option<Duration> {
    let wall = Zone::utc();
    let next = |after| Some(tiers.next(&wall, after).first()?.at);
    let mut at = next("2024-01-01T00:00:00Z".parse().ok()?)?;
    let end = later(at, stretch);
    let mut longest = least;
    let mut found = None;
    for _ in 0..GAP_STEPS {
        if at > end {
            break;
        }
        if let Some(due) = latest(tiers, &wall, at, later(at, longest)) {
            at = due.at;
            continue;
        }
        let due = next(at)?;
        longest = Duration::try_from(due.duration_since(at)).ok()?;
        found = Some(longest);
        at = due;
    }
    found
}

fn latest(tiers: &Tiers, zone: &Zone, after: Timestamp, until: Timestamp) -> Option<Due> {
    if until <= after {
        return None;
    }
    let found = tiers.0.iter().filter_map(|(name, cron)| {
        let at = latest_until(cron, zone, until)?;
        (at > after).then(|| (at, name.clone()))
    });
    merge(found.collect()).pop()
}

/// One [`Due`] per time, soonest first.
fn merge(mut found: Vec<(Timestamp, String)>) -> Vec<Due> {
    found.sort_by_key(|(at, _)| *at);
    let mut dues: Vec<Due> = Vec::new();
    for (at, tier) in found {
        match dues.last_mut() {
            Some(due) if due.at == at => due.tiers.push(tier),
            _ => dues.push(Due {
                at,
                tiers: vec![tier],
            }),
        }
    }
    dues
}
