//! Cron with five fields, names, `L` and `#`, on the wall clock of no zone.

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;

use super::ScheduleError;

/// Farthest that one search looks: beyond the eight years between leap days around 2100.
const MAX_YEARS: i16 = 50;

const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59, `*`, `*/15` or a list like `0,30`"),
    ("hour", "0-23, `*`, `*/6` or a list like `2,14`"),
    ("day of month", "1-31, `*`, `L` for the last day, or a list"),
    ("month", "1-12, JAN-DEC, `*` or a list"),
    (
        "day of week",
        "0-7, SUN-SAT, `*`, `SUN#1` for the first Sunday or `FRI#L` for the last Friday",
    ),
];

/// A cron that fires.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    inner: croner::Cron,
}

impl Cron {
    /// Reads five fields. When both day of month and day of week are given, either suffices, as in cron.
    ///
    /// # Errors
    /// [`ScheduleError`] names the field and says what may stand there; a cron that never fires is one.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(ScheduleError::Fields(fields.len()));
        }
        let text = fields.join(" ");
        let inner = read(&text).ok_or_else(|| blame(&fields, &text))?;
        let cron = Self { text, inner };
        if cron
            .next(DateTime::constant(2024, 1, 1, 0, 0, 0, 0))
            .is_none()
        {
            return Err(ScheduleError::NeverFires(cron.text));
        }
        Ok(cron)
    }

    /// As it was written, with single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time on the wall clock after `after`.
    pub(super) fn next(&self, after: DateTime) -> Option<DateTime> {
        let found = self.inner.find_next_occurrence(&after, false).ok()?;
        (found.year() <= after.year().saturating_add(MAX_YEARS)).then_some(found)
    }

    /// The last time on the wall clock before `before`, or at it.
    pub(super) fn previous(&self, before: DateTime, inclusive: bool) -> Option<DateTime> {
        let found = self
            .inner
            .find_previous_occurrence(&before, inclusive)
            .ok()?;
        (found.year() >= before.year().saturating_sub(MAX_YEARS)).then_some(found)
    }
}

/// Which field it is: the one that is wrong even alone.
fn blame(fields: &[&str], text: &str) -> ScheduleError {
    for (index, (field, (name, hint))) in fields.iter().zip(FIELDS).enumerate() {
        let alone: Vec<&str> = (0..FIELDS.len())
            .map(|i| if i == index { *field } else { "*" })
            .collect();
        if read(&alone.join(" ")).is_none() {
            return ScheduleError::Field {
                field: name,
                text: field.chars().take(64).collect(),
                hint,
            };
        }
    }
    ScheduleError::Whole(text.chars().take(128).collect())
}

fn read(text: &str) -> Option<croner::Cron> {
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(text)
        .ok()
}
