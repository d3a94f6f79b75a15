//! Crons as people write them, with their meaning beside them: what the parser must agree with.

use std::collections::BTreeSet;

use jiff::civil::{DateTime, Weekday};
use proptest::collection::btree_set;
use proptest::prelude::*;
use proptest::sample::select;

const DAYS: [(&str, Weekday); 7] = [
    ("SUN", Weekday::Sunday),
    ("MON", Weekday::Monday),
    ("TUE", Weekday::Tuesday),
    ("WED", Weekday::Wednesday),
    ("THU", Weekday::Thursday),
    ("FRI", Weekday::Friday),
    ("SAT", Weekday::Saturday),
];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// A cron and what it means.
#[derive(Debug, Clone)]
pub struct Meant {
    pub text: String,
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    month_days: Option<MonthDays>,
    months: BTreeSet<i8>,
    week_days: Option<WeekDays>,
}

#[derive(Debug, Clone)]
enum MonthDays {
    These(BTreeSet<i8>),
    Last,
}

#[derive(Debug, Clone)]
enum WeekDays {
    These(Vec<Weekday>),
    Nth(Weekday, i8),
    Last(Weekday),
}

impl Meant {
    /// Whether the wall clock shows one of its times.
    pub fn fires(&self, at: DateTime) -> bool {
        self.minutes.contains(&at.minute())
            && self.hours.contains(&at.hour())
            && self.months.contains(&at.month())
            && self.fires_on_day(at)
    }

    /// When both kinds of day are given, either suffices.
    fn fires_on_day(&self, at: DateTime) -> bool {
        let last = at.date().days_in_month();
        let of_month = self.month_days.as_ref().map(|days| match days {
            MonthDays::These(days) => days.contains(&at.day()),
            MonthDays::Last => at.day() == last,
        });
        let of_week = self.week_days.as_ref().map(|days| match days {
            WeekDays::These(days) => days.contains(&at.weekday()),
            WeekDays::Nth(day, n) => at.weekday() == *day && (at.day() - 1) / 7 + 1 == *n,
            WeekDays::Last(day) => at.weekday() == *day && at.day() + 7 > last,
        });
        match (of_month, of_week) {
            (None, None) => true,
            (Some(only), None) | (None, Some(only)) => only,
            (Some(a), Some(b)) => a || b,
        }
    }
}

fn list(set: &BTreeSet<i8>) -> String {
    let texts: Vec<String> = set.iter().map(ToString::to_string).collect();
    texts.join(",")
}

/// Numbers below `end`: any, every n-th, a range, a list.
fn numbers(end: i8) -> impl Strategy<Value = (String, BTreeSet<i8>)> {
    prop_oneof![
        2 => Just(("*".to_owned(), (0..end).collect())),
        2 => (1..end).prop_map(move |n| {
            let step = usize::try_from(n).unwrap();
            (format!("*/{n}"), (0..end).step_by(step).collect())
        }),
        1 => (0..end, 0..end).prop_map(|(a, b)| {
            let (a, b) = (a.min(b), a.max(b));
            (format!("{a}-{b}"), (a..=b).collect())
        }),
        3 => btree_set(0..end, 1..4).prop_map(|set| (list(&set), set)),
    ]
}

fn month_days() -> impl Strategy<Value = (String, Option<MonthDays>)> {
    prop_oneof![
        4 => Just(("*".to_owned(), None)),
        1 => Just(("L".to_owned(), Some(MonthDays::Last))),
        // No month lacks them, so that every cron fires.
        2 => btree_set(1_i8..=28, 1..4).prop_map(|set| (list(&set), Some(MonthDays::These(set)))),
    ]
}

fn months() -> impl Strategy<Value = (String, BTreeSet<i8>)> {
    prop_oneof![
        6 => Just(("*".to_owned(), (1..=12).collect())),
        1 => (1_i8..=12, 1_i8..=12).prop_map(|(a, b)| {
            let (a, b) = (a.min(b), a.max(b));
            let name = |m: i8| MONTHS[usize::try_from(m - 1).unwrap()];
            (format!("{}-{}", name(a), name(b)), (a..=b).collect())
        }),
    ]
}

fn week_days() -> impl Strategy<Value = (String, Option<WeekDays>)> {
    prop_oneof![
        4 => Just(("*".to_owned(), None)),
        1 => select(&DAYS[..]).prop_map(|(name, day)| (name.to_owned(), Some(WeekDays::These(vec![day])))),
        1 => Just(("MON-FRI".to_owned(), Some(WeekDays::These(DAYS[1..6].iter().map(|d| d.1).collect())))),
        1 => (select(&DAYS[..]), 1_i8..=4)
            .prop_map(|((name, day), n)| (format!("{name}#{n}"), Some(WeekDays::Nth(day, n)))),
        1 => select(&DAYS[..]).prop_map(|(name, day)| (format!("{name}#L"), Some(WeekDays::Last(day)))),
    ]
}

/// A cron that fires, and its meaning.
pub fn cron() -> impl Strategy<Value = Meant> {
    let fields = (
        numbers(60),
        numbers(24),
        month_days(),
        months(),
        week_days(),
    );
    fields.prop_map(|(minute, hour, day, month, week)| Meant {
        text: [&minute.0, &hour.0, &day.0, &month.0, &week.0]
            .map(String::as_str)
            .join(" "),
        minutes: minute.1,
        hours: hour.1,
        month_days: day.1,
        months: month.1,
        week_days: week.1,
    })
}
