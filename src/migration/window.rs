//! When a run may be applied: not before, not after, and within the hours of a week. Pure.
//!
//! Openings and closings are due times as any other, so a change of clocks does to them what it does to schedules: an
//! opening that the clock skips is where it goes on, one that comes twice is the first.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::Invalid;
use crate::api::migration_run::{MigrationWindow, Weekday, WeeklyWindow};
use crate::schedule::{Cron, Zone, earlier, latest_until, next_after};

/// Openings that a change of clocks leaves nothing of are passed over; more than this many in a row there are never.
const MAX_EMPTY: usize = 8;
const SECOND: Duration = Duration::from_secs(1);

/// When a run may be applied.
#[derive(Debug, Clone)]
pub struct Window {
    not_before: Option<Timestamp>,
    not_after: Timestamp,
    weekly: Option<Weekly>,
}

#[derive(Debug, Clone)]
struct Weekly {
    opens: Cron,
    closes: Cron,
    /// Closes on the day after.
    over_midnight: bool,
    zone: Zone,
}

/// How the window stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It is open until then.
    Open(Timestamp),
    /// It opens then.
    At(Timestamp),
    /// It never opens again.
    Never,
}

impl Window {
    /// Reads a window.
    ///
    /// # Errors
    /// [`Invalid`] with the field and the fix.
    pub fn parse(window: &MigrationWindow) -> Result<Self, Invalid> {
        if window.not_before.is_some_and(|t| t >= window.not_after) {
            let message = "lies after notAfter: choose an earlier time";
            return Err(Invalid::new("spec.window.notBefore", message));
        }
        let weekly = window.weekly.as_ref().map(Weekly::parse).transpose()?;
        Ok(Self {
            not_before: window.not_before,
            not_after: window.not_after,
            weekly,
        })
    }

    /// Nothing begins after this time.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// How it stands at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Opening {
        let from = self.not_before.map_or(now, |t| t.max(now));
        if from >= self.not_after {
            return Opening::Never;
        }
        let span = match &self.weekly {
            None => Some((from, self.not_after)),
            Some(weekly) => weekly.span(from),
        };
        match span {
            Some((opens, closes)) if opens < self.not_after => match opens <= now {
                true => Opening::Open(closes.min(self.not_after)),
                false => Opening::At(opens),
            },
            _ => Opening::Never,
        }
    }
}

impl Weekly {
    fn parse(weekly: &WeeklyWindow) -> Result<Self, Invalid> {
        let field = |name: &str| format!("spec.window.weekly.{name}");
        if weekly.days.is_empty() {
            return Err(Invalid::new(field("days"), "name at least one day"));
        }
        let from = clock("from", &weekly.from)?;
        let to = clock("to", &weekly.to)?;
        if from == to {
            let message = "is the same time as from: leave weekly out if it may always run";
            return Err(Invalid::new(field("to"), message));
        }
        let zone = match &weekly.time_zone {
            None => Zone::utc(),
            Some(zone) => {
                Zone::parse(zone).map_err(|e| Invalid::new(field("timeZone"), e.to_string()))?
            }
        };
        let days: Vec<&str> = weekly.days.iter().copied().map(day).collect();
        let opens = format!("{} {} * * {}", from.1, from.0, days.join(","));
        let closes = format!("{} {} * * *", to.1, to.0);
        let cron = |name: &str, text: &str| {
            Cron::parse(text).map_err(|e| Invalid::new(field(name), e.to_string()))
        };
        Ok(Self {
            opens: cron("from", &opens)?,
            closes: cron("to", &closes)?,
            over_midnight: to < from,
            zone,
        })
    }

    /// The part of the first opening that lies at or after `from`.
    fn span(&self, from: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let last = latest_until(&self.opens, &self.zone, from);
        let on = last.and_then(|opens| self.closes_after(opens));
        if let Some(closes) = on.filter(|closes| *closes > from) {
            return Some((from, closes));
        }
        let mut after = from;
        for _ in 0..MAX_EMPTY {
            let opens = next_after(&self.opens, &self.zone, after)?;
            let closes = self.closes_after(opens)?;
            if closes > opens {
                return Some((opens, closes));
            }
            after = opens;
        }
        None
    }

    /// Where clocks skip from before `from` to after `to` of one day, that is the opening itself: nothing is left of it.
    fn closes_after(&self, opens: Timestamp) -> Option<Timestamp> {
        let after = match self.over_midnight {
            true => opens,
            false => earlier(opens, SECOND),
        };
        next_after(&self.closes, &self.zone, after)
    }
}

fn clock(name: &str, text: &str) -> Result<(u8, u8), Invalid> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let two = |part: &str| (part.len() == 2).then(|| part.parse::<u8>().ok()).flatten();
        let (hour, minute) = (two(hour)?, two(minute)?);
        (hour < 24 && minute < 60).then_some((hour, minute))
    };
    read().ok_or_else(|| {
        let field = format!("spec.window.weekly.{name}");
        Invalid::new(field, "write a time of day such as 02:00")
    })
}

fn day(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "MON",
        Weekday::Tue => "TUE",
        Weekday::Wed => "WED",
        Weekday::Thu => "THU",
        Weekday::Fri => "FRI",
        Weekday::Sat => "SAT",
        Weekday::Sun => "SUN",
    }
}

/// Nothing begins after the window closes, so what runs then is one statement; some time for what comes before and after.
pub(super) fn apply_deadline(
    now: Timestamp,
    closes: Timestamp,
    longest_statement: Duration,
) -> Duration {
    const MOST: Duration = Duration::from_secs(86_400);
    const BESIDES: Duration = Duration::from_secs(600);
    let open = Duration::try_from(closes.duration_since(now)).unwrap_or_default();
    open.min(MOST) + longest_statement + BESIDES
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn window(text: &str) -> Window {
        let spec: MigrationWindow = serde_saphyr::from_str(text).unwrap();
        Window::parse(&spec).unwrap()
    }

    fn told(text: &str, now: &str) -> String {
        match window(text).at(now.parse().unwrap()) {
            Opening::Open(until) => format!("open until {until}"),
            Opening::At(at) => format!("at {at}"),
            Opening::Never => "never".to_owned(),
        }
    }

    const ONCE: &str = "{notBefore: 2026-11-22T02:00:00Z, notAfter: 2026-11-22T05:00:00Z}";
    const NIGHTS: &str =
        "{notAfter: 2027-12-31T00:00:00Z, weekly: {days: [Mon, Sat], from: '22:00', to: '04:00'}}";
    const BERLIN: &str = "{notAfter: 2027-12-31T00:00:00Z, weekly: {days: [Sun], from: '02:15', to: '02:45', timeZone: Europe/Berlin}}";
    const BERLIN_LATE: &str = "{notAfter: 2027-12-31T00:00:00Z, weekly: {days: [Sun], from: '02:30', to: '02:00', timeZone: Europe/Berlin}}";

    #[rstest]
    #[case::before(ONCE, "2026-11-22T01:59:59Z", "at 2026-11-22T02:00:00Z")]
    #[case::opens(ONCE, "2026-11-22T02:00:00Z", "open until 2026-11-22T05:00:00Z")]
    #[case::over(ONCE, "2026-11-22T05:00:00Z", "never")]
    // 2026-11-23 is a Monday.
    #[case::monday_noon(NIGHTS, "2026-11-23T12:00:00Z", "at 2026-11-23T22:00:00Z")]
    #[case::over_midnight(NIGHTS, "2026-11-24T03:59:59Z", "open until 2026-11-24T04:00:00Z")]
    #[case::tuesday(NIGHTS, "2026-11-24T04:00:00Z", "at 2026-11-28T22:00:00Z")]
    #[case::sunday(NIGHTS, "2026-11-29T00:00:00Z", "open until 2026-11-29T04:00:00Z")]
    // Clocks go from 02:00 to 03:00 on 2027-03-28: that half hour is not there, and the next one is a week later.
    #[case::skipped(BERLIN, "2027-03-27T12:00:00Z", "at 2027-04-04T00:15:00Z")]
    // They go back from 03:00 to 02:00 on 2026-10-25: the first of the two half hours counts.
    #[case::twice(BERLIN, "2026-10-25T00:20:00Z", "open until 2026-10-25T00:45:00Z")]
    #[case::twice_over(BERLIN, "2026-10-25T01:20:00Z", "at 2026-11-01T01:15:00Z")]
    #[case::begins_where_the_clock_goes_on(
        BERLIN_LATE,
        "2027-03-28T02:00:00Z",
        "open until 2027-03-29T00:00:00Z"
    )]
    fn a_window_opens_and_closes(#[case] window: &str, #[case] now: &str, #[case] want: &str) {
        assert_eq!(told(window, now), want);
    }

    #[test]
    fn not_before_and_not_after_cut_a_week_to_size() {
        let cut = "{notBefore: 2026-11-23T23:00:00Z, notAfter: 2026-11-24T01:00:00Z, weekly: {days: [Mon], from: '22:00', to: '04:00'}}";
        assert_eq!(told(cut, "2026-11-23T12:00:00Z"), "at 2026-11-23T23:00:00Z");
        assert_eq!(
            told(cut, "2026-11-23T23:30:00Z"),
            "open until 2026-11-24T01:00:00Z"
        );
        let none =
            "{notAfter: 2026-11-23T21:00:00Z, weekly: {days: [Mon], from: '22:00', to: '04:00'}}";
        assert_eq!(told(none, "2026-11-23T12:00:00Z"), "never");
    }

    #[rstest]
    #[case(
        "{notBefore: 2026-11-22T02:00:00Z, notAfter: 2026-11-22T02:00:00Z}",
        "spec.window.notBefore"
    )]
    #[case(
        "{notAfter: 2026-11-22T02:00:00Z, weekly: {days: [], from: '01:00', to: '02:00'}}",
        "spec.window.weekly.days"
    )]
    #[case(
        "{notAfter: 2026-11-22T02:00:00Z, weekly: {days: [Mon], from: '25:00', to: '02:00'}}",
        "spec.window.weekly.from"
    )]
    #[case(
        "{notAfter: 2026-11-22T02:00:00Z, weekly: {days: [Mon], from: '02:00', to: '02:00'}}",
        "spec.window.weekly.to"
    )]
    #[case(
        "{notAfter: 2026-11-22T02:00:00Z, weekly: {days: [Mon], from: '01:00', to: '02:00', timeZone: Mars}}",
        "spec.window.weekly.timeZone"
    )]
    fn what_is_no_window_is_refused(#[case] text: &str, #[case] field: &str) {
        let spec: MigrationWindow = serde_saphyr::from_str(text).unwrap();
        assert_eq!(Window::parse(&spec).unwrap_err().field, field);
    }
}
