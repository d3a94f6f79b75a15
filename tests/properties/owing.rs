//! K17: what a policy owes. `lastScheduleTime` only grows; what is owed falls after it, after the
//! Backups there are and after the policy's creation; a new policy owes nothing, and one that was
//! away or suspended at most one; a due time in the future is ignored and named.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use lifeboat::api::backup_policy::Tier;
use lifeboat::api::condition::{READY, find};
use lifeboat::api::{Backup, BackupPolicy, BackupPolicyStatus, BackupStore, name};
use lifeboat::cluster::decision::{Decision, Effect};
use lifeboat::policy::decide::{Observed, decide};
use lifeboat::policy::validate::validate;
use lifeboat::workload::Settings;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;
use crate::fixtures::{self, at};

const CRONS: [&str; 5] = [
    "0 2 * * *",
    "*/20 * * * *",
    "5 * * * *",
    "30 2 * * SUN",
    "0 */6 * * *",
];
const ZONES: [&str; 3] = ["UTC", "Europe/Berlin", "Australia/Lord_Howe"];

/// Read once: there are thousands of cases.
static SETTINGS: LazyLock<Settings> = LazyLock::new(fixtures::settings);
static POLICY: LazyLock<BackupPolicy> = LazyLock::new(fixtures::policy);
static STORE: LazyLock<BackupStore> = LazyLock::new(fixtures::store);
static SCHEDULED: LazyLock<Backup> = LazyLock::new(fixtures::scheduled);

#[derive(Debug, Clone)]
struct Past {
    seen: Observed,
    now: Timestamp,
}

/// A policy with a past: created, decided, suspended at some time around a change of clocks.
fn past() -> impl Strategy<Value = Past> {
    let minutes = |most: i64| (0..most).prop_map(SignedDuration::from_mins);
    let tiers = vec(select(&CRONS[..]), 1..3);
    let spread = select(vec!["0s", "4m", "3m"]);
    let past = (
        minutes(10_000),
        of(minutes(10_000)),
        vec(minutes(10_000), 0..3),
    );
    let moment = (minutes(400_000), 0_i64..60, any::<bool>(), any::<bool>());
    (tiers, select(&ZONES[..]), spread, past, moment).prop_map(
        |(tiers, zone, spread, past, moment)| {
            let now = at("2026-03-01T00:00:00Z") + moment.0 + SignedDuration::from_secs(moment.1);
            let (age, last, backups) = past;
            let mut policy = POLICY.clone();
            policy.metadata.creation_timestamp = Some(Time(now - age));
            policy.spec.time_zone = Some(zone.to_owned());
            policy.spec.spread = Some(spread.to_owned());
            policy.spec.suspend = Some(moment.2 && moment.3);
            policy.spec.tiers = tiers
                .iter()
                .enumerate()
                .map(|(i, cron)| tier(i, cron))
                .collect();
            let was_suspended = if moment.2 {
                suspended(now - age)
            } else {
                Vec::new()
            };
            policy.status = Some(BackupPolicyStatus {
                conditions: was_suspended,
                last_schedule_time: last.map(|ago| now - ago),
                ..BackupPolicyStatus::default()
            });
            let backups = backups.into_iter().map(|ago| finished(now - ago)).collect();
            let seen = Observed {
                store: Some(STORE.clone()),
                backups,
                drills: Vec::new(),
                shares_with: None,
                check_job: None,
                namespace_terminating: false,
                policy,
            };
            Past { seen, now }
        },
    )
}

fn tier(index: usize, cron: &str) -> Tier {
    Tier {
        name: format!("tier-{index}"),
        cron: cron.to_owned(),
    }
}

fn condition(type_: &str, status: &str, reason: &str, since: Timestamp) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        observed_generation: Some(1),
        last_transition_time: Time(since),
    }
}

fn suspended(since: Timestamp) -> Vec<Condition> {
    vec![condition("Stalled", "False", "Suspended", since)]
}

fn finished(due: Timestamp) -> Backup {
    let mut backup = SCHEDULED.clone();
    backup.metadata.name = Some(name::backup("orders", due));
    backup.metadata.creation_timestamp = Some(Time(due));
    backup.spec.scheduled_time = Some(due);
    backup.status = Some(lifeboat::api::BackupStatus {
        conditions: vec![
            condition("Complete", "True", "Succeeded", due),
            condition(READY, "True", "Succeeded", due),
        ],
        finished_at: Some(due),
        attempt: Some(1),
        ..Default::default()
    });
    backup
}

fn decided(seen: &Observed, now: Timestamp) -> Decision<BackupPolicyStatus> {
    let valid = validate(&seen.policy, &SETTINGS);
    assert!(valid.is_ok(), "{valid:?}");
    decide(valid.as_ref(), seen, &SETTINGS, now)
}

fn created(decision: &Decision<BackupPolicyStatus>) -> Vec<Backup> {
    let effects = decision.effects.iter();
    effects
        .filter_map(|effect| match effect {
            Effect::CreateBackup { backup, .. } => Some((**backup).clone()),
            _ => None,
        })
        .collect()
}

fn old(seen: &Observed) -> BackupPolicyStatus {
    seen.policy.status.clone().unwrap()
}

fn born(seen: &Observed) -> Timestamp {
    seen.policy.metadata.creation_timestamp.clone().unwrap().0
}

fn scheduled(backups: &[Backup]) -> impl Iterator<Item = Timestamp> {
    backups.iter().filter_map(|b| b.spec.scheduled_time)
}

/// The status is written, the Backup appears.
fn carried_out(past: &Past, decision: &Decision<BackupPolicyStatus>) -> Past {
    let mut next = past.clone();
    next.seen.policy.status = Some(decision.status.clone());
    for mut backup in created(decision) {
        backup.metadata.creation_timestamp = Some(Time(past.now));
        next.seen.backups.push(backup);
    }
    next.seen.backups.sort_by_key(ResourceExt::name_any);
    next
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn k17_what_was_decided_only_grows_and_is_what_is_created(past in past()) {
        let decision = decided(&past.seen, past.now);
        let before = old(&past.seen).last_schedule_time;
        let after = decision.status.last_schedule_time;
        prop_assert!(after >= before);
        prop_assert!(after.is_none_or(|t| t <= past.now));
        let made = created(&decision);
        prop_assert!(made.len() <= 1, "catch-up is at most one");
        for backup in made {
            prop_assert_eq!(backup.spec.scheduled_time, after);
            prop_assert!(after > before);
        }
    }

    #[test]
    fn k17_what_is_owed_falls_after_all_that_was_decided_and_is_the_newest(past in past()) {
            let valid = validate(&past.seen.policy, &SETTINGS).unwrap();
        let decision = decided(&past.seen, past.now);
        let known = scheduled(&past.seen.backups).chain(old(&past.seen).last_schedule_time);
        let after = known.fold(born(&past.seen), Timestamp::max);
        let owed = lifeboat::schedule::due_between(&valid.tiers, &valid.zone, after, past.now - valid.spread);
        let made = created(&decision);
        match owed.filter(|_| !valid.suspended) {
            None => prop_assert!(made.is_empty()),
            Some(owed) => {
                prop_assert_eq!(made[0].spec.scheduled_time, Some(owed.newest.at));
                prop_assert_eq!(&made[0].spec.tiers, &owed.newest.tiers);
                prop_assert!(owed.newest.at > after && owed.newest.at <= past.now);
            }
        }
    }

    #[test]
    fn k17_a_new_policy_owes_nothing(past in past(), into in 0_i64..60) {
        let mut seen = past.seen;
        seen.backups.clear();
        seen.policy.status = None;
        seen.policy.metadata.creation_timestamp = Some(Time(past.now));
        let decision = decided(&seen, past.now);
        prop_assert!(created(&decision).is_empty());
        prop_assert_eq!(decision.status.skipped, None);
        // A due time within its first minute belongs to it.
        let later = past.now + SignedDuration::from_secs(into);
        let due = created(&decided(&seen, later));
        prop_assert!(scheduled(&due).all(|t| t > past.now && t <= later));
    }

    #[test]
    fn k17_leaving_suspend_owes_at_most_one_and_says_nothing_of_the_rest(past in past()) {
        let mut past = past;
        past.seen.policy.spec.suspend = Some(true);
        let still = decided(&past.seen, past.now);
        prop_assert!(created(&still).is_empty());
        // A Backup that no status has noted is adopted, suspended or not; nothing else is decided.
        let begun = scheduled(&past.seen.backups).max().filter(|t| *t > born(&past.seen));
        let decided_before = old(&past.seen).last_schedule_time.max(begun);
        prop_assert_eq!(still.status.last_schedule_time, decided_before);
        past = carried_out(&past, &still);
        past.seen.policy.spec.suspend = Some(false);
        let woken = decided(&past.seen, past.now);
        prop_assert!(created(&woken).len() <= 1);
        prop_assert_eq!(&woken.status.skipped, &old(&past.seen).skipped);
        let again = carried_out(&past, &woken);
        prop_assert!(created(&decided(&again.seen, again.now)).is_empty());
    }

    #[test]
    fn k17_what_was_missed_is_counted_once(past in past()) {
        let first = decided(&past.seen, past.now);
        let next = carried_out(&past, &first);
        let second = decided(&next.seen, next.now);
        prop_assert_eq!(&second.status.skipped, &first.status.skipped);
        if let Some(skipped) = &first.status.skipped {
            let made = scheduled(&created(&first)).next();
            prop_assert!(skipped.times.windows(2).all(|pair| pair[0] > pair[1]));
            prop_assert!(skipped.times.len() <= 50 && !skipped.times.iter().any(|t| Some(*t) == made));
        }
    }

    #[test]
    fn k17_a_due_time_in_the_future_is_ignored_and_named(past in past(), ahead in 1_i64..1_000_000, on_status in any::<bool>()) {
        let mut past = past;
        let future = past.now + SignedDuration::from_secs(ahead * 60);
        past.seen.policy.spec.suspend = Some(false);
        if on_status {
            past.seen.policy.status.as_mut().unwrap().last_schedule_time = None;
        }
        let without = decided(&past.seen, past.now);
        if on_status {
            past.seen.policy.status.as_mut().unwrap().last_schedule_time = Some(future);
        } else {
            past.seen.backups.push(finished(future));
        }
        let decision = decided(&past.seen, past.now);
        prop_assert_eq!(created(&decision), created(&without));
        let ready = find(&decision.status.conditions, READY).unwrap();
        prop_assert_eq!(ready.reason == "FutureSchedule", ready.status == "True");
        let next = carried_out(&past, &decision);
        prop_assert!(created(&decided(&next.seen, next.now)).is_empty());
    }
}
