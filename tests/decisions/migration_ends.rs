//! One MigrationRun at the database and after it: its window, what a worker left, and a run that is deleted.

use lifeboat::api::Reason;
use lifeboat::api::condition::Truth;
use lifeboat::api::migration_run::MigrationStep;
use lifeboat::api::restore_drill::Verdict;
use lifeboat::cluster::decision::Next;
use lifeboat::task::{MigrationResult, Retry, TaskResult};
use rstest::rstest;

use crate::fixtures::{at, ended, failure};
use crate::migration_world::{RunWorld, applied, backup, rehearsed, run, said, said_but};
use crate::worlds::{World, after, effects, kstatus, now, running, told, waiting};

fn ready(world: &RunWorld) -> [String; 3] {
    kstatus(&world.status().unwrap().conditions)
}

fn way_back(world: &RunWorld) -> String {
    world.status().unwrap().way_back.clone().unwrap()
}

fn step(world: &RunWorld) -> Option<MigrationStep> {
    let running = world.status().unwrap().running.as_ref();
    running.map(|r| r.step)
}

fn approved(window: &str) -> RunWorld {
    let mut world = RunWorld::of(run("index", "7", window)).rehearse();
    world.approve("grace");
    world
}

#[test]
fn nothing_begins_before_the_window_opens() {
    let mut world =
        approved("window: {notBefore: '2026-11-21T03:00:00Z', notAfter: '2026-11-21T05:00:00Z'}");
    let waits = world.settle(after(30));
    assert_eq!(ready(&world)[1], "True/AwaitingWindow");
    assert_eq!(waits.next, Next::At(at("2026-11-21T03:00:00Z")));
    world.settle(at("2026-11-21T03:00:00Z"));
    assert_eq!(world.job(), "index-apply-1");
    // Two hours are left, one statement takes six at most, and something for before and after.
    assert_eq!(
        world.running().deadline_seconds,
        2 * 3_600 + 6 * 3_600 + 600
    );
}

#[test]
fn k28_after_the_window_the_run_is_over() {
    let mut world = approved("window: {notAfter: '2026-11-21T03:00:00Z'}");
    world.seen.approvals.clear();
    let waits = world.settle(after(30));
    assert_eq!(waits.next, Next::At(at("2026-11-21T03:00:00Z")));
    world.settle(at("2026-11-21T03:00:00Z"));
    assert_eq!(ready(&world)[2], "True/WindowClosed");
    assert!(way_back(&world).starts_with("Nothing was applied"));
}

/// A backup of days ago does not stand for a window that opens now.
#[test]
fn m7_a_backup_that_grew_too_old_is_renewed_before_the_window_and_the_approval_stays() {
    let window = "window: {notBefore: '2026-11-23T02:00:00Z', notAfter: '2026-11-23T05:00:00Z'}";
    let mut world = approved(window);
    let approval = world.seen.approvals.last_mut().unwrap();
    approval.spec.expires = at("2026-11-26T00:00:00Z");
    let waits = world.settle(after(30));
    assert_eq!(waits.next, Next::At(at("2026-11-23T00:00:00Z")));
    assert_eq!(
        world.status().unwrap().attempts.unwrap().gate,
        1,
        "not every day"
    );
    let early = at("2026-11-23T00:00:00Z");
    world
        .seen
        .backups
        .push(backup("orders-2", "2026-11-22T23:00:00Z", Truth::True));
    world.settle(early);
    assert_eq!(world.job(), "index-rehearse-2");
    world.job_is(running());
    world.job_is(ended(Some(said(rehearsed(Verdict::Passed, 'b')))));
    world.settle(early);
    assert_eq!(ready(&world)[1], "True/AwaitingWindow");
    assert_eq!(
        world.status().unwrap().gate.as_ref().unwrap().backup,
        "orders-2"
    );
    world.settle(at("2026-11-23T02:00:00Z"));
    assert_eq!(world.job(), "index-apply-1", "the evidence is the same");
}

#[test]
fn m12_other_evidence_needs_another_approval() {
    let mut world = RunWorld::rehearsed();
    world.approve("grace");
    world.seen.backups = vec![backup("orders-2", "2026-11-21T01:30:00Z", Truth::True)];
    world.settle(after(30));
    assert_eq!(
        world.job(),
        "index-rehearse-2",
        "the backup that was rehearsed on is gone"
    );
    world.ends(40, Some(said(rehearsed(Verdict::Passed, 'e'))));
    assert_eq!(ready(&world)[1], "True/AwaitingApproval");
}

#[test]
fn m7_the_worker_finds_the_gate_or_the_plan_no_longer_true() {
    let mut world = RunWorld::applying();
    world.ends(
        40,
        Some(said_but(Reason::GateExpired, applied(0, None, false))),
    );
    assert_eq!(world.status().unwrap().attempts.unwrap().gate, 2);
    let mut world = RunWorld::applying();
    world.ends(
        40,
        Some(said_but(Reason::PlanVoid, applied(0, None, false))),
    );
    assert_eq!(world.job(), "index-plan-2");
    let status = world.status().unwrap();
    assert!(
        status.rehearsal.is_none() && status.approvals.is_empty(),
        "M23"
    );
    let mut world = RunWorld::applying();
    world.ends(
        40,
        Some(said_but(Reason::PlanVoid, applied(1, None, false))),
    );
    assert_eq!(
        ready(&world)[2],
        "True/PlanVoid",
        "what was rehearsed does not stand any more"
    );
}

#[test]
fn m7_backups_that_never_stay_fresh_end_it() {
    let mut world = RunWorld::applying();
    for round in 2..=5 {
        let another = backup(
            &format!("orders-{round}"),
            "2026-11-21T01:10:00Z",
            Truth::True,
        );
        world.seen.backups.push(another);
        world.ends(
            40,
            Some(said_but(Reason::GateExpired, applied(0, None, false))),
        );
        let gate = world.status().unwrap().gate.clone().unwrap();
        assert_ne!(Some(gate.backup), world.status().unwrap().refused_backup);
        assert_eq!(world.status().unwrap().attempts.unwrap().gate, round);
        if world.running().step == MigrationStep::Rehearse {
            world.ends(50, Some(said(rehearsed(Verdict::Passed, 'b'))));
        }
        assert_eq!(step(&world), Some(MigrationStep::Apply));
    }
    world.ends(
        60,
        Some(said_but(Reason::GateExpired, applied(0, None, false))),
    );
    assert_eq!(ready(&world)[2], "True/GateExpired");
}

#[rstest]
#[case::would_block(
    said_but(Reason::WouldBlock, applied(1, None, false)),
    "WouldBlock",
    "1 of 3 segments are applied, nothing is half done"
)]
#[case::statement(
    said_but(Reason::StatementFailed, applied(0, None, false)),
    "StatementFailed",
    "Nothing was applied"
)]
#[case::not_as_rehearsed(
    said(applied(3, Some(false), false)),
    "NotAsRehearsed",
    "All 3 segments are applied"
)]
#[case::check(
    said_but(Reason::CheckFailed, applied(3, Some(false), false)),
    "CheckFailed",
    "All 3 segments are applied"
)]
#[case::unverified(
    said(applied(3, None, false)),
    "ProtocolError",
    "All 3 segments are applied"
)]
fn m13_what_went_wrong_holds_and_says_the_way_back(
    #[case] result: TaskResult,
    #[case] reason: &str,
    #[case] way: &str,
) {
    let mut world = RunWorld::applying();
    let decision = {
        world.job_is(running());
        world.look(after(35));
        world.job_is(ended(Some(result)));
        world.look(after(40))
    };
    assert!(
        decision
            .notices
            .iter()
            .any(|n| n.warning && n.message.contains(way))
    );
    world.settle(after(41));
    assert_eq!(ready(&world)[2], format!("True/{reason}"));
    let status = world.status().unwrap();
    assert_eq!(
        told(&status.conditions, "Applied"),
        format!("False/{reason}")
    );
    assert_eq!(told(&status.conditions, "Failed"), format!("True/{reason}"));
    let text = way_back(&world);
    assert!(text.starts_with(way), "{text}");
    if !way.starts_with("Nothing") {
        assert!(
            text.contains("Restoring orders-1 loses every write since 2026-11-21T01:00:00Z"),
            "{text}"
        );
        assert!(text.contains("direction: Down"), "{text}");
    }
    assert!(
        world
            .seen
            .run
            .metadata
            .finalizers
            .as_ref()
            .unwrap()
            .is_empty()
    );
}

/// M18: batches that stand are something that stands: the run holds with what it wrote, and its backup and plan are not made anew.
#[test]
fn some_batches_of_a_segment_are_not_nothing() {
    let mut world = RunWorld::applying();
    let mut said = applied(0, None, false);
    said.applied.as_mut().unwrap().partly = true;
    world.ends(1_000, Some(said_but(Reason::NotAsRehearsed, said.clone())));
    let text = way_back(&world);
    assert!(
        text.starts_with("0 of 3 segments are applied, and some batches of one more"),
        "{text}"
    );
    let mut world = RunWorld::applying();
    world.ends(1_000, Some(said_but(Reason::PlanVoid, said)));
    assert!(world.status().unwrap().plan.is_some());
}

#[rstest]
#[case::terminated(Reason::Terminated)]
#[case::connection(Reason::ConnectionLost)]
#[case::lock(Reason::LockLost)]
#[case::deadline(Reason::DeadlineExceeded)]
fn one_that_was_cut_off_goes_on_while_the_window_is_open(#[case] reason: Reason) {
    let mut world = RunWorld::applying();
    for (attempt, pause) in [(2, 60), (3, 120), (4, 240), (5, 480)] {
        let result = said_but(reason, applied(1, None, false));
        let waits = world.ends(attempt * 1_000, Some(result));
        assert_eq!(waits.next, Next::At(after(attempt * 1_000 + pause)));
        assert_eq!(ready(&world)[1], "True/Retrying");
        world.settle(after(attempt * 1_000 + pause));
        assert_eq!(world.job(), format!("index-apply-{attempt}"));
    }
    world.ends(9_000, Some(said_but(reason, applied(2, None, false))));
    assert_eq!(ready(&world)[2], format!("True/{reason}"), "five times");
    assert!(way_back(&world).starts_with("2 of 3"));
}

#[test]
fn one_that_began_nothing_is_tried_again_and_nobody_is_asked_what_stands() {
    let away = |retry| TaskResult {
        migration: Some(MigrationResult {
            nothing_begun: true,
            ..MigrationResult::default()
        }),
        ..failure(Reason::ConnectionRefused, retry)
    };
    let mut world = RunWorld::applying();
    let waits = world.ends(100, Some(away(Retry::Later)));
    assert_eq!(waits.next, Next::At(after(160)));
    assert_eq!(ready(&world)[1], "True/Retrying");
    world.settle(after(160));
    assert_eq!(world.job(), "index-apply-2");
    // What an earlier one applied still stands.
    let part = said_but(Reason::Terminated, applied(1, None, false));
    world.ends(200, Some(part));
    world.settle(after(400));
    world.ends(410, Some(away(Retry::Later)));
    let execution = world.status().unwrap().execution.clone().unwrap();
    assert_eq!((execution.applied, execution.unknown), (1, false));
    world.settle(after(700));
    assert_eq!(world.job(), "index-apply-4");
    world.ends(710, Some(away(Retry::Never)));
    assert_eq!(ready(&world)[2], "True/ConnectionRefused");
    assert!(way_back(&world).starts_with("1 of 3"));
}

#[test]
fn m5_a_history_that_was_set_back_is_what_the_run_says() {
    let mut world = RunWorld::applying();
    world.ends(100, None);
    assert_eq!(world.job(), "index-settle-1");
    let rewound = said_but(Reason::HistoryRewound, applied(0, None, false));
    world.ends(200, Some(rewound));
    assert_eq!(ready(&world)[2], "True/HistoryRewound");
}

#[test]
fn a_part_that_stands_does_not_wait_for_another_window() {
    let window = "window: {notAfter: '2026-11-30T00:00:00Z', weekly: {days: [Sat], from: '01:00', to: '03:00'}}";
    let mut world = approved(window);
    world.settle(after(30));
    world.job_is(running());
    world.settle(after(40));
    world.job_is(ended(Some(said_but(
        Reason::Terminated,
        applied(1, None, false),
    ))));
    world.settle(at("2026-11-21T03:00:00Z"));
    assert_eq!(ready(&world)[2], "True/Terminated");
    // With nothing applied it may.
    let mut world = approved(window);
    world.settle(after(30));
    world.job_is(running());
    world.settle(after(40));
    world.job_is(ended(Some(said_but(
        Reason::WindowClosed,
        applied(0, None, false),
    ))));
    world.settle(at("2026-11-21T03:00:00Z"));
    world.settle(at("2026-11-21T03:01:00Z"));
    assert_eq!(ready(&world)[1], "True/AwaitingWindow");
}

#[rstest]
#[case::no_result(None)]
#[case::says_nothing(Some(failure(Reason::ConnectionLost, Retry::Later)))]
#[case::begun(Some(said_but(Reason::ConnectionLost, applied(1, None, true))))]
fn k4_m5_what_a_worker_does_not_say_is_asked_of_the_history(#[case] result: Option<TaskResult>) {
    let mut world = RunWorld::applying();
    world.seen.run.spec.suspend = Some(true);
    world.ends(40, result);
    assert_eq!(world.job(), "index-settle-1", "whatever suspend says (M4)");
    assert_eq!(world.running().deadline_seconds, 600);
    assert_eq!(
        told(&world.status().unwrap().conditions, "Applied"),
        "Unknown/Unknown"
    );
    world.seen.run.spec.suspend = None;
    world.ends(50, Some(said(applied(1, None, false))));
    assert_eq!(ready(&world)[1], "True/Retrying");
    world.settle(after(120));
    assert_eq!(world.job(), "index-apply-2");
}

#[test]
fn m5_the_history_says_that_all_of_it_stands() {
    let mut world = RunWorld::applying();
    world.ends(40, None);
    world.ends(50, Some(said(applied(3, Some(true), false))));
    assert_eq!(ready(&world)[0], "True/Succeeded");
}

#[test]
fn k4_the_history_is_asked_twice_and_then_it_is_not_known() {
    let mut world = RunWorld::applying();
    world.ends(40, None);
    world.ends(50, None);
    assert_eq!(ready(&world)[1], "True/Retrying");
    world.settle(after(111));
    assert_eq!(world.job(), "index-settle-2");
    world.ends(120, Some(failure(Reason::ConnectionRefused, Retry::Later)));
    assert_eq!(ready(&world)[2], "True/ConnectionRefused");
    assert_eq!(
        told(&world.status().unwrap().conditions, "Applied"),
        "Unknown/ConnectionRefused"
    );
}

#[test]
fn a_worker_whose_job_is_gone_is_known_by_its_pod_or_not_at_all() {
    let mut world = RunWorld::applying();
    world.job_is(running());
    world.look(after(35));
    world.seen.jobs.clear();
    let gone = world.clone();
    world.seen.end = Some(ended(Some(said(applied(3, Some(true), false)))));
    world.settle(after(40));
    assert_eq!(ready(&world)[0], "True/Succeeded");
    let mut world = gone;
    world.settle(after(40));
    assert_eq!(step(&world), Some(MigrationStep::Settle));
}

#[test]
fn a_job_that_outlives_its_deadlines_is_given_up() {
    let mut world = RunWorld::applying();
    world.job_is(running());
    world.look(after(35));
    let until = 900 + world.running().deadline_seconds + 1_200 + 60;
    world.look(after(until));
    assert_eq!(world.running().given_up.unwrap().reason, "ResultLost");
    assert_eq!(
        effects(&world.look(after(until + 1))),
        ["delete Job index-apply-1"]
    );
    let mut stuck = RunWorld::new();
    stuck.settle(now());
    stuck.job_is(waiting());
    stuck.look(after(901));
    assert_eq!(
        stuck.running().given_up.unwrap().reason,
        "StartDeadlineExceeded"
    );
}

#[test]
fn what_changes_before_the_worker_is_there_takes_it_back() {
    let mut world = RunWorld::rehearsed();
    world.approve("grace");
    world.look(after(30));
    assert_eq!(step(&world), Some(MigrationStep::Apply));
    world.seen.approvals.clear();
    world.settle(after(31));
    assert_eq!(ready(&world)[1], "True/AwaitingApproval");
    // Once the finalizer stands one may have been created, and the history is asked.
    let mut world = RunWorld::rehearsed();
    world.approve("grace");
    world.look(after(30));
    world.look(after(31));
    world.seen.approvals.clear();
    world.settle(after(32));
    assert_eq!(step(&world), Some(MigrationStep::Settle));
}
