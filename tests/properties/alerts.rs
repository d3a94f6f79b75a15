//! P13 and DESIGN §8: what holds of alerts for every policy. An alert never goes while its value is above the threshold,
//! what is worse is never told as better, and what is decided twice is decided alike.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lifeboat::api::health::{Alert, LastProven, Objectives, Severity};
use lifeboat::health::signals::{Done, End, Took};
use lifeboat::health::{ALERTS, Limits, Rules, Signals, assess, condition, level, notices};
use lifeboat::schedule::{Cron, Tiers, Zone, longest_gap, next_after};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;
use crate::fixtures::at;

const CRONS: [&str; 6] = [
    "0 2 * * *",
    "*/20 * * * *",
    "0 9-17 * * MON-FRI",
    "30 2 * * SUN",
    "0 */6 * * *",
    "0 1 1 * *",
];

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let objectives = Objectives {
        rpo: Some("6h".to_owned()),
        rto: Some("4h".to_owned()),
    };
    Rules::parse(Some(&objectives), None).unwrap()
});

fn now() -> Timestamp {
    at("2026-11-21T02:00:00Z")
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn tiers(crons: &[&str]) -> Tiers {
    let named = crons.iter().enumerate();
    Tiers::new(
        named
            .map(|(i, cron)| (format!("t{i}"), Cron::parse(cron).unwrap()))
            .collect(),
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    (1_u64..1_000_000, 0_u64..1_000_000).prop_map(|(warning, more)| Limits {
        warning,
        critical: warning + more,
    })
}

fn severity() -> impl Strategy<Value = Option<Severity>> {
    of(select(&Severity::ALL[..]))
}

/// Signals without their schedule: those borrow it.
#[derive(Debug, Clone)]
struct Past {
    crons: Vec<&'static str>,
    created: i64,
    backup: Option<i64>,
    proven: Option<i64>,
    took: u64,
    restore: Option<u64>,
    ended: Vec<(i64, bool)>,
    before: Vec<Alert>,
}

fn past() -> impl Strategy<Value = Past> {
    // Half a day ahead to a bit more than a month: clocks differ, and schedules are rare.
    let age = || -43_200_i64..3_000_000;
    let tiers = vec(select(&CRONS[..]), 0..3);
    let took = (0_u64..10_000, of(0_u64..60_000));
    let ended = vec((age(), any::<bool>()), 0..6);
    let before = vec((select(&ALERTS[..]), select(&Severity::ALL[..])), 0..4);
    (tiers, age(), of(age()), of(age()), took, ended, before).prop_map(
        |(crons, created, backup, proven, took, ended, before)| Past {
            crons,
            created,
            backup,
            proven,
            took: took.0,
            restore: took.1,
            ended,
            before: before
                .into_iter()
                .map(|(name, severity)| Alert {
                    name: name.as_str().to_owned(),
                    severity,
                    since: ago(100),
                    message: String::new(),
                })
                .collect(),
        },
    )
}

impl Past {
    fn signals<'a>(&self, tiers: &'a Tiers) -> Signals<'a> {
        let took = |seconds| Took {
            name: "x".to_owned(),
            seconds,
        };
        Signals {
            created: Some(ago(self.created)),
            suspended: false,
            not_dumped: Vec::new(),
            left_out: Vec::new(),
            password_expires: None,
            tiers,
            deadline: Duration::from_secs(7_200),
            backup: self.backup.map(|age| Done {
                name: "x".to_owned(),
                at: ago(age),
            }),
            took: self.backup.map(|_| took(self.took)),
            recovery_point: self.backup.map(ago),
            proven: self.proven.map(|age| LastProven {
                backup: "x".to_owned(),
                data_at: ago(age),
                proven_at: ago(age),
                run: "r".to_owned(),
            }),
            ended: self
                .ended
                .iter()
                .map(|(age, failed)| End {
                    at: ago(*age),
                    failed: *failed,
                })
                .collect(),
            restore: self.restore.map(took),
            failed: Vec::new(),
            inconclusive: Vec::new(),
            by_script: Vec::new(),
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn an_alert_never_goes_while_its_value_is_above_the_threshold(limits in limits(), value in 0_u64..2_000_000, before in severity()) {
        let found = level(value, limits, before);
        prop_assert_eq!(found.is_some() || value < limits.warning, true);
        prop_assert_eq!(found == Some(Severity::Critical) || value < limits.critical, true);
        // It does not come by itself either, and one that was off has no memory.
        if value < limits.warning {
            prop_assert!(found <= before);
        }
        prop_assert!(found >= level(value, limits, None));
    }

    #[test]
    fn what_is_worse_is_never_told_as_better(limits in limits(), values in (0_u64..2_000_000, 0_u64..2_000_000), before in severity()) {
        let (low, high) = (values.0.min(values.1), values.0.max(values.1));
        prop_assert!(level(low, limits, before) <= level(high, limits, before));
        prop_assert_eq!(level(low, limits, level(low, limits, before)), level(low, limits, before));
    }

    #[test]
    fn what_is_decided_twice_is_decided_alike(past in past()) {
        let tiers = tiers(&past.crons);
        let signals = past.signals(&tiers);
        let first = assess(&RULES, &signals, &past.before, now());
        let second = assess(&RULES, &signals, &first.alerts, now());
        prop_assert_eq!(&first, &second);
        prop_assert!(notices(&first.alerts, &second.alerts).is_empty());
        // Worst first, each at most once, and never healthy with one on or without a backup and a proof (P13).
        prop_assert!(first.alerts.windows(2).all(|pair| pair[0].severity >= pair[1].severity));
        let healthy = condition(&first).0.as_str() == "True";
        prop_assert!(!healthy || (first.alerts.is_empty() && past.backup.is_some() && past.proven.is_some()));
    }

    #[test]
    fn nothing_changes_before_the_time_that_was_named(past in past(), share in 0_i32..100) {
        let tiers = tiers(&past.crons);
        let signals = past.signals(&tiers);
        let first = assess(&RULES, &signals, &past.before, now());
        let settled = assess(&RULES, &signals, &first.alerts, now());
        let horizon = settled.next.unwrap_or(now() + SignedDuration::from_hours(1_000));
        prop_assert!(horizon > now());
        let between = now() + horizon.duration_since(now()) * share / 100;
        let then = assess(&RULES, &signals, &settled.alerts, between);
        prop_assert_eq!(then.alerts, settled.alerts);
    }
}

proptest! {
    #![proptest_config(cases(60))]

    /// The jumps find what counting every due time finds.
    #[test]
    fn the_longest_gap_is_no_longer_and_no_shorter_than_any(crons in vec(select(&CRONS[..]), 1..3), least in 0_u64..100_000) {
        let tiers = tiers(&crons);
        let parsed: Vec<Cron> = crons.iter().map(|cron| Cron::parse(cron).unwrap()).collect();
        let zone = Zone::utc();
        let next = |after| parsed.iter().filter_map(|cron| next_after(cron, &zone, after)).min().unwrap();
        let start = next(at("2024-01-01T00:00:00Z"));
        let end = start + SignedDuration::from_hours(40 * 24);
        let (mut time, mut longest) = (start, Duration::ZERO);
        while time <= end {
            let due = next(time);
            longest = longest.max(Duration::try_from(due.duration_since(time)).unwrap());
            time = due;
        }
        let found = longest_gap(&tiers, Duration::from_secs(least));
        if longest.as_secs() < 7 * 86_400 {
            prop_assert_eq!(found, Some(longest).filter(|gap| gap.as_secs() > least));
        } else {
            prop_assert!(found >= Some(longest));
        }
    }
}
