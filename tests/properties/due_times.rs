//! Due times around the days on which clocks are changed (DESIGN §4): what falls into a gap runs at
//! the gap's end, what happens twice runs once, and nothing else is skipped, doubled or moved.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan};
use lifeboat::schedule::{
    Cron, Tiers, Zone, default_spread, due_between, latest_until, next_after, shortest_gap, spread,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;
use crate::crons::{Meant, cron};

/// An hour in spring, an hour at midnight, half an hour, an hour the other way round at Ramadan, a
/// day that was left out; and one that never changes.
const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/Havana",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "UTC",
];
/// How long around the change it is looked.
const WINDOW: SignedDuration = SignedDuration::from_hours(40);

/// A stretch of time in a zone, mostly with a change of clocks in it.
#[derive(Debug, Clone)]
struct Stretch {
    zone: &'static str,
    from: Timestamp,
    to: Timestamp,
}

fn stretch() -> impl Strategy<Value = Stretch> {
    // From 2006 to 2037: whole seconds, as `now` never is whole minutes.
    let any = (
        select(&ZONES[..]),
        1_136_073_600_i64..2_114_380_800,
        0_i64..100_000,
    );
    any.prop_map(|(zone, near, lead)| {
        let near = Timestamp::from_second(near).unwrap();
        let clocks = time_zone(zone);
        let change = clocks.following(near).next();
        let change = change.map_or(near, |c| c.timestamp());
        let from = change - SignedDuration::from_secs(lead);
        let to = from + WINDOW;
        Stretch { zone, from, to }
    })
}

fn time_zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

/// Every due time after `from` up to `to`, minute by minute, by the words of the rule.
fn by_the_rule(cron: &Meant, s: &Stretch) -> BTreeSet<Timestamp> {
    let zone = time_zone(s.zone);
    let first = zone.to_datetime(s.from);
    let first = first.with().second(0).subsec_nanosecond(0).build().unwrap();
    // What the second pass of an overlap shows is behind what the first showed.
    let end = zone.to_datetime(s.to) + 3.hours();
    let minutes = first.series(1.minute()).take_while(|at| *at <= end);
    let fired = minutes.filter(|at| cron.fires(*at)).map(|at| {
        match zone.to_ambiguous_timestamp(at).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(at).unwrap(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(at).unwrap(),
            AmbiguousOffset::Gap { before, after } => {
                let behind = after.to_timestamp(at).unwrap();
                let change = zone.following(behind).next().unwrap().timestamp();
                assert!(change <= before.to_timestamp(at).unwrap());
                change
            }
        }
    });
    fired.filter(|at| *at > s.from && *at <= s.to).collect()
}

fn tiers(crons: &[Meant]) -> Tiers {
    let named = crons.iter().enumerate();
    Tiers::new(
        named
            .map(|(i, c)| (format!("tier-{i}"), Cron::parse(&c.text).unwrap()))
            .collect(),
    )
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn due_times_are_those_of_the_rule_each_once_and_increasing(cron in cron(), s in stretch()) {
        let parsed = Cron::parse(&cron.text).unwrap();
        let zone = Zone::parse(s.zone).unwrap();
        let mut walked = Vec::new();
        let mut at = s.from;
        while let Some(next) = next_after(&parsed, &zone, at).filter(|next| *next <= s.to) {
            prop_assert!(next > at, "{next} does not come after {at}");
            walked.push(next);
            at = next;
        }
        let want: Vec<Timestamp> = by_the_rule(&cron, &s).into_iter().collect();
        prop_assert_eq!(walked, want, "{}", cron.text);
    }

    #[test]
    fn looking_back_finds_what_looking_ahead_found(cron in cron(), s in stretch(), into in 0_i64..144_000) {
        let parsed = Cron::parse(&cron.text).unwrap();
        let zone = Zone::parse(s.zone).unwrap();
        let until = s.from + SignedDuration::from_secs(into);
        let found = latest_until(&parsed, &zone, until);
        let known = by_the_rule(&cron, &Stretch { to: until, ..s.clone() });
        match known.last() {
            Some(last) => prop_assert_eq!(found, Some(*last), "{}", cron.text),
            None => prop_assert!(found.is_none_or(|f| f <= s.from), "{} {:?}", cron.text, found),
        }
        if let Some(found) = found {
            prop_assert_eq!(latest_until(&parsed, &zone, found), Some(found));
            prop_assert!(next_after(&parsed, &zone, found).is_none_or(|next| next > until));
        }
    }

    #[test]
    fn what_is_owed_is_the_newest_with_all_its_tiers_and_the_rest_is_older(
        crons in vec(cron(), 1..4),
        s in stretch(),
    ) {
        let zone = Zone::parse(s.zone).unwrap();
        let each: Vec<BTreeSet<Timestamp>> = crons.iter().map(|c| by_the_rule(c, &s)).collect();
        let all: BTreeSet<Timestamp> = each.iter().flatten().copied().collect();
        let owed = due_between(&tiers(&crons), &zone, s.from, s.to);
        let Some(newest) = all.last() else {
            prop_assert_eq!(owed, None);
            return Ok(());
        };
        let owed = owed.unwrap();
        prop_assert_eq!(owed.newest.at, *newest);
        let names = each.iter().enumerate().filter(|(_, times)| times.contains(newest));
        let names: Vec<String> = names.map(|(i, _)| format!("tier-{i}")).collect();
        prop_assert_eq!(owed.newest.tiers, names);
        let older: Vec<Timestamp> = all.iter().rev().skip(1).take(50).copied().collect();
        prop_assert_eq!(owed.older, older);
    }

    #[test]
    fn the_next_of_each_tier_is_told_once_and_soonest_first(crons in vec(cron(), 1..4), s in stretch()) {
        let zone = Zone::parse(s.zone).unwrap();
        let next = tiers(&crons).next(&zone, s.from);
        prop_assert!(next.windows(2).all(|pair| pair[0].at < pair[1].at));
        for (i, cron) in crons.iter().enumerate() {
            let name = format!("tier-{i}");
            let told: Vec<_> = next.iter().filter(|due| due.tiers.contains(&name)).collect();
            prop_assert_eq!(told.len(), 1);
            let parsed = Cron::parse(&cron.text).unwrap();
            prop_assert_eq!(Some(told[0].at), next_after(&parsed, &zone, s.from));
        }
    }

    #[test]
    fn a_spread_is_whole_seconds_within_its_bound_and_the_default_within_the_gap(
        crons in vec(cron(), 1..3),
        namespace in "[a-z]{1,8}",
        name in "[a-z]{1,8}",
    ) {
        let gap = shortest_gap(&tiers(&crons), &Zone::utc());
        let most = gap.map_or(Duration::ZERO, default_spread);
        prop_assert!(gap.is_none_or(|gap| most < gap) && most <= Duration::from_secs(1_800));
        let own = spread(&namespace, &name, most);
        prop_assert!(own <= most && own.subsec_nanos() == 0);
        prop_assert_eq!(own, spread(&namespace, &name, most));
    }
}
