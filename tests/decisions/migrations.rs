//! One MigrationRun on its way: plan, gate, rehearsal, approval, window, and what holds it.

use lifeboat::api::migration_run::{ApprovalMode, MigrationStep};
use lifeboat::api::restore_drill::Verdict;
use lifeboat::api::{MIGRATION_FINALIZER, Reason};
use lifeboat::cluster::decision::{Effect, Next};
use lifeboat::cluster::seen::Admission;
use lifeboat::migration::line::{Before, another_goes_first};
use lifeboat::migration::validate::validate;
use lifeboat::task::{Retry, StepTask, TASK_ENV, Task, TaskResult, Work};
use lifeboat::workload::SharedServers;
use rstest::rstest;

use crate::fixtures::{at, failure};
use crate::migration_world::{RunWorld, WINDOW, applied, document, planned, rehearsed, run, said};
use crate::worlds::{SETTINGS, World, after, effects, kstatus, now, told};

const GATES: [&str; 5] = [
    "Planned",
    "BackupProven",
    "Rehearsed",
    "Approved",
    "Applied",
];

pub fn gates(world: &RunWorld) -> Vec<String> {
    let conditions = &world.status().unwrap().conditions;
    GATES.map(|type_| told(conditions, type_)).to_vec()
}

pub fn ready(world: &RunWorld) -> [String; 3] {
    kstatus(&world.status().unwrap().conditions)
}

pub fn message(world: &RunWorld) -> String {
    let conditions = &world.status().unwrap().conditions;
    let ready = conditions.iter().find(|c| c.type_ == "Ready");
    ready.unwrap().message.clone()
}

#[test]
fn p6_a_job_is_written_down_before_it_is_created() {
    let mut world = RunWorld::new();
    let first = world.look(now());
    assert_eq!(effects(&first), [""; 0]);
    let running = world.running();
    assert_eq!((running.step, running.attempt), (MigrationStep::Plan, 1));
    let second = world.look(after(1));
    assert_eq!(effects(&second), ["create Job index-plan-1"]);
    let third = world.look(after(2));
    assert_eq!(third.notices[0].reason, Reason::Started);
    assert_eq!(
        ready(&world),
        ["Unknown/Starting", "True/Starting", "False/Starting"]
    );
}

#[test]
fn p11_a_run_goes_through_every_gate_in_its_order() {
    let mut world = RunWorld::new();
    world.settle(now());
    world.ends(10, Some(planned()));
    assert_eq!(world.job(), "index-rehearse-1");
    assert_eq!(
        gates(&world)[..3],
        ["True/Succeeded", "True/Succeeded", "Unknown/Pending"]
    );
    world.ends(20, Some(said(rehearsed(Verdict::Passed, 'b'))));
    assert_eq!(world.status().unwrap().running, None);
    assert_eq!(
        gates(&world)[2..4],
        ["True/Succeeded", "False/AwaitingApproval"]
    );
    assert!(message(&world).contains("lifeboat approve index -n shop"));
    world.approve("grace");
    world.settle(after(30));
    assert_eq!(world.job(), "index-apply-1");
    assert_eq!(gates(&world)[3], "True/Succeeded");
    world.ends(40, Some(said(applied(3, Some(true), false))));
    assert_eq!(gates(&world)[4], "True/Succeeded");
    assert_eq!(
        ready(&world),
        ["True/Succeeded", "False/Succeeded", "False/Succeeded"]
    );
    let status = world.status().unwrap();
    assert_eq!(told(&status.conditions, "Complete"), "True/Succeeded");
    assert_eq!(status.execution.as_ref().unwrap().tries, 2);
    assert!(world.seen.jobs.is_empty(), "K16");
    assert!(world.seen.gate_drills.is_empty(), "K28");
    assert!(
        world
            .seen
            .run
            .metadata
            .finalizers
            .as_ref()
            .unwrap()
            .is_empty(),
        "M24"
    );
}

/// What the worker is told that applies.
#[test]
fn m7_m12_the_worker_is_told_what_it_holds_against_the_world() {
    let mut world = RunWorld::rehearsed();
    world.approve("grace");
    world.look(after(30));
    assert_eq!(
        effects(&world.look(after(31))),
        [format!("finalizers [{MIGRATION_FINALIZER:?}]")],
        "M24: before there is a worker"
    );
    let decision = world.look(after(32));
    let Effect::CreateJob { job, .. } = &decision.effects[0] else {
        panic!("{:?}", effects(&decision))
    };
    let pod = job.spec.clone().unwrap().template.spec.unwrap();
    let env = pod.containers[0].env.clone().unwrap();
    let text = env.iter().find(|e| e.name == TASK_ENV).unwrap();
    let Work::Migration(task) = Task::from_env(text.value.as_ref().unwrap()).unwrap().work else {
        panic!("not a migration")
    };
    let StepTask::Apply(task) = task.step else {
        panic!("{:?}", task.step)
    };
    assert_eq!(task.plan_hash, "a".repeat(64));
    assert_eq!(task.evidence_hash, "b".repeat(64));
    assert_eq!(task.approved_by, ["grace"]);
    assert_eq!(
        (task.backup.as_str(), task.max_age_seconds),
        ("orders-1", 86_400)
    );
    assert_eq!(task.closes_at, at("2026-12-01T00:00:00Z"));
}

#[test]
fn m23_nothing_pending_is_complete() {
    let mut world = RunWorld::new();
    world.seen.document = Some(document(0));
    world.settle(now());
    world.ends(10, Some(planned()));
    assert_eq!(ready(&world)[0], "True/NothingToDo");
    assert_eq!(world.seen.gate_drills.len(), 0);
}

#[rstest]
#[case::missing(Admission::Missing("no policy".to_owned()))]
#[case::younger(Admission::InPlace(at("2026-11-21T01:59:05Z")))]
fn k36_without_admission_policies_nothing_begins(#[case] admission: Admission) {
    let mut world = RunWorld::new();
    world.seen.admission = admission;
    let decision = world.settle(now());
    assert_eq!(
        decision.next,
        Next::At(after(60)),
        "nothing tells when they are there"
    );
    assert_eq!(
        ready(&world),
        [
            "False/AdmissionMissing",
            "False/AdmissionMissing",
            "True/AdmissionMissing"
        ]
    );
    assert_eq!(world.status().unwrap().running, None);
}

#[test]
fn suspended_begins_nothing_and_what_runs_goes_on() {
    let mut world = RunWorld::new();
    world.seen.run.spec.suspend = Some(true);
    world.settle(now());
    assert_eq!(ready(&world)[1], "True/Suspended");
    world.seen.run.spec.suspend = None;
    world.settle(now());
    world.seen.run.spec.suspend = Some(true);
    world.ends(10, Some(planned()));
    let status = world.status().unwrap();
    assert!(status.plan.is_some() && status.running.is_none());
    assert_eq!(ready(&world)[1], "True/Suspended");
}

#[rstest]
#[case::policy(|w: &mut RunWorld| w.seen.policy = None, "PolicyNotFound")]
#[case::store(|w: &mut RunWorld| w.seen.store = None, "StoreNotFound")]
#[case::drill(|w: &mut RunWorld| w.seen.drill = None, "DrillNotFound")]
#[case::another_drill(|w: &mut RunWorld| w.seen.drill.as_mut().unwrap().spec.policy_ref.name = "x".to_owned(), "InvalidSpec")]
#[case::no_identity(|w: &mut RunWorld| w.seen.drill.as_mut().unwrap().spec.identity_ref = None, "InvalidSpec")]
#[case::own_spec(|w: &mut RunWorld| w.seen.run.spec.gate = Some(serde_saphyr::from_str("{maxAge: 0s}").unwrap()), "InvalidSpec")]
fn what_is_missing_holds_and_then_it_goes_on(
    #[case] spoil: fn(&mut RunWorld),
    #[case] reason: &str,
) {
    let mut world = RunWorld::new();
    let good = world.clone();
    spoil(&mut world);
    world.settle(now());
    assert_eq!(ready(&world)[2], format!("True/{reason}"));
    world.seen = lifeboat::migration::decide::Observed {
        run: good.seen.run.clone(),
        ..good.seen
    };
    world.settle(after(1));
    assert_eq!(world.running().step, MigrationStep::Plan);
}

/// The store is away for a while: the gate says so as long as nobody has done better, whatever Ready says.
#[test]
fn why_a_rehearsal_came_to_nothing_stands_in_its_condition() {
    let mut world = RunWorld::new();
    world.settle(now());
    world.ends(10, Some(planned()));
    assert_eq!(world.job(), "index-rehearse-1");
    world.ends(20, Some(failure(Reason::ConnectionRefused, Retry::Later)));
    for time in [21, 40, 81] {
        world.settle(after(time));
        assert_eq!(gates(&world)[2], "Unknown/ConnectionRefused", "{time}");
        let status = world.status().unwrap();
        let gate = status.conditions.iter().find(|c| c.type_ == "Rehearsed");
        let said = &gate.unwrap().message;
        assert!(
            said.starts_with("not yet; the last try: the rehearsal: "),
            "{said}"
        );
    }
    assert_eq!(world.job(), "index-rehearse-2");
    world.ends(90, Some(said(rehearsed(Verdict::Passed, 'b'))));
    assert_eq!(gates(&world)[2], "True/Succeeded");
}

#[test]
fn planning_is_done_again_three_times_and_not_where_that_is_of_no_use() {
    let mut world = RunWorld::new();
    world.settle(now());
    let later = world.ends(10, Some(failure(Reason::ConnectionRefused, Retry::Later)));
    assert_eq!(later.next, Next::At(after(70)));
    // Why and when, also at every later look.
    for time in [11, 30] {
        world.settle(after(time));
        assert_eq!(ready(&world)[1], "True/Retrying");
        let status = world.status().unwrap();
        let said = status.conditions.iter().find(|c| c.type_ == "Ready");
        let said = &said.unwrap().message;
        let when = format!("next try at {}: ", after(70));
        assert!(
            said.starts_with(&when) && said.contains("ConnectionRefused"),
            "{said}"
        );
    }
    world.settle(after(71));
    assert_eq!(world.job(), "index-plan-2");
    // Ready tells of the Job that is at work, the gate of the one before.
    assert_eq!(gates(&world)[0], "Unknown/ConnectionRefused");
    world.seen.document = None;
    world.ends(80, Some(planned()));
    assert_eq!(world.status().unwrap().plan, None, "its log is not whole");
    world.settle(after(600));
    assert_eq!(world.job(), "index-plan-3");
    world.ends(610, None);
    assert_eq!(ready(&world)[2], "True/ResultLost");
    assert_eq!(gates(&world)[0], "False/ResultLost");
    let way = world.status().unwrap().way_back.clone().unwrap();
    assert!(way.starts_with("Nothing was applied"), "{way}");

    let mut world = RunWorld::new();
    world.settle(now());
    world.ends(10, Some(failure(Reason::OutOfOrder, Retry::Never)));
    assert_eq!(
        told(&world.status().unwrap().conditions, "Failed"),
        "True/OutOfOrder"
    );
}

#[test]
fn k20_another_major_is_taken_at_once_and_once() {
    let wrong = |major| TaskResult {
        found_major: Some(major),
        ..failure(Reason::WrongMajor, Retry::Never)
    };
    let mut world = RunWorld::new();
    world.settle(now());
    world.ends(10, Some(wrong(14)));
    assert_eq!(world.job(), "index-plan-2");
    world.ends(20, Some(wrong(13)));
    assert_eq!(ready(&world)[2], "True/WrongMajor");
}

#[test]
fn k14_a_plan_that_is_none_is_no_plan() {
    let mut world = RunWorld::new();
    let mut plan = document(3);
    plan.hash = "not a hash".to_owned();
    world.seen.document = Some(plan);
    world.settle(now());
    world.ends(10, Some(planned()));
    assert_eq!(world.status().unwrap().plan, None);
    let mut plan = document(3);
    plan.lines = vec!["x\u{1b}".repeat(500); 500];
    world.seen.document = Some(plan);
    world.settle(after(100));
    world.ends(110, Some(planned()));
    let lines = world.status().unwrap().plan.clone().unwrap().lines;
    assert_eq!((lines.len(), lines[0].chars().count()), (200, 200));
    assert!(!lines[0].contains('\u{1b}'));
}

fn before(name: &str, at_database: bool) -> Option<Before> {
    let name = name.to_owned();
    Some(Before {
        name,
        at_database,
        failed: false,
    })
}

#[rstest]
#[case::lowest_version(("b", "9"), ("a", "10"), Some("b"))]
#[case::long_version(("b", "20261122093000"), ("a", "00000020261122093001"), Some("b"))]
#[case::then_the_oldest_then_the_name(("b", "9"), ("a", "9"), None)]
fn m23_runs_of_one_policy_stand_in_line(
    #[case] (other, version): (&str, &str),
    #[case] (mine, target): (&str, &str),
    #[case] first: Option<&str>,
) {
    let other = run(other, version, WINDOW);
    let mine = run(mine, target, WINDOW);
    let found = another_goes_first(&mine, &SharedServers::default(), [&other, &mine]);
    assert_eq!(found.map(|f| f.name).as_deref(), first);
}

#[test]
fn m23_one_that_failed_stops_those_after_it_until_it_is_deleted_or_suspended() {
    let mut failed = RunWorld::of(run("low", "1", WINDOW));
    failed.settle(now());
    failed.seen.jobs.clear();
    failed.seen.run.metadata.name = Some("low".to_owned());
    let mine = run("index", "7", WINDOW);
    let mut low = failed.seen.run.clone();
    assert_eq!(
        another_goes_first(&mine, &SharedServers::default(), [&low]),
        before("low", false)
    );
    low.spec.suspend = Some(true);
    assert_eq!(
        another_goes_first(&mine, &SharedServers::default(), [&low]),
        None
    );
    // A worker at the database is waited for, suspended or not, later or not.
    let status = low.status.as_mut().unwrap();
    status.running.as_mut().unwrap().step = MigrationStep::Apply;
    assert_eq!(
        another_goes_first(&mine, &SharedServers::default(), [&low]),
        before("low", true)
    );
    let mut world = RunWorld::new();
    world.seen.first = before("low", true);
    world.settle(now());
    assert_eq!(ready(&world)[1], "True/Queued");
}

#[rstest]
#[case("source: {}", "spec.source")]
#[case(
    "execution: {statementTimeout: 25h}",
    "spec.execution.statementTimeout"
)]
#[case("execution: {lockTimeout: 1d}", "spec.execution.lockTimeout")]
#[case("gate: {maxAge: soon}", "spec.gate.maxAge")]
#[case("gate: {keepPinned: 0d}", "spec.gate.keepPinned")]
fn what_cannot_work_is_refused_with_its_field(#[case] rest: &str, #[case] field: &str) {
    let mut bad = run("index", "7", WINDOW);
    let mut spec = serde_json::to_value(&bad.spec).unwrap();
    let more: serde_json::Value = serde_saphyr::from_str(rest).unwrap();
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    bad.spec = serde_json::from_value(spec).unwrap();
    assert_eq!(validate(&bad, &SETTINGS).unwrap_err().field, field);
}

#[test]
fn k8_files_that_do_not_fit_into_a_task_are_refused() {
    let mut big = run("index", "7", WINDOW);
    big.spec.source.config_map_ref = None;
    let file = |name: &str, sql: String| lifeboat::api::migration_run::InlineFile {
        name: name.to_owned(),
        sql,
    };
    big.spec.source.inline = vec![
        file("1_a.sql", "x".repeat(13_000)),
        file("2_b.sql", "x".repeat(13_000)),
    ];
    assert_eq!(
        validate(&big, &SETTINGS).unwrap_err().field,
        "spec.source.inline"
    );
    big.spec.source.inline = vec![file("1_a.sql", "$".repeat(10_000))];
    assert_eq!(
        validate(&big, &SETTINGS).unwrap_err().field,
        "spec",
        "a dollar takes six bytes"
    );
    big.spec.source.inline = vec![file("1_a.sql", "$".repeat(6_000))];
    assert!(validate(&big, &SETTINGS).is_ok());
}

/// S3: nobody goes under what the chart asks for; its default is an approval.
#[test]
fn a_run_does_not_go_under_the_floor_of_the_chart() {
    let given = lifeboat::workload::Settings {
        approval: ApprovalMode::default(),
        ..SETTINGS.clone()
    };
    let without = run("index", "7", &format!("approval: None\n  {WINDOW}"));
    assert_eq!(
        validate(&without, &given).unwrap_err().field,
        "spec.approval"
    );
    assert!(!validate(&without, &SETTINGS).unwrap().needs_approval);
    for more in ["", "approval: Required\n  "] {
        let run = run("index", "7", &format!("{more}{WINDOW}"));
        assert!(validate(&run, &SETTINGS).unwrap().needs_approval);
        assert!(validate(&run, &given).unwrap().needs_approval);
    }
}
