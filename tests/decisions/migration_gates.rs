//! What stands between a plan and the database: a proven backup, a rehearsal, somebody's word.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lifeboat::api::condition::Truth;
use lifeboat::api::restore_drill::{CompareContent, Verdict};
use lifeboat::api::{MigrationApproval, Reason};
use lifeboat::task::{Retry, TaskResult};
use rstest::rstest;

use crate::fixtures::at;
use crate::migration_world::{
    RunWorld, WINDOW, applied, backup, planned, rehearsed, run, said, said_but,
};
use crate::migrations::{gates, message, ready};
use crate::worlds::{World, after, now};
use lifeboat::cluster::decision::Next;

fn after_the_plan(backups: Vec<lifeboat::api::Backup>) -> RunWorld {
    let mut world = RunWorld::new();
    world.seen.backups = backups;
    world.settle(now());
    world.ends(10, Some(planned()));
    world
}

#[test]
fn m7_a_fresh_backup_is_drilled_where_none_is_proven() {
    let old = backup("old", "2026-11-19T01:00:00Z", Truth::True);
    let failed = backup("failed", "2026-11-21T01:30:00Z", Truth::False);
    let fresh = backup("fresh", "2026-11-21T01:00:00Z", Truth::Unknown);
    let mut world = after_the_plan(vec![old, failed, fresh]);
    assert_eq!(world.made, ["index-gate"]);
    let drill = world.seen.gate_drills[0].clone();
    assert_eq!(drill.spec.select.unwrap().backup.as_deref(), Some("fresh"));
    assert!(drill.spec.schedule.is_none() && drill.spec.compare.is_none());
    assert_eq!(drill.spec.identity_ref.unwrap().name, "age-key");
    assert_eq!(
        drill.metadata.owner_references.unwrap()[0].kind,
        "MigrationRun"
    );
    let sampled = world.seen.drill.clone().unwrap().spec.compare.unwrap();
    assert_eq!(
        sampled.content,
        Some(CompareContent::Sample),
        "and less proves nothing"
    );
    assert_eq!(gates(&world)[1], "Unknown/Pending");
    world.drill_ends(Verdict::Passed, true);
    world.settle(after(20));
    assert!(
        message(&world).contains("about to say so"),
        "{}",
        message(&world)
    );
    let mut never = world.clone();
    never.settle(after(400));
    assert_eq!(ready(&never)[2], "True/DrillInconclusive", "not for ever");
    world.seen.backups[2] = backup("fresh", "2026-11-21T01:00:00Z", Truth::True);
    world.settle(after(21));
    assert_eq!(world.job(), "index-rehearse-1");
    let gate = world.status().unwrap().gate.clone().unwrap();
    assert!(gate.proven && gate.drill.as_deref() == Some("index-gate"));
}

#[test]
fn m7_a_backup_is_made_where_none_is_fresh() {
    let old = backup("old", "2026-11-20T03:00:00Z", Truth::True);
    let mut world = after_the_plan(vec![old]);
    assert_eq!(
        world.made,
        ["index-gate"],
        "23 h of 24 h leave no time to rehearse"
    );
    let made = world.seen.backups[1].clone();
    assert_eq!(
        serde_json::to_value(&made.spec).unwrap(),
        serde_json::json!({"policyRef": {"name": "orders"}, "reason": "PreMigration"})
    );
    assert!(made.metadata.owner_references.is_none(), "K24");
    assert!(lifeboat::backup::validate::validate(&made).is_ok());
    world.seen.backups[1] = backup("index-gate", "2026-11-21T02:00:00Z", Truth::Unknown);
    world.settle(after(300));
    assert_eq!(
        world.made,
        ["index-gate", "index-gate"],
        "and then it is drilled"
    );
}

#[rstest]
#[case::failed(Verdict::Failed, "DrillFailed")]
#[case::inconclusive(Verdict::Inconclusive, "Differs")]
#[case::partial(Verdict::Passed, "DrillInconclusive")]
fn m7_unknown_means_no(#[case] verdict: Verdict, #[case] reason: &str) {
    let fresh = backup("fresh", "2026-11-21T01:00:00Z", Truth::Unknown);
    let mut world = after_the_plan(vec![fresh]);
    world.drill_ends(verdict, false);
    world.settle(after(20));
    assert_eq!(gates(&world)[1], format!("False/{reason}"));
    assert_eq!(ready(&world)[2], format!("True/{reason}"));
    assert_eq!(world.seen.gate_drills.len(), 1, "a person looks into it");
}

#[test]
fn a_drill_or_backup_of_somebody_else_in_the_way_is_not_taken() {
    let fresh = backup("fresh", "2026-11-21T01:00:00Z", Truth::Unknown);
    let mut world = after_the_plan(vec![fresh]);
    world.seen.gate_drills[0].metadata.owner_references = None;
    world.drill_ends(Verdict::Passed, true);
    world.settle(after(20));
    assert_eq!(ready(&world)[2], "True/NameCollision");
    let mut world = after_the_plan(Vec::new());
    world.seen.backups[0].spec.policy_ref.name = "another".to_owned();
    world.settle(after(20));
    assert_eq!(ready(&world)[2], "True/NameCollision");
}

#[rstest]
#[case::failed(
    Verdict::Failed,
    Reason::StatementFailed,
    Retry::Never,
    "False/StatementFailed",
    true
)]
#[case::incomplete(
    Verdict::Inconclusive,
    Reason::ExtensionMissing,
    Retry::Never,
    "Unknown/Pending",
    true
)]
#[case::no_room(
    Verdict::Inconclusive,
    Reason::NoRoom,
    Retry::Later,
    "Unknown/NoRoom",
    false
)]
#[case::contradiction(
    Verdict::Passed,
    Reason::StatementFailed,
    Retry::Never,
    "Unknown/ProtocolError",
    false
)]
fn a_rehearsal_that_did_not_go_well_applies_nothing(
    #[case] verdict: Verdict,
    #[case] reason: Reason,
    #[case] retry: Retry,
    #[case] gate: &str,
    #[case] over: bool,
) {
    let mut world = RunWorld::new();
    world.settle(now());
    world.ends(10, Some(planned()));
    let result = TaskResult {
        reason,
        retry,
        ..said(rehearsed(verdict, 'b'))
    };
    world.ends(20, Some(result));
    let status = world.status().unwrap();
    assert_eq!(status.finished_at.is_some(), over);
    assert!(status.rehearsal.is_none() || verdict == Verdict::Failed);
    match over {
        true => assert_eq!(gates(&world)[2], format!("False/{reason}")),
        false => assert_eq!(gates(&world)[2], gate),
    }
}

#[rstest]
#[case::requester("ada", |_: &mut MigrationApproval| {}, "who asked for the run")]
#[case::of_another_requester("grace", |a: &mut MigrationApproval| "linus".clone_into(&mut a.spec.requested_by), "somebody else asked")]
#[case::robot("system:serviceaccount:ci:deploy", |_: &mut MigrationApproval| {}, "a ServiceAccount")]
#[case::run("grace", |a: &mut MigrationApproval| a.spec.run_uid = "x".to_owned(), "another run of that name")]
#[case::plan("grace", |a: &mut MigrationApproval| a.spec.plan_hash = "0".repeat(64), "the plan is another one")]
#[case::evidence("grace", |a: &mut MigrationApproval| a.spec.evidence_hash = "0".repeat(64), "the rehearsal showed something else")]
#[case::expired("grace", |a: &mut MigrationApproval| a.spec.expires = now(), "expired")]
#[case::for_ever("grace", |a: &mut MigrationApproval| a.spec.expires = after(8 * 86_400), "seven days")]
#[case::old("grace", |a: &mut MigrationApproval| a.metadata.creation_timestamp = Some(Time(at("2026-11-20T00:00:00Z"))), "older than the admission policies")]
fn m12_an_approval_that_does_not_count_is_listed_with_why(
    #[case] who: &str,
    #[case] spoil: fn(&mut MigrationApproval),
    #[case] why: &str,
) {
    let mut world = RunWorld::rehearsed();
    spoil(world.approve(who));
    let decision = world.look(after(30));
    assert!(
        decision.notices.iter().any(|n| n.warning),
        "{:?}",
        decision.notices
    );
    world.settle(after(30));
    let status = world.status().unwrap();
    assert_eq!(status.running, None);
    let void = status.approvals[0].void.clone().unwrap();
    assert!(void.contains(why), "{void}");
    assert_eq!(gates(&world)[3], "False/AwaitingApproval");
    world.approve("linus");
    world.settle(after(31));
    assert_eq!(world.status().unwrap().approvals[0].approver, "linus");
    assert_eq!(world.job(), "index-apply-1");
}

/// S3: who writes a commit may be who approves it: that a person has to look is said.
#[test]
fn a_run_that_a_service_account_asked_for_waits_for_a_person() {
    let robot = "system:serviceaccount:flux-system:deployer";
    let mut world = RunWorld::rehearsed();
    world.seen.run.spec.requested_by = robot.to_owned();
    world.settle(after(30));
    assert_eq!(ready(&world)[1], "True/AwaitingApproval");
    let told = message(&world);
    let words = format!("the approval of a person, since {robot} asked for it");
    assert!(told.contains(&words), "{told}");
}

#[test]
fn nobody_has_to_approve_where_the_spec_says_so() {
    let mut world = RunWorld::of(run("index", "7", &format!("approval: None\n  {WINDOW}")));
    world = world.rehearse();
    assert_eq!(world.job(), "index-apply-1");
}

#[rstest]
#[case::short("gate: {maxAge: 2m}", 100)]
#[case::five_minutes("gate: {maxAge: 5m}", 270)]
fn m7_a_backup_that_is_about_to_be_too_old_is_renewed_by_a_younger_one(
    #[case] gate: &str,
    #[case] seconds: i64,
) {
    let mut world = RunWorld::of(run("index", "7", &format!("{WINDOW}\n  {gate}")));
    world.seen.backups = vec![backup("orders-2", "2026-11-21T02:00:00Z", Truth::True)];
    let mut world = world.rehearse();
    world.approve("grace");
    world.settle(after(30));
    assert_eq!(world.job(), "index-apply-1", "it is fresh");
    let mut late = world.clone();
    late.seen.jobs.clear();
    late.ends(
        40,
        Some(said_but(Reason::WindowClosed, applied(0, None, false))),
    );
    late.settle(after(seconds));
    let status = late.status().unwrap();
    assert_eq!(
        status.attempts.unwrap().gate,
        2,
        "one round more, and not five"
    );
    assert_eq!(status.gate.as_ref().unwrap().backup, "index-gate-2");
}

#[test]
fn m7_what_was_mended_by_hand_is_rehearsed_on_a_younger_backup() {
    let spec = format!("{WINDOW}\n  gate: {{dataAfter: '2026-11-21T01:30:00Z'}}");
    let mut world = RunWorld::of(run("index", "7", &spec));
    world.settle(now());
    world.ends(10, Some(planned()));
    let gate = world.status().unwrap().gate.clone().unwrap();
    assert_eq!(gate.backup, "index-gate", "the proven one is older");
    let mut world = RunWorld::of(run("index", "7", &spec.replace("01:30", "02:30")));
    world.settle(now());
    let waits = world.ends(10, Some(planned()));
    assert_eq!(waits.next, Next::At(at("2026-11-21T02:30:00Z")));
    assert_eq!(world.status().unwrap().gate, None);
}
