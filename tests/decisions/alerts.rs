//! One policy's health: which alerts are on, what stands in the status for them, and who hears of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lifeboat::api::backup_policy::{Accept, DatabaseFacts};
use lifeboat::api::health::{AlertThresholds, Objectives, TimeThreshold};
use lifeboat::api::restore_drill::{DrillOutcome, DrillRecord, Rto, Select, Verdict};
use lifeboat::api::{BackupPolicyStatus, Reason, RestoreDrill, RestoreDrillStatus};
use lifeboat::cluster::decision::{Decision, Next};
use lifeboat::health::ALERTS;
use lifeboat::task::Retry;
use rstest::rstest;

use crate::fixtures::{self, at, ended, failure, success};
use crate::worlds::{BackupWorld, PolicyWorld, World, after, now, told};

const DAY: i64 = 86_400;

/// A RestoreDrill of the policy whose last run ended at `finished` and had this verdict; one that passed proves.
pub fn drilled(name: &str, verdict: Verdict, data: &str, finished: &str) -> RestoreDrill {
    let mut drill: RestoreDrill = serde_saphyr::from_str(&format!(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: RestoreDrill
metadata: {{name: {name}, namespace: shop, uid: uid-of-{name}, generation: 1, resourceVersion: '1'}}
spec: {{policyRef: {{name: orders}}}}
"
    ))
    .unwrap();
    let rto = Rto {
        total: 3_600,
        ..Rto::default()
    };
    let last = DrillOutcome {
        run: format!("{name}-{finished}"),
        due: at(finished),
        finished_at: at(finished),
        result: verdict,
        reason: match verdict {
            Verdict::Passed => "Succeeded",
            Verdict::Failed => "Differs",
            Verdict::Inconclusive => "NoRoom",
        }
        .to_owned(),
        message: format!("for the test: {}", verdict.as_str()),
        proves: verdict == Verdict::Passed,
        score: Some(100),
        backup: Some(format!("backup-of-{data}")),
        prefix: None,
        data_at: Some(at(data)),
        rto: Some(rto),
        tables: None,
        mismatches: Vec::new(),
        report_key: None,
    };
    drill.status = Some(RestoreDrillStatus {
        last: Some(last),
        ..RestoreDrillStatus::default()
    });
    drill
}

/// Created an hour before 02:00 and suspended, so that it stays as it is looked at.
pub fn policy() -> PolicyWorld {
    let mut world = PolicyWorld::new();
    world.0.policy.metadata.creation_timestamp = Some(Time(at("2026-11-21T01:00:00Z")));
    world.0.policy.spec.suspend = Some(true);
    world.settle(at("2026-11-21T01:00:00Z"));
    world
}

/// And backed up at 02:00.
fn backed_up() -> PolicyWorld {
    let mut world = policy();
    let mut run = BackupWorld::scheduled();
    run.settle(now());
    run.job_is(ended(Some(success())));
    run.settle(after(600));
    world.0.backups.push(run.seen.backup);
    world
}

pub fn proven() -> PolicyWorld {
    let mut world = backed_up();
    let passed = drilled(
        "weekly",
        Verdict::Passed,
        "2026-11-21T02:00:05Z",
        "2026-11-21T03:00:00Z",
    );
    world.0.drills.push(passed);
    world
}

pub fn healthy(decision: &Decision<BackupPolicyStatus>) -> String {
    told(&decision.status.conditions, "Healthy")
}

/// `+BackupOverdue`, `-BackupOverdue`: Events about alerts.
fn heard(decision: &Decision<BackupPolicyStatus>) -> Vec<String> {
    let notices = decision.notices.iter();
    let of_alerts = notices.filter(|n| ALERTS.contains(&n.reason));
    of_alerts
        .map(|n| format!("{}{}", if n.warning { '+' } else { '-' }, n.reason))
        .collect()
}

#[test]
fn p13_a_policy_is_healthy_only_with_a_backup_that_a_drill_has_proven() {
    let mut world = policy();
    let decision = world.settle(after(0));
    assert_eq!(healthy(&decision), "Unknown/Pending");
    world.0 = backed_up().0;
    let decision = world.look(after(900));
    assert_eq!(healthy(&decision), "False/NeverProven");
    assert_eq!(heard(&decision), ["+NeverProven"]);
    assert_eq!(decision.status.recovery_point, Some(now()));
    world.0.drills = proven().0.drills;
    let decision = world.look(after(4_000));
    assert_eq!(healthy(&decision), "True/Healthy");
    assert_eq!(heard(&decision), ["-NeverProven"]);
    let proven = decision.status.last_proven.unwrap();
    assert_eq!(proven.data_at, now());
    assert_eq!(proven.backup, "backup-of-2026-11-21T02:00:05Z");
}

/// G4: what the check found of rows that no dump holds is told until the policy accepts each by name.
#[test]
fn g4_rows_of_extensions_that_nobody_dumps_are_told_unless_they_are_accepted() {
    let mut world = proven();
    world.settle(after(9_000));
    let facts = DatabaseFacts {
        major: 17,
        extension_data: vec!["cron.runs".to_owned(), "public.added".to_owned()],
        ..DatabaseFacts::default()
    };
    let status = world.0.policy.status.as_mut().unwrap();
    status.database = Some(facts);
    let decision = world.look(after(9_010));
    assert_eq!(healthy(&decision), "False/ExtensionDataNotDumped");
    assert_eq!(heard(&decision), ["+ExtensionDataNotDumped"]);
    let message = &decision.status.alerts[0].message;
    assert!(message.contains("`cron.runs`, `public.added`"), "{message}");
    assert!(message.contains("spec.accept.extensionData"), "{message}");
    let mut accept = |tables: &[&str]| {
        let extension_data = tables.iter().map(|t| (*t).to_owned()).collect();
        world.0.policy.spec.accept = Some(Accept {
            extension_data,
            ..Accept::default()
        });
        world.look(after(9_020))
    };
    let some = accept(&["cron.runs"]);
    assert_eq!(healthy(&some), "False/ExtensionDataNotDumped");
    assert!(!some.status.alerts[0].message.contains("cron.runs"));
    let all = accept(&["cron.runs", "public.added"]);
    assert_eq!(healthy(&all), "True/Healthy");
    assert_eq!(heard(&all), ["-ExtensionDataNotDumped"]);
}

/// G3: so is what else no dump holds.
#[test]
fn g3_what_no_dump_holds_is_told_unless_it_is_accepted() {
    let mut world = proven();
    world.settle(after(9_000));
    let status = world.0.policy.status.as_mut().unwrap();
    status.database = Some(DatabaseFacts {
        major: 17,
        not_dumped: vec!["tablespace fast".to_owned(), "index public.i".to_owned()],
        ..DatabaseFacts::default()
    });
    let decision = world.look(after(9_010));
    assert_eq!(healthy(&decision), "False/NotDumped");
    let message = &decision.status.alerts[0].message;
    assert!(
        message.contains("`tablespace fast`, `index public.i`"),
        "{message}"
    );
    assert!(message.contains("spec.accept.notDumped"), "{message}");
    world.0.policy.spec.accept = Some(Accept {
        extension_data: Vec::new(),
        not_dumped: vec!["tablespace fast".to_owned(), "index public.i".to_owned()],
    });
    assert_eq!(healthy(&world.look(after(9_020))), "True/Healthy");
}

/// G3: what a server warns of at login is told with its date, in good time.
#[test]
fn g3_a_password_that_expires_is_told_with_its_date_before_it_does() {
    let mut world = proven();
    world.settle(after(9_000));
    let status = world.0.policy.status.as_mut().unwrap();
    status.database = Some(DatabaseFacts {
        major: 17,
        password_expires: Some(after(9_000 + 20 * 86_400)),
        ..DatabaseFacts::default()
    });
    assert_eq!(healthy(&world.look(after(9_010))), "True/Healthy");
    let soon = |days: i64| Some(after(9_010 + days * 86_400));
    let mut told = |days| {
        let status = world.0.policy.status.as_mut().unwrap();
        status.database.as_mut().unwrap().password_expires = soon(days);
        let decision = world.look(after(9_020));
        let alert = decision.status.alerts.into_iter().next().unwrap();
        assert_eq!(alert.name, "PasswordExpires");
        assert!(alert.message.contains("expires at 20"), "{}", alert.message);
        alert.severity.as_str().to_owned()
    };
    assert_eq!(told(13), "Warning");
    assert_eq!(told(2), "Critical");
}

#[test]
fn p13_never_succeeded_is_overdue() {
    let mut world = policy();
    let created = at("2026-11-21T01:00:00Z");
    // A daily backup at 02:00: 1.1 days, and the deadline.
    let limit = created + jiff::SignedDuration::from_secs(28 * 3_600 + 24 * 60);
    let before = world.settle(limit - jiff::SignedDuration::from_secs(1));
    assert_eq!(healthy(&before), "Unknown/Pending");
    assert_eq!(
        before.next,
        Next::At(limit),
        "nobody has to ask again and again"
    );
    let decision = world.look(limit);
    assert_eq!(healthy(&decision), "False/BackupOverdue");
    assert_eq!(heard(&decision), ["+BackupOverdue"]);
    let alert = &decision.status.alerts[0];
    assert_eq!(alert.since, limit);
    assert_eq!(
        alert.message,
        "no backup has been completed since 2026-11-21T01:00:00Z; there should be one within 28h24m; the policy is suspended"
    );
}

#[test]
fn an_alert_is_told_when_it_comes_worsens_and_goes_and_not_between() {
    let mut world = proven();
    world.0.policy.spec.alerts = Some(AlertThresholds {
        backup_age: Some(TimeThreshold {
            warning: Some("2d".to_owned()),
            critical: Some("4d".to_owned()),
        }),
        ..AlertThresholds::default()
    });
    let mut all = Vec::new();
    for day in 0..6 {
        all.push(heard(&world.settle_telling(after(day * DAY + 3_600))));
    }
    let none: [&str; 0] = [];
    let came = vec!["+BackupOverdue".to_owned()];
    assert_eq!(all[..2], [none, none]);
    assert_eq!((&all[2], &all[4]), (&came, &came));
    assert_eq!((all[3].len(), all[5].len()), (0, 0));
}

#[rstest]
#[case::failed(Verdict::Failed, "False/DrillFailed")]
#[case::could_not_tell(Verdict::Inconclusive, "False/DrillInconclusive")]
#[case::passed(Verdict::Passed, "True/Healthy")]
fn p10_what_a_drill_says_is_the_policys_health(#[case] verdict: Verdict, #[case] want: &str) {
    let mut world = proven();
    let other = drilled(
        "daily",
        verdict,
        "2026-11-21T02:00:05Z",
        "2026-11-21T04:00:00Z",
    );
    world.0.drills.push(other);
    assert_eq!(healthy(&world.settle(after(9_000))), want);
    // The other one's proof stands, whatever this one says.
    assert!(world.status().unwrap().last_proven.is_some());
}

#[test]
fn the_newest_proof_stays_when_its_drill_goes_or_proves_an_older_backup() {
    let mut world = proven();
    let first = world.settle(after(9_000)).status.last_proven;
    world.0.drills = vec![drilled(
        "old",
        Verdict::Passed,
        "2026-11-20T02:00:00Z",
        "2026-11-21T05:00:00Z",
    )];
    assert_eq!(world.settle(after(12_000)).status.last_proven, first);
    world.0.drills.clear();
    assert_eq!(world.settle(after(13_000)).status.last_proven, first);
    // A run that is only history counts like the last one.
    let mut newer = drilled(
        "new",
        Verdict::Failed,
        "2026-11-22T02:00:00Z",
        "2026-11-22T05:00:00Z",
    );
    newer.status.as_mut().unwrap().history.push(DrillRecord {
        run: "new-1".to_owned(),
        finished_at: at("2026-11-22T04:00:00Z"),
        result: Verdict::Passed,
        reason: "Succeeded".to_owned(),
        proves: true,
        score: Some(100),
        rto: Some(60),
        backup: Some("newer".to_owned()),
        data_at: Some(at("2026-11-22T02:00:00Z")),
    });
    world.0.drills = vec![newer];
    let last = world.settle(after(2 * DAY)).status.last_proven.unwrap();
    assert_eq!(
        (last.backup.as_str(), last.run.as_str()),
        ("newer", "new-1")
    );
}

#[test]
fn a_drill_of_another_folder_and_one_that_compared_less_prove_nothing() {
    let mut world = backed_up();
    let mut elsewhere = proven().0.drills.remove(0);
    elsewhere.spec.select = Some(Select {
        prefix: Some("shop.other".to_owned()),
        ..Select::default()
    });
    let mut partial = proven().0.drills.remove(0);
    partial
        .status
        .as_mut()
        .unwrap()
        .last
        .as_mut()
        .unwrap()
        .proves = false;
    world.0.drills = vec![elsewhere, partial];
    let decision = world.settle(after(9_000));
    assert_eq!(healthy(&decision), "False/NeverProven");
    assert_eq!(decision.status.last_proven, None);
}

#[test]
fn failures_and_objectives_are_told_beside_each_other() {
    let mut world = proven();
    let mut run = BackupWorld::of(fixtures::manual("mine", "2026-11-21T03:00:00Z"));
    run.settle(after(4_000));
    run.job_is(ended(Some(failure(Reason::PermissionDenied, Retry::Never))));
    run.settle(after(4_060));
    world.0.backups.push(run.seen.backup);
    world.0.policy.spec.objectives = Some(Objectives {
        rpo: Some("6h".to_owned()),
        rto: Some("40m".to_owned()),
    });
    let decision = world.settle(after(5_000));
    let alerts = &decision.status.alerts;
    let names: Vec<String> = alerts
        .iter()
        .map(|a| format!("{}/{}", a.name, a.severity.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            "FailureRateHigh/Critical",
            "RtoExceeded/Warning",
            "ObjectiveUnreachable/Warning"
        ]
    );
    assert_eq!(
        alerts[0].message,
        "1 of 2 backups of the last 7 days failed; the limit is 15 %"
    );
    // Policies and people of another time say nothing of this one.
    world.0.policy.metadata.creation_timestamp = Some(Time(after(4_500)));
    let decision = world.settle(after(5_000));
    assert!(
        decision
            .status
            .alerts
            .iter()
            .all(|a| a.name != "FailureRateHigh")
    );
}

#[test]
fn p13_a_spec_that_is_wrong_is_not_healthy_and_what_was_wrong_stays_wrong() {
    let mut world = proven();
    world.settle(after(9_000));
    world.0.policy.spec.time_zone = Some("Mars/Olympus".to_owned());
    assert_eq!(healthy(&world.settle(after(9_000))), "Unknown/InvalidSpec");
    let mut world = backed_up();
    let before = world.settle(after(9_000)).status.alerts;
    world.0.policy.spec.time_zone = Some("Mars/Olympus".to_owned());
    let decision = world.settle(after(9_100));
    assert_eq!(healthy(&decision), "False/NeverProven");
    assert_eq!(decision.status.alerts, before);
}

impl PolicyWorld {
    /// As `settle`, and answers the first decision: the one that tells.
    fn settle_telling(&mut self, time: Timestamp) -> Decision<BackupPolicyStatus> {
        let first = self.look(time);
        self.settle(time);
        first
    }
}

/// Who is called at night finds a page, and no page speaks of what there is not.
#[test]
fn every_alert_has_its_runbook() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runbooks");
    let index = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    let mut pages: BTreeSet<String> = names.collect();
    assert!(pages.remove("README.md"));
    let wanted: BTreeSet<String> = ALERTS.iter().map(|name| format!("{name}.md")).collect();
    assert_eq!(pages, wanted);
    for name in ALERTS {
        assert!(index.contains(&format!("[{name}]({name}.md)")), "{name}");
        let page = std::fs::read_to_string(format!("{folder}/{name}.md")).unwrap();
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        for part in ["## What it means", "## How to see it", "## What to do"] {
            assert!(page.contains(part), "{name}: {part}");
        }
    }
}
