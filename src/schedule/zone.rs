//! Time zones, and what becomes of wall-clock times that happen twice or never.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use super::{ScheduleError, later};

/// Bundled, so that one spec means one time on every machine.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A zone of the IANA database.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time, the default.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Looks a name up.
    ///
    /// # Errors
    /// [`ScheduleError::Zone`] if there is none.
    pub fn parse(name: &str) -> Result<Self, ScheduleError> {
        ZONES
            .get(name)
            .map(Self)
            .map_err(|_| ScheduleError::Zone(name.chars().take(64).collect()))
    }

    /// What the wall clock shows.
    pub(super) fn civil(&self, time: Timestamp) -> DateTime {
        self.0.to_datetime(time)
    }

    /// When the wall clock shows it: the first time of two, the gap's end of none. Never decreases.
    pub(super) fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        let ambiguous = self.0.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                let inside = before.to_timestamp(civil).ok()?;
                let end = self.0.preceding(later(inside, Duration::from_secs(1)));
                Some(end.map(|t| t.timestamp()).next().unwrap_or(inside))
            }
        }
    }

    /// The latest wall-clock time whose [`Zone::instant`] can be at or before `time`: in the second
    /// pass of an overlap that is the overlap's end, not what the clock shows.
    pub(super) fn latest_civil(&self, time: Timestamp) -> DateTime {
        let civil = self.civil(time);
        match self.0.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Fold { before, .. } => civil.max(before.to_datetime(time)),
            _ => civil,
        }
    }
}

/// Year and month of a time, in UTC.
#[must_use]
pub fn utc_month(at: Timestamp) -> (i16, i8) {
    let at = at.to_zoned(TimeZone::UTC);
    (at.year(), at.month())
}
