//! When a RestoreDrill runs: its schedule, requests, its turn among others, and what holds it.

use lifeboat::api::restore_drill::{Network, Schedule, Verdict};
use lifeboat::api::{REQUESTED_AT, Reason, RestoreDrill};
use lifeboat::cluster::decision::Next;
use lifeboat::drill::decide::another_goes_first;
use lifeboat::task::Retry;
use rstest::rstest;

use crate::drills::{DAY, begun, reasons, run_of};
use crate::fixtures::{self, at, differs, ended, failure, passed};
use crate::worlds::{DrillWorld, World, after, effects, kstatus, now, running, told};

#[test]
fn what_falls_due_while_a_run_is_on_is_skipped_and_told() {
    let mut world = begun();
    world.0.drill.spec.schedule = Some(Schedule {
        cron: "0 * * * *".to_owned(),
        time_zone: None,
    });
    world.job_is(running());
    assert_eq!(
        world.look(after(60)).next,
        Next::At(at("2026-11-21T03:00:00Z"))
    );
    assert_eq!(reasons(&mut world, 3_600), [Reason::Skipped]);
    assert_eq!(reasons(&mut world, 3_601), []);
    world.job_is(ended(Some(passed())));
    let status = world.settle(after(3_700)).status;
    assert_eq!(status.running, None, "it is not made up for");
    assert_eq!(status.last_schedule_time, Some(at("2026-11-21T03:00:00Z")));
}

#[test]
fn k17_a_new_drill_owes_nothing_and_after_downtime_one_run_makes_up_for_all() {
    let mut world = DrillWorld::scheduled();
    let before = world.settle(after(-60));
    assert_eq!(
        kstatus(&before.status.conditions),
        ["True/Idle", "False/Idle", "False/Idle"]
    );
    assert_eq!(before.next, Next::At(at("2026-11-21T02:00:00Z")));
    let late = world.look(after(3 * DAY + 7_200));
    assert_eq!(run_of(&world).due, at("2026-11-24T02:00:00Z"));
    assert!(
        late.notices[0].message.contains("3 due times"),
        "{:?}",
        late.notices
    );
    world.settle(after(3 * DAY + 7_201));
    world.job_is(ended(Some(passed())));
    let status = world.settle(after(3 * DAY + 7_300)).status;
    assert_eq!((status.history.len(), status.running), (1, None));
}

#[test]
fn a_suspended_drill_starts_nothing_and_owes_one_run_afterwards() {
    let mut world = DrillWorld::scheduled();
    world.0.drill.spec.suspend = Some(true);
    let status = world.settle(after(2 * DAY)).status;
    assert_eq!(
        kstatus(&status.conditions),
        ["True/Suspended", "False/Suspended", "False/Suspended"]
    );
    assert_eq!((status.next, status.running), (None, None));
    world.0.drill.spec.suspend = Some(false);
    assert_eq!(reasons(&mut world, 2 * DAY + 60), [], "it passed by wish");
    assert_eq!(run_of(&world).due, at("2026-11-23T02:00:00Z"));
}

#[test]
fn without_a_schedule_it_runs_once_when_there_is_a_backup() {
    let mut world = DrillWorld::once();
    world.0.has_backup = false;
    let status = world.settle(now()).status;
    assert_eq!(kstatus(&status.conditions)[1], "True/Pending");
    world.0.has_backup = true;
    world.settle(after(60));
    assert_eq!(run_of(&world).run, "once-20261121t010005z");
    world.job_is(ended(Some(passed())));
    world.settle(after(600));
    let done = world.settle(after(30 * DAY));
    assert_eq!(done.status.history.len(), 1);
    assert_eq!(done.next, Next::OnChange);
    assert_eq!(kstatus(&done.status.conditions)[0], "True/Succeeded");
}

#[test]
fn a_drill_of_another_folder_waits_for_no_backup() {
    let spec = "select: {prefix: shop.orders-copy}";
    let mut world = DrillWorld::of(fixtures::drill("once", spec));
    world.0.has_backup = false;
    world.settle(now());
    assert_eq!(world.0.jobs.len(), 1);
}

fn ask(drill: &mut RestoreDrill, value: &str) {
    let annotations = drill.metadata.annotations.get_or_insert_default();
    annotations.insert(REQUESTED_AT.to_owned(), value.to_owned());
}

#[rstest]
#[case::once(DrillWorld::once())]
#[case::scheduled(DrillWorld::scheduled())]
fn k21_requested_at_runs_it_now_and_once(#[case] world: DrillWorld) {
    let mut world = world;
    world.settle(now());
    world.job_is(ended(Some(failure(Reason::NoRoom, Retry::Never))));
    world.settle(after(600));
    ask(&mut world.0.drill, "I gave it room");
    world.settle(after(697));
    let run = run_of(&world);
    assert_eq!(run.due, after(697));
    assert!(run.run.ends_with("-20261121t021142z"), "{}", run.run);
    world.job_is(ended(Some(passed())));
    let status = world.settle(after(800)).status;
    assert_eq!(status.last_requested_at.as_deref(), Some("I gave it room"));
    assert_eq!(
        kstatus(&status.conditions),
        ["True/Succeeded", "False/Idle", "False/Idle"]
    );
    assert_eq!((status.running, status.history.len()), (None, 2));
}

#[test]
fn a_request_while_a_run_is_on_waits_for_its_end() {
    let mut world = begun();
    world.job_is(running());
    ask(&mut world.0.drill, "again");
    let status = world.settle(after(60)).status;
    assert_eq!(status.last_requested_at, None);
    world.job_is(ended(Some(passed())));
    world.settle(after(120));
    assert_eq!(run_of(&world).due, after(120));
}

#[rstest]
#[case::no_policy(|w: &mut DrillWorld| w.0.policy = None, "PolicyNotFound")]
#[case::policy_stalled(|w: &mut DrillWorld| w.0.policy.as_mut().unwrap().spec.time_zone = Some("Mars/Olympus".to_owned()), "PolicyStalled")]
#[case::no_store(|w: &mut DrillWorld| w.0.store = None, "StoreNotFound")]
#[case::store_stalled(|w: &mut DrillWorld| w.0.store.as_mut().unwrap().spec.encryption.recipients.clear(), "StoreStalled")]
#[case::no_identity(|w: &mut DrillWorld| w.0.drill.spec.identity_ref = None, "InvalidSpec")]
#[case::invalid(|w: &mut DrillWorld| w.0.drill.spec.deadline = Some("soon".to_owned()), "InvalidSpec")]
fn what_cannot_work_is_said_and_starts_nothing_but_ends_nothing(
    #[case] change: fn(&mut DrillWorld),
    #[case] reason: &str,
) {
    let mut world = DrillWorld::scheduled();
    change(&mut world);
    let status = world.settle(now()).status;
    let no = format!("False/{reason}");
    assert_eq!(
        kstatus(&status.conditions),
        [no.clone(), no, format!("True/{reason}")]
    );
    assert_eq!((status.running, status.last_schedule_time), (None, None));
    let mut on = begun();
    on.job_is(running());
    change(&mut on);
    assert_eq!(
        kstatus(&on.settle(after(60)).status.conditions)[1],
        "True/Running"
    );
    on.job_is(ended(Some(differs())));
    let status = on.settle(after(70)).status;
    assert_eq!(
        status.last.unwrap().result,
        Verdict::Failed,
        "its end is recorded"
    );
    assert_eq!(told(&status.conditions, "Passed"), "False/Differs");
    assert_eq!(
        told(&status.conditions, "Stalled"),
        format!("True/{reason}")
    );
}

#[test]
fn the_identity_that_is_missing_is_named_by_its_field() {
    let mut world = DrillWorld::scheduled();
    world.0.drill.spec.identity_ref = None;
    let status = world.settle(now()).status;
    let stalled = status
        .conditions
        .iter()
        .find(|c| c.type_ == "Stalled")
        .unwrap();
    assert!(
        stalled.message.starts_with("spec.identityRef: "),
        "{}",
        stalled.message
    );
}

#[test]
fn a_run_whose_policy_goes_before_its_job_was_made_ends_as_that() {
    let mut world = DrillWorld::scheduled();
    world.look(now());
    world.0.policy = None;
    let held = world.look(after(60));
    assert_eq!(kstatus(&held.status.conditions)[2], "True/PolicyNotFound");
    assert_eq!(held.next, Next::At(after(900)));
    let last = world.look(after(900)).status.last.unwrap();
    assert_eq!(
        (last.result, last.reason.as_str()),
        (Verdict::Inconclusive, "PolicyNotFound")
    );
}

#[test]
fn another_drill_of_the_policy_goes_first_and_is_named() {
    let mut world = DrillWorld::scheduled();
    world.0.first = Some("weekly".to_owned());
    let status = world.settle(now()).status;
    assert_eq!(kstatus(&status.conditions)[1], "True/Queued");
    let ready = status
        .conditions
        .iter()
        .find(|c| c.type_ == "Ready")
        .unwrap();
    assert!(ready.message.contains("`weekly`"), "{}", ready.message);
    assert_eq!(status.last_schedule_time, None, "it is still owed");
    world.0.first = None;
    world.settle(after(600));
    assert_eq!(run_of(&world).started_at, after(600));
}

#[test]
fn of_two_runs_that_were_decided_at_once_one_waits_and_its_clock_starts_with_its_turn() {
    let mut world = DrillWorld::scheduled();
    world.look(now());
    world.0.first = Some("weekly".to_owned());
    let queued = world.look(after(1));
    assert_eq!(
        (
            effects(&queued),
            kstatus(&queued.status.conditions)[1].as_str()
        ),
        (vec![], "True/Queued")
    );
    world.settle(after(3_000));
    world.0.first = None;
    world.settle(after(3_600));
    assert_eq!(run_of(&world).started_at, after(3_600));
    assert_eq!(run_of(&world).due, at("2026-11-21T02:00:00Z"));
    assert_eq!(world.0.jobs.len(), 1);
}

#[test]
fn who_runs_longer_goes_first_and_only_among_drills_of_one_policy() {
    let on = |name: &str, since: i64| {
        let mut drill = fixtures::drill(name, "deadline: 1h");
        let mut run = run_of(&begun());
        run.started_at = after(since);
        drill.status.get_or_insert_default().running = Some(run);
        drill
    };
    let idle = fixtures::drill("idle", "deadline: 1h");
    let (a, b, c) = (on("a", 5), on("b", 5), on("c", 0));
    let all = [idle.clone(), a.clone(), b.clone(), c.clone()];
    assert_eq!(another_goes_first(&c, &all), None);
    for later in [&a, &b, &idle] {
        assert_eq!(another_goes_first(later, &all).as_deref(), Some("c"));
    }
    assert_eq!(another_goes_first(&b, [&a]).as_deref(), Some("a"));
    assert_eq!(another_goes_first(&a, [&a, &b, &idle]), None);
    let mut elsewhere = c;
    elsewhere.spec.policy_ref.name = "other".to_owned();
    assert_eq!(another_goes_first(&idle, [&elsewhere]), None);
}

#[test]
fn k38_the_net_is_closed_before_the_pods_and_opened_when_the_spec_says_so() {
    let mut world = DrillWorld::scheduled();
    world.look(now());
    let net = lifeboat::workload::network_name(&world.0.drill);
    let job = "create Job nightly-20261121t0200z-d1".to_owned();
    let isolated = effects(&world.decide(after(1)));
    assert_eq!(
        isolated,
        [format!("apply NetworkPolicy {net}"), job.clone()]
    );
    world.0.drill.spec.network = Some(Network::Open);
    let open = effects(&world.decide(after(1)));
    assert_eq!(open, [format!("delete NetworkPolicy {net}"), job]);
}
