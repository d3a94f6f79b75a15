//! Due times, zones and the rhythm of upkeep.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rstest::rstest;

use super::upkeep::{Round, Step, Upkeep};
use super::*;
use crate::api::backup_store::{UpkeepPlan, UpkeepRun};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn due(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let (cron, zone) = (Cron::parse(cron).unwrap(), Zone::parse(zone).unwrap());
    let mut time = at(after);
    let mut found = Vec::new();
    for _ in 0..count {
        time = next_after(&cron, &zone, time).unwrap();
        assert_eq!(
            latest_until(&cron, &zone, time),
            Some(time),
            "both searches agree"
        );
        found.push(time.to_string());
    }
    found
}

fn tiers(crons: &[(&str, &str)]) -> Tiers {
    let parse = |(name, cron): &(&str, &str)| ((*name).to_owned(), Cron::parse(cron).unwrap());
    Tiers::new(crons.iter().map(parse).collect())
}

#[rstest]
#[case::daily("0 2 * * *", "UTC", "2026-11-20T02:00:00Z", &["2026-11-21T02:00:00Z", "2026-11-22T02:00:00Z"])]
#[case::last_day("0 2 L * *", "UTC", "2027-01-31T02:00:00Z", &["2027-02-28T02:00:00Z", "2027-03-31T02:00:00Z"])]
#[case::first_sunday("0 1 * * SUN#1", "UTC", "2026-11-02T00:00:00Z", &["2026-12-06T01:00:00Z"])]
#[case::names("0 1 1 JAN-MAR *", "UTC", "2026-11-02T00:00:00Z", &["2027-01-01T01:00:00Z", "2027-02-01T01:00:00Z"])]
#[case::leap("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"])]
#[case::in_a_gap_at_its_end("30 2 * * *", "Europe/Berlin", "2027-03-27T02:00:00Z", &["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"])]
#[case::several_in_a_gap_are_one("*/20 * * * *", "Europe/Berlin", "2027-03-28T00:30:00Z", &["2027-03-28T00:40:00Z", "2027-03-28T01:00:00Z", "2027-03-28T01:20:00Z"])]
#[case::in_an_overlap_once("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"])]
#[case::overlap_seen_from_its_second_pass("*/30 * * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", &["2026-10-25T02:00:00Z"])]
#[case::a_day_that_was_left_out("0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", &["2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"])]
fn due_times_follow_the_wall_clock(
    #[case] cron: &str,
    #[case] zone: &str,
    #[case] after: &str,
    #[case] want: &[&str],
) {
    assert_eq!(due(cron, zone, after, want.len()), want);
}

#[rstest]
#[case("0 2 * *", "five fields", "this one has 4")]
#[case("0 0 2 * * *", "five fields", "this one has 6")]
#[case("61 * * * *", "`61` is no minute", "0-59")]
#[case("0 25 * * *", "`25` is no hour", "0-23")]
#[case("0 0 32 * *", "`32` is no day of month", "`L`")]
#[case("0 0 * NOV-XXX *", "is no month", "JAN-DEC")]
#[case("0 0 * * FUNDAY", "is no day of week", "SUN#1")]
#[case("0 0 31 2 *", "never fires", "choose a day")]
fn a_bad_cron_says_where_and_what_instead(
    #[case] cron: &str,
    #[case] wrong: &str,
    #[case] fix: &str,
) {
    let error = Cron::parse(cron).unwrap_err().to_string();
    assert!(error.contains(wrong) && error.contains(fix), "{error}");
}

#[test]
fn an_unknown_zone_is_refused_by_name() {
    let error = Zone::parse("Mars/Olympus").unwrap_err().to_string();
    assert!(
        error.contains("Mars/Olympus") && error.contains("Europe/Berlin"),
        "{error}"
    );
}

#[test]
fn coinciding_tiers_are_one_due_time() {
    let tiers = tiers(&[
        ("daily", "0 2 * * *"),
        ("weekly", "0 2 * * SUN"),
        ("never", "0 0 29 2 *"),
    ]);
    let owed = due_between(
        &tiers,
        &Zone::utc(),
        at("2026-11-20T03:00:00Z"),
        at("2026-11-22T02:00:00Z"),
    );
    let owed = owed.unwrap();
    assert_eq!(owed.newest.tiers, ["daily", "weekly"]);
    assert_eq!(owed.older, [at("2026-11-21T02:00:00Z")]);
    let next = tiers.next(&Zone::utc(), at("2026-11-22T01:00:00Z"));
    assert_eq!(
        next.iter().map(|d| d.tiers.join("+")).collect::<Vec<_>>(),
        ["daily+weekly", "never"]
    );
}

#[test]
fn a_year_of_downtime_costs_no_more_than_a_day() {
    let tiers = tiers(&[("often", "* * * * *")]);
    let began = Instant::now();
    let owed = due_between(
        &tiers,
        &Zone::parse("Europe/Berlin").unwrap(),
        at("2025-11-21T02:00:00Z"),
        at("2026-11-21T02:00:30Z"),
    );
    let owed = owed.unwrap();
    assert_eq!(owed.newest.at, at("2026-11-21T02:00:00Z"));
    assert_eq!(owed.older.len(), 50);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn spread_is_always_the_same_and_within_its_bound() {
    let max = Duration::from_secs(300);
    let one = spread("shop", "orders", max);
    assert_eq!(one, spread("shop", "orders", max));
    let all: std::collections::BTreeSet<_> = (0..50)
        .map(|i| spread("shop", &i.to_string(), max))
        .collect();
    assert!(all.len() > 20 && all.iter().all(|s| *s <= max && s.subsec_nanos() == 0));
    assert_eq!(spread("shop", "orders", Duration::ZERO), Duration::ZERO);
    for (gap, want) in [(120, 12), (86_400, 1_800), (5, 0)] {
        assert_eq!(
            default_spread(Duration::from_secs(gap)),
            Duration::from_secs(want)
        );
    }
}

#[rstest]
#[case(&[("a", "*/2 * * * *")], Some(120))]
#[case(&[("a", "0 2 * * *"), ("b", "0 1 * * SUN")], Some(3_600))]
#[case(&[], None)]
fn the_gap_is_between_any_two_tiers(#[case] crons: &[(&str, &str)], #[case] want: Option<u64>) {
    let gap = shortest_gap(&tiers(crons), &Zone::utc());
    assert_eq!(gap, want.map(Duration::from_secs));
}

const H: u64 = 3_600;

#[rstest]
#[case::daily(&["0 2 * * *"], 0, Some(24 * H))]
#[case::not_longer(&["0 2 * * *"], 24 * H, None)]
#[case::together(&["0 2 * * *", "0 8 * * *"], 0, Some(18 * H))]
#[case::one_fills_the_other(&["*/5 * * * MON-FRI", "0 * * * SAT,SUN"], 0, Some(H))]
#[case::nights(&["*/10 9-17 * * *"], 0, Some(15 * H + 600))]
#[case::weekends(&["*/10 9-17 * * MON-FRI"], 0, Some(63 * H + 600))]
#[case::a_day_of_the_month(&["0 2 31 * *"], 0, Some(61 * 24 * H))]
#[case::half_a_year(&["0 2 * 1-6 *"], 0, Some(185 * 24 * H))]
#[case::leap_days(&["0 2 29 2 *"], 0, Some(1_461 * 24 * H))]
#[case::minutes(&["* * * * *"], H, None)]
#[case::none(&[], 0, None)]
fn the_longest_gap_is_where_no_tier_is_due(
    #[case] crons: &[&str],
    #[case] least: u64,
    #[case] want: Option<u64>,
) {
    let names: Vec<String> = (0..crons.len()).map(|i| format!("t{i}")).collect();
    let named: Vec<(&str, &str)> = names
        .iter()
        .map(String::as_str)
        .zip(crons.iter().copied())
        .collect();
    let gap = longest_gap(&tiers(&named), Duration::from_secs(least));
    assert_eq!(gap, want.map(Duration::from_secs));
}

fn upkeep<'a>(last: Option<&'a UpkeepRun>, plan: Option<&'a UpkeepPlan>) -> Upkeep<'a> {
    Upkeep {
        owner: ["shop", "primary"],
        generation: 1,
        requested_at: None,
        period: Duration::from_secs(6 * 3_600),
        last,
        plan,
    }
}

fn fail(upkeep: &Upkeep, round: &Round, now: Timestamp) -> (UpkeepRun, UpkeepPlan) {
    let step = Upkeep::step(round, "j", Some(&ended_job("j")), now);
    let Step::Took(outcome) = step else {
        panic!("{step:?}")
    };
    upkeep.record(round, &outcome, now)
}

fn ended_job(name: &str) -> crate::cluster::seen::SeenJob {
    crate::cluster::seen::SeenJob {
        name: name.to_owned(),
        uid: "u".to_owned(),
        owner_uid: "o".to_owned(),
        created_at: at("2026-11-21T02:00:00Z"),
        state: crate::cluster::seen::JobState::Ended {
            result: None,
            pod_uid: None,
            why: "OOMKilled".to_owned(),
        },
    }
}

#[test]
fn failed_upkeep_repeats_after_one_two_four_up_to_thirty_minutes() {
    let mut now = at("2026-11-21T02:00:00Z");
    let (mut last, mut plan) = (None, None);
    let mut waits = Vec::new();
    let mut rounds = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let upkeep = upkeep(last.as_ref(), plan.as_ref());
        let round = upkeep.round(now);
        assert!(
            rounds.insert(round.name.clone()),
            "each try has a name of its own"
        );
        let (run, next) = fail(&upkeep, &round, now);
        waits.push(next.at.duration_since(now).as_secs());
        now = next.at;
        (last, plan) = (Some(run), Some(next));
    }
    for (wait, minutes) in waits.iter().zip([1, 2, 4, 8, 16, 30, 30, 30]) {
        assert!((minutes * 60..=minutes * 66).contains(wait), "{waits:?}");
    }
}

#[test]
fn upkeep_that_is_well_keeps_its_own_time_of_day() {
    let answer = |time| UpkeepRun {
        time,
        generation: 1,
        requested_at: None,
        succeeded: true,
        reason: "Succeeded".to_owned(),
        message: String::new(),
    };
    let first = answer(at("2026-11-21T02:00:00Z"));
    let one = upkeep(Some(&first), None).round(first.time).plan.at;
    let second = answer(one);
    let two = upkeep(Some(&second), None).round(one).plan.at;
    assert_eq!(two.duration_since(one).as_secs(), 6 * 3_600);
    assert!(one.duration_since(first.time).as_secs() >= 3_600);
}

#[test]
fn a_new_spec_or_request_is_answered_at_once_and_keeps_that_plan() {
    let run = UpkeepRun {
        time: at("2026-11-21T02:00:00Z"),
        generation: 1,
        requested_at: None,
        succeeded: false,
        reason: "SecretMissing".to_owned(),
        message: String::new(),
    };
    let plan = UpkeepPlan {
        at: at("2026-11-21T02:30:00Z"),
        failed_tries: 6,
    };
    let now = at("2026-11-21T02:05:00Z");
    let mut asked = upkeep(Some(&run), Some(&plan));
    assert!(!asked.round(now).unanswered);
    asked.requested_at = Some("now".to_owned());
    let round = asked.round(now);
    assert_eq!(
        round.plan,
        UpkeepPlan {
            at: now,
            failed_tries: 0
        }
    );
    assert!(round.unanswered);
    asked.plan = Some(&round.plan);
    assert_eq!(asked.round(now + Duration::from_secs(30)), round);
}
