//! When things are due: cron, zones, tiers, spread, and the rhythm of probes and checks. Pure.
//!
//! Owns every rule about time. Must never read a clock: `now` is always an argument.

pub mod cron;
pub mod due;
pub mod spread;
pub mod upkeep;
pub mod zone;

use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

pub use cron::Cron;
pub use due::{Due, Owed, Tiers, due_between, latest_until, longest_gap, next_after, shortest_gap};
pub use spread::{default_spread, spread};
pub use zone::{Zone, utc_month};

/// When to look whether a Job that was created has appeared, should its watch be late.
pub const START_LOOK: Duration = Duration::from_secs(60);

/// Why a schedule could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// Not five fields.
    #[error(
        "a cron has five fields (minute, hour, day of month, month, day of week), this one has {0}: write for example `0 2 * * *` for every day at 02:00"
    )]
    Fields(usize),
    /// One field is wrong.
    #[error("`{text}` is no {field}: write {hint}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What may stand there.
        hint: &'static str,
    },
    /// The fields are fine one by one, not together.
    #[error("`{0}` is no cron: write for example `0 2 * * *` for every day at 02:00")]
    Whole(String),
    /// No day of the calendar matches.
    #[error(
        "`{0}` never fires, because there is no such day: choose a day that its months have, or `L` for the last one"
    )]
    NeverFires(String),
    /// No zone of that name.
    #[error(
        "`{0}` is no time zone: write a name of the IANA database such as `Europe/Berlin`, or `UTC`"
    )]
    Zone(String),
}

/// `time` plus `by`, at most the end of time.
#[must_use]
pub fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// `time` minus `by`, at least the beginning of time.
#[must_use]
pub fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
