//! What drills say of the backups they drilled: the condition `Proven`.

use jiff::Timestamp;
use lifeboat::api::restore_drill::{DrillOutcome, DrillRecord, Verdict};
use lifeboat::api::{Reason, RestoreDrill};
use lifeboat::drill::proven::{Proof, of_backup};
use rstest::rstest;

use crate::fixtures::{self, at, ended, success};
use crate::worlds::{BackupWorld, World, after, effects, now, told};

const BACKUP: &str = "orders-20261121t0200z";

/// A complete Backup at rest.
fn complete() -> BackupWorld {
    let mut world = BackupWorld::scheduled();
    world.settle(now());
    world.job_is(ended(Some(success())));
    world.settle(after(60));
    world
}

fn record(run: &str, result: Verdict, finished: Timestamp) -> DrillRecord {
    DrillRecord {
        run: run.to_owned(),
        finished_at: finished,
        result,
        reason: match result {
            Verdict::Passed => "Succeeded",
            Verdict::Failed => "Differs",
            Verdict::Inconclusive => "NoRoom",
        }
        .to_owned(),
        proves: result == Verdict::Passed,
        score: None,
        rto: None,
        backup: Some(BACKUP.to_owned()),
        data_at: Some(after(10)),
    }
}

fn drill(name: &str, history: Vec<DrillRecord>) -> RestoreDrill {
    let mut drill = fixtures::drill(name, "deadline: 1h");
    drill.status.get_or_insert_default().history = history;
    drill
}

fn told_by(world: &mut BackupWorld, drills: &[RestoreDrill], time: Timestamp) -> String {
    world.seen.proof = of_backup(&world.seen.backup, drills);
    let decision = world.settle(time);
    assert_eq!(effects(&decision), [""; 0]);
    told(&decision.status.conditions, "Proven")
}

#[test]
fn a_backup_is_proven_by_a_drill_and_unproven_by_a_later_one() {
    let mut world = complete();
    assert_eq!(told_by(&mut world, &[], after(90)), "absent");
    let before = world.status().cloned().unwrap();
    let first = record("first", Verdict::Passed, after(1_000));
    assert_eq!(
        told_by(&mut world, &[drill("a", vec![first.clone()])], after(1_001)),
        "True/Succeeded"
    );
    let proven = world.status().cloned().unwrap();
    let said = proven.conditions.last().unwrap();
    assert_eq!(
        said.message,
        "drill run `first` restored it whole and equal at 2026-11-21T02:16:45Z"
    );
    let rest = &proven.conditions[..before.conditions.len()];
    assert_eq!(rest, before.conditions, "nothing else changed");
    let second = record("second", Verdict::Failed, after(2_000));
    let both = [drill("a", vec![first]), drill("b", vec![second])];
    assert_eq!(told_by(&mut world, &both, after(2_001)), "False/Differs");
    assert_eq!(
        told_by(&mut world, &[], after(3_000)),
        "False/Differs",
        "a drill that is gone takes nothing back"
    );
}

#[test]
fn an_older_word_does_not_turn_what_a_newer_one_said() {
    let mut world = complete();
    let newer = record("newer", Verdict::Failed, after(5_000));
    let older = record("older", Verdict::Passed, after(1_000));
    told_by(&mut world, &[drill("a", vec![newer])], after(5_001));
    assert_eq!(
        told_by(&mut world, &[drill("b", vec![older])], after(6_000)),
        "False/Differs"
    );
}

/// What says nothing of this backup.
#[rstest]
#[case::could_not_tell(|d: &mut RestoreDrill| last(d).result = Verdict::Inconclusive)]
#[case::of_another(|d: &mut RestoreDrill| last(d).backup = Some("orders-20261120t0200z".to_owned()))]
#[case::of_another_time(|d: &mut RestoreDrill| last(d).data_at = Some(at("2025-01-01T00:00:00Z")))]
#[case::of_no_time(|d: &mut RestoreDrill| last(d).data_at = None)]
#[case::of_another_policy(|d: &mut RestoreDrill| d.spec.policy_ref.name = "other".to_owned())]
#[case::of_another_namespace(|d: &mut RestoreDrill| d.metadata.namespace = Some("other".to_owned()))]
#[case::below_another_folder(|d: &mut RestoreDrill| d.spec.select.get_or_insert_default().prefix = Some("copy".to_owned()))]
#[case::in_another_folder(|d: &mut RestoreDrill| {
    let record = last(d).clone();
    d.status.as_mut().unwrap().last = Some(DrillOutcome {
        run: record.run,
        due: now(),
        finished_at: record.finished_at,
        result: Verdict::Passed,
        reason: record.reason,
        message: String::new(),
        proves: true,
        score: None,
        backup: record.backup,
        prefix: Some("elsewhere/20261121T020000Z-0a1b2c3d4e5f".to_owned()),
        data_at: record.data_at,
        rto: None,
        tables: None,
        mismatches: Vec::new(),
        report_key: None,
    });
})]
fn what_speaks_of_something_else_says_nothing(#[case] change: fn(&mut RestoreDrill)) {
    let mut drill = drill("a", vec![record("run", Verdict::Passed, after(1_000))]);
    assert!(of_backup(&complete().seen.backup, [&drill]).is_some());
    change(&mut drill);
    if last(&mut drill).result == Verdict::Inconclusive {
        last(&mut drill).proves = false;
    }
    assert_eq!(of_backup(&complete().seen.backup, [&drill]), None);
}

fn last(drill: &mut RestoreDrill) -> &mut DrillRecord {
    &mut drill.status.as_mut().unwrap().history[0]
}

#[test]
fn only_a_complete_backup_is_proven() {
    let proof = Some(Proof {
        proves: true,
        run: "run".to_owned(),
        at: after(1_000),
        reason: Reason::Succeeded,
    });
    let mut world = BackupWorld::scheduled();
    world.seen.proof = proof;
    let started = world.settle(now());
    assert_eq!(told(&started.status.conditions, "Proven"), "absent");
    world.job_is(ended(Some(fixtures::failure(
        Reason::SecretMissing,
        lifeboat::task::Retry::Never,
    ))));
    let failed = world.settle(after(10)).status;
    assert_eq!(told(&failed.conditions, "Proven"), "absent");
}
