//! Thresholds, hysteresis and sentences.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;

use super::signals::{Done, End, Told, Took};
use super::*;
use crate::api::Reason;
use crate::api::condition::Truth;
use crate::api::health::{Alert, AlertThresholds, LastProven, Objectives, Severity, TimeThreshold};
use crate::schedule::{Cron, Tiers};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn now() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn tiers(crons: &[&str]) -> Tiers {
    let named = |(i, cron): (usize, &&str)| (format!("t{i}"), Cron::parse(cron).unwrap());
    Tiers::new(crons.iter().enumerate().map(named).collect())
}

/// A policy that goes well: backed up an hour ago, proven yesterday.
fn well(tiers: &Tiers) -> Signals<'_> {
    Signals {
        created: Some(ago(100 * DAY)),
        suspended: false,
        tiers,
        deadline: Duration::from_secs(7_200),
        backup: Some(Done {
            name: "orders-1".to_owned(),
            at: ago(HOUR),
        }),
        took: Some(Took {
            name: "orders-1".to_owned(),
            seconds: 300,
        }),
        recovery_point: Some(ago(HOUR + 300)),
        proven: Some(proven(DAY)),
        ended: vec![End {
            at: ago(HOUR),
            failed: false,
        }],
        restore: Some(Took {
            name: "weekly-1".to_owned(),
            seconds: 3_600,
        }),
        failed: Vec::new(),
        not_dumped: Vec::new(),
        left_out: Vec::new(),
        password_expires: None,
        inconclusive: Vec::new(),
        by_script: Vec::new(),
    }
}

fn proven(age: i64) -> LastProven {
    LastProven {
        backup: "orders-0".to_owned(),
        data_at: ago(age),
        proven_at: ago(age - 60),
        run: "weekly-1".to_owned(),
    }
}

fn rules(rpo: Option<&str>, rto: Option<&str>) -> Rules {
    let [rpo, rto] = [rpo, rto].map(|objective| objective.map(str::to_owned));
    let objectives = Objectives { rpo, rto };
    Rules::parse(Some(&objectives), None).unwrap()
}

fn on(name: Reason, severity: Severity) -> Vec<Alert> {
    vec![Alert {
        name: name.as_str().to_owned(),
        severity,
        since: ago(DAY),
        message: String::new(),
    }]
}

/// `BackupOverdue/Warning`.
fn told(assessment: &Assessment) -> Vec<String> {
    let alerts = assessment.alerts.iter();
    alerts
        .map(|a| format!("{}/{}", a.name, a.severity.as_str()))
        .collect()
}

fn one(name: &str, severity: Option<&str>) -> Vec<String> {
    severity.iter().map(|s| format!("{name}/{s}")).collect()
}

#[test]
fn a_policy_that_goes_well_is_healthy_and_says_when_that_may_end() {
    let daily = tiers(&["0 2 * * *"]);
    let found = assess(&rules(None, None), &well(&daily), &[], now());
    assert_eq!(found.alerts, []);
    assert_eq!(condition(&found).0, Truth::True);
    assert_eq!(condition(&found).1, Reason::Healthy);
    // The backup's 26 hours: then the schedule is measured.
    assert_eq!(found.next, Some(ago(HOUR - 26 * HOUR)));
}

#[rstest]
#[case::daily(&["0 2 * * *"], 28 * HOUR + 24 * 60, 56 * HOUR + 48 * 60)]
#[case::six_hourly(&["0 */6 * * *"], 26 * HOUR, 48 * HOUR)]
#[case::working_days(&["0 2 * * MON-FRI"], 81 * HOUR + 12 * 60, 162 * HOUR + 24 * 60)]
#[case::weekly_and_daily(&["0 1 * * SUN", "0 2 * * *"], 28 * HOUR + 24 * 60, 56 * HOUR + 48 * 60)]
fn the_age_of_the_newest_backup_has_its_limits_from_the_schedule(
    #[case] crons: &[&str],
    #[case] warning: i64,
    #[case] critical: i64,
) {
    let tiers = tiers(crons);
    for (age, want) in [
        (warning - 1, None),
        (warning, Some("Warning")),
        (critical - 1, Some("Warning")),
        (critical, Some("Critical")),
        (1_000 * DAY, Some("Critical")),
    ] {
        let mut signals = well(&tiers);
        signals.backup.as_mut().unwrap().at = ago(age);
        let found = assess(&rules(None, None), &signals, &[], now());
        assert_eq!(told(&found), one("BackupOverdue", want), "{age}");
        if want.is_none() {
            assert_eq!(found.next, Some(ago(age - warning)), "it comes on time");
        }
        // One that never succeeded is as late as its policy is old (P13).
        let never = Signals {
            backup: None,
            recovery_point: None,
            took: None,
            proven: None,
            created: Some(ago(age)),
            ..well(&tiers)
        };
        let found = assess(&rules(None, None), &never, &[], now());
        assert_eq!(told(&found), one("BackupOverdue", want), "never, {age}");
        let truth = want.map_or(Truth::Unknown, |_| Truth::False);
        assert_eq!(condition(&found).0, truth);
    }
}

#[test]
fn without_tiers_nothing_is_due_unless_a_limit_is_given() {
    let none = tiers(&[]);
    let mut signals = well(&none);
    signals.backup.as_mut().unwrap().at = ago(100 * DAY);
    assert_eq!(
        told(&assess(&rules(None, None), &signals, &[], now())),
        [""; 0]
    );
    let own = AlertThresholds {
        backup_age: Some(TimeThreshold {
            warning: Some("90d".to_owned()),
            critical: None,
        }),
        ..AlertThresholds::default()
    };
    let own = Rules::parse(None, Some(&own)).unwrap();
    let found = assess(&own, &signals, &[], now());
    assert_eq!(told(&found), ["BackupOverdue/Warning"]);
}

#[rstest]
#[case(8 * DAY - 1, None)]
#[case(8 * DAY, Some("Warning"))]
#[case(15 * DAY - 1, Some("Warning"))]
#[case(15 * DAY, Some("Critical"))]
fn the_newest_proof_grows_old(#[case] age: i64, #[case] want: Option<&str>) {
    let daily = tiers(&["0 2 * * *"]);
    let signals = Signals {
        proven: Some(proven(age)),
        ..well(&daily)
    };
    let found = assess(&rules(None, None), &signals, &[], now());
    assert_eq!(told(&found), one("ProofOverdue", want));
}

#[test]
fn a_server_whose_clock_runs_ahead_proves_nothing_for_the_future() {
    let daily = tiers(&["0 2 * * *"]);
    let ahead = LastProven {
        data_at: ago(-1_000 * DAY),
        ..proven(9 * DAY)
    };
    let signals = Signals {
        proven: Some(ahead),
        ..well(&daily)
    };
    let found = assess(&rules(None, None), &signals, &[], now());
    assert_eq!(told(&found), ["ProofOverdue/Warning"]);
}

#[test]
fn what_was_finished_in_the_future_was_not_seen() {
    let daily = tiers(&["0 2 * * *"]);
    let mut signals = well(&daily);
    signals.backup.as_mut().unwrap().at = ago(-2 * HOUR);
    signals.recovery_point = Some(ago(-2 * HOUR));
    let found = assess(&rules(Some("24h"), None), &signals, &[], now());
    assert_eq!(
        told(&found),
        ["BackupOverdue/Critical", "RecoveryPointOld/Critical"]
    );
    assert_eq!(found.next, Some(ago(-HOUR)), "then it may have been");
    signals.backup.as_mut().unwrap().at = ago(-HOUR);
    signals.recovery_point = Some(ago(-HOUR));
    let found = assess(&rules(Some("24h"), None), &signals, &[], now());
    assert_eq!(told(&found), [""; 0]);
}

#[test]
fn backups_that_nothing_has_proven_are_not_healthy() {
    let daily = tiers(&["0 2 * * *"]);
    let signals = Signals {
        proven: None,
        ..well(&daily)
    };
    let found = assess(&rules(None, None), &signals, &[], now());
    assert_eq!(told(&found), ["NeverProven/Warning"]);
    assert_eq!(condition(&found).1, Reason::NeverProven);
}

#[rstest]
#[case::none(0, 10, None)]
#[case::one_of_many(1, 21, None)]
#[case::five(1, 20, Some("Warning"))]
#[case::one_of_a_week(1, 7, Some("Warning"))]
#[case::fifteen(3, 20, Some("Critical"))]
#[case::all(1, 1, Some("Critical"))]
fn failures_count_over_seven_days(
    #[case] failed: usize,
    #[case] all: usize,
    #[case] want: Option<&str>,
) {
    let daily = tiers(&["0 2 * * *"]);
    let mut ended: Vec<End> = (0..all)
        .map(|i| End {
            at: ago(7 * DAY - 1),
            failed: i < failed,
        })
        .collect();
    // A day later than seven they no longer count.
    ended.extend(
        [End {
            at: ago(7 * DAY),
            failed: true,
        }; 50],
    );
    let signals = Signals {
        ended,
        ..well(&daily)
    };
    let found = assess(&rules(None, None), &signals, &[], now());
    assert_eq!(told(&found), one("FailureRateHigh", want));
    let soon = Some(ago(-1)).filter(|_| failed > 0);
    assert!(
        soon.is_none() || found.next == soon,
        "the share changes then"
    );
}

#[rstest]
#[case(1_799, None)]
#[case(1_800, Some("Warning"))]
#[case(7_200, Some("Critical"))]
fn a_backup_takes_long(#[case] seconds: u64, #[case] want: Option<&str>) {
    let daily = tiers(&["0 2 * * *"]);
    let mut signals = well(&daily);
    signals.took.as_mut().unwrap().seconds = seconds;
    let found = assess(&rules(None, None), &signals, &[], now());
    assert_eq!(told(&found), one("BackupSlow", want));
}

#[rstest]
#[case(12 * HOUR - 1, None)]
#[case(12 * HOUR, Some("Warning"))]
#[case(24 * HOUR, Some("Critical"))]
fn data_older_than_twice_the_objective_is_told(#[case] age: i64, #[case] want: Option<&str>) {
    let six_hourly = tiers(&["0 */6 * * *"]);
    let signals = Signals {
        recovery_point: Some(ago(age)),
        ..well(&six_hourly)
    };
    let found = assess(&rules(Some("6h"), None), &signals, &[], now());
    assert_eq!(told(&found), one("RecoveryPointOld", want));
    let found = assess(&rules(None, None), &signals, &[], now());
    assert_eq!(told(&found), [""; 0], "no objective, no alert");
}

#[rstest]
#[case(5_399, None)]
#[case(5_400, Some("Warning"))]
#[case(10_800, Some("Critical"))]
fn a_restore_slower_than_the_objective_is_told(#[case] seconds: u64, #[case] want: Option<&str>) {
    let daily = tiers(&["0 2 * * *"]);
    let mut signals = well(&daily);
    signals.restore.as_mut().unwrap().seconds = seconds;
    let found = assess(&rules(None, Some("1h")), &signals, &[], now());
    assert_eq!(told(&found), one("RtoExceeded", want));
    let found = assess(&rules(None, None), &signals, &[], now());
    assert_eq!(told(&found), [""; 0], "no objective, no alert");
}

#[rstest]
#[case::kept(&["0 */6 * * *"], "6h", None)]
#[case::between_two(&["0 2 * * *", "0 14 * * *"], "12h", None)]
#[case::too_rare(&["0 2 * * *"], "6h", Some("the tiers leave up to 24h between two backups"))]
#[case::weekends(&["0 * * * MON-FRI"], "24h", Some("the tiers leave up to 49h between"))]
#[case::summer(&["0 2 * 1-6,9-12 *"], "24h", Some("the tiers leave up to 63d between"))]
#[case::none(&[], "6h", Some("without tiers no backup is ever due"))]
fn a_schedule_that_cannot_keep_the_objective_is_told_at_once(
    #[case] crons: &[&str],
    #[case] rpo: &str,
    #[case] want: Option<&str>,
) {
    let tiers = tiers(crons);
    let found = assess(&rules(Some(rpo), None), &well(&tiers), &[], now());
    assert_eq!(
        told(&found),
        one("ObjectiveUnreachable", want.map(|_| "Warning"))
    );
    let says = want.is_none_or(|want| found.alerts[0].message.contains(want));
    assert!(says, "{:?}", found.alerts);
}

#[test]
fn drills_that_failed_come_before_those_that_could_not_tell() {
    let daily = tiers(&["0 2 * * *"]);
    let message = "because\u{1b}[31m".to_owned() + &"x".repeat(5_000);
    let told_by = |drill: &str| {
        let (drill, message) = (drill.to_owned(), message.clone());
        Told { drill, message }
    };
    let signals = Signals {
        failed: vec![told_by("a"), told_by("b")],
        inconclusive: vec![told_by("c")],
        by_script: vec![told_by("d")],
        proven: None,
        ..well(&daily)
    };
    let found = assess(&rules(None, None), &signals, &[], now());
    let of_drills = [
        "DrillFailed/Critical",
        "DrillInconclusive/Warning",
        "BreakGlassFailed/Warning",
    ];
    assert_eq!(told(&found)[..3], of_drills);
    let message = &found.alerts[0].message;
    let begins = "besides `b`: RestoreDrill `a`: because[31mx";
    assert!(message.starts_with(begins), "{message}");
    assert!(found.alerts.iter().all(|a| a.message.len() <= 1_024));
    let (truth, reason, message) = condition(&found);
    assert_eq!((truth, reason), (Truth::False, Reason::DrillFailed));
    assert!(message.ends_with("; also: DrillInconclusive, BreakGlassFailed, NeverProven"));
}

#[test]
fn an_alert_keeps_the_time_at_which_it_came() {
    let daily = tiers(&["0 2 * * *"]);
    let mut signals = well(&daily);
    signals.took.as_mut().unwrap().seconds = 7_200;
    let before = on(Reason::BackupSlow, Severity::Warning);
    let found = assess(&rules(None, None), &signals, &before, now());
    assert_eq!(told(&found), ["BackupSlow/Critical"]);
    assert_eq!(found.alerts[0].since, ago(DAY));
    let again = assess(&rules(None, None), &signals, &found.alerts, now());
    assert_eq!(again, found);
}

#[rstest]
#[case::came(None, Some(Severity::Warning), Some((true, "Warning: ")))]
#[case::worsened(Some(Severity::Warning), Some(Severity::Critical), Some((true, "Critical: ")))]
#[case::bettered(Some(Severity::Critical), Some(Severity::Warning), None)]
#[case::went(Some(Severity::Warning), None, Some((false, "BackupSlow is over")))]
#[case::stays(Some(Severity::Warning), Some(Severity::Warning), None)]
fn people_hear_what_came_worsened_or_went(
    #[case] before: Option<Severity>,
    #[case] after: Option<Severity>,
    #[case] want: Option<(bool, &str)>,
) {
    let state = |severity: Option<Severity>| {
        severity.map_or(Vec::new(), |severity| on(Reason::BackupSlow, severity))
    };
    let notices = notices(&state(before), &state(after));
    let heard = notices.first().map(|n| (n.warning, n.message.as_str()));
    assert_eq!(heard, want);
}
