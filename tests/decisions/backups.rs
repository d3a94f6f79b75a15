//! One Backup: its attempts, what ends them, and what holds it.

use lifeboat::api::backup_policy::Tier;
use lifeboat::api::{Backup, Reason};
use lifeboat::cluster::decision::Next;
use lifeboat::cluster::seen::JobState;
use lifeboat::task::{Retry, TaskResult};
use rstest::rstest;

use crate::fixtures::{self, ended, failure, success};
use crate::worlds::{BackupWorld, World, after, effects, kstatus, now, running, told, waiting};

const JOB: &str = "orders-20261121t0200z-a1";

fn begun() -> BackupWorld {
    let mut world = BackupWorld::scheduled();
    world.look(now());
    world
}

fn ended_as(result: Option<TaskResult>) -> BackupWorld {
    let mut world = begun();
    world.job_is(ended(result));
    world
}

fn wrong_major() -> TaskResult {
    TaskResult {
        found_major: Some(16),
        ..failure(Reason::WrongMajor, Retry::Never)
    }
}

#[test]
fn an_attempt_is_written_down_before_its_job_is_created() {
    let mut world = BackupWorld::scheduled();
    let first = world.look(now());
    assert_eq!(effects(&first), [""; 0]);
    assert_eq!(first.status.attempt, Some(1));
    assert_eq!(first.status.started_at, Some(now()));
    let second = world.look(now());
    assert_eq!(effects(&second), [format!("create Job {JOB}")]);
    assert_eq!(
        world.look(now()).status.job_uid,
        Some(format!("uid-of-{JOB}"))
    );
}

#[rstest]
#[case::waiting(waiting(), ["Unknown/Starting", "True/Starting", "False/Starting"])]
#[case::running(running(), ["Unknown/Running", "True/Running", "False/Running"])]
#[case::succeeded(ended(Some(success())), ["True/Succeeded", "False/Succeeded", "False/Succeeded"])]
#[case::failed_for_now(ended(Some(failure(Reason::ConnectionRefused, Retry::Later))), ["False/ConnectionRefused", "True/Retrying", "False/Retrying"])]
#[case::failed_for_good(ended(Some(failure(Reason::SecretMissing, Retry::Never))), ["False/SecretMissing", "False/SecretMissing", "True/SecretMissing"])]
#[case::without_a_result(ended(None), ["False/ResultLost", "False/ResultLost", "True/ResultLost"])]
#[case::success_without_figures(ended(Some(TaskResult::succeeded("trust me"))), ["False/ResultLost", "False/ResultLost", "True/ResultLost"])]
#[case::another_major(ended(Some(wrong_major())), ["False/WrongMajor", "True/Retrying", "False/Retrying"])]
fn a_jobs_state_is_the_backups(#[case] state: JobState, #[case] want: [&str; 3]) {
    let mut world = begun();
    world.job_is(state);
    let decision = world.look(now());
    assert_eq!(kstatus(&decision.status.conditions), want);
    assert_eq!(
        effects(&decision),
        [""; 0],
        "a Job goes only when its end stands in the status (K16)"
    );
}

#[test]
fn a_complete_backup_says_what_it_is_and_its_job_goes_then() {
    let mut world = ended_as(Some(success()));
    let done = world.look(after(60)).status;
    assert_eq!(told(&done.conditions, "Complete"), "True/Succeeded");
    assert_eq!(done.finished_at, Some(after(60)));
    assert_eq!(
        done.prefix.as_deref(),
        Some("shop.orders/20261121T020000Z-0a1b2c3d4e5f")
    );
    assert_eq!(
        (done.tables, done.rows, done.found_major),
        (Some(5), Some(336_776), Some(17))
    );
    let next = world.look(after(61));
    assert_eq!(effects(&next), [format!("delete Job {JOB}")]);
    assert_eq!(next.status, done);
    assert_eq!(world.decide(after(62)).next, Next::OnChange);
}

#[test]
fn k3_attempts_follow_after_one_and_five_minutes_and_end_with_the_third() {
    let mut world = begun();
    let mut clock = 0;
    for wait in [60, 300] {
        world.settle(after(clock));
        world.job_is(ended(Some(failure(Reason::StoreUnreachable, Retry::Later))));
        let failed = world.look(after(clock));
        assert_eq!(failed.next, Next::At(after(clock + wait)));
        assert_eq!(failed.status.next_attempt_at, Some(after(clock + wait)));
        let early = world.settle(after(clock + wait - 1));
        assert_eq!(kstatus(&early.status.conditions)[1], "True/Retrying");
        clock += wait;
    }
    let third = world.settle(after(clock));
    assert_eq!(third.status.attempt, Some(3));
    world.job_is(ended(Some(failure(Reason::StoreUnreachable, Retry::Later))));
    let over = world.look(after(clock)).status;
    assert_eq!(told(&over.conditions, "Failed"), "True/AttemptsExhausted");
    assert_eq!(told(&over.conditions, "Ready"), "False/StoreUnreachable");
    assert_eq!(world.settle(after(100_000)).status, over);
}

#[test]
fn k3_the_attempts_of_one_due_time_end_when_the_next_comes() {
    let mut world = BackupWorld::scheduled();
    let often = Tier {
        name: "daily".to_owned(),
        cron: "*/5 * * * *".to_owned(),
    };
    world.policy().spec.tiers = vec![often];
    world.settle(now());
    world.job_is(ended(Some(failure(Reason::StoreUnreachable, Retry::Later))));
    assert_eq!(
        kstatus(&world.look(after(10)).status.conditions)[1],
        "True/Retrying"
    );
    let over = world.settle(after(300));
    assert_eq!(
        told(&over.status.conditions, "Failed"),
        "True/AttemptsExhausted"
    );
}

#[test]
fn k26_a_backup_whose_policy_was_deleted_ends() {
    let mut world = BackupWorld::scheduled();
    world.seen.policy = None;
    let over = world.settle(now()).status;
    assert_eq!(told(&over.conditions, "Failed"), "True/PolicyNotFound");
    let ready = over.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
    assert!(ready.message.contains("was deleted"), "{}", ready.message);
    // One by hand may be there before its policy.
    let mut manual = BackupWorld::of(fixtures::manual("now", "2026-11-21T02:00:00Z"));
    manual.seen.policy = None;
    let held = manual.settle(now()).status;
    assert_eq!(kstatus(&held.conditions)[2], "True/PolicyNotFound");
    assert_ne!(told(&held.conditions, "Failed"), "True/PolicyNotFound");
}

#[test]
fn a_backup_whose_policy_was_made_anew_is_given_up_for_that_and_nothing_else() {
    let mut world = BackupWorld::scheduled();
    world.settle(now());
    world.job_is(ended(Some(failure(Reason::StoreUnreachable, Retry::Later))));
    world.settle(after(10));
    world.policy().metadata.uid = Some("another".to_owned());
    // Long after the new policy's next due time: its window is none of this Backup's.
    let over = world.settle(after(200_000)).status;
    assert_eq!(told(&over.conditions, "Failed"), "True/PolicyNotFound");
    let ready = over.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
    assert!(ready.message.contains("was deleted"), "{}", ready.message);
}

#[test]
fn k20_another_major_is_tried_at_once_uncounted_and_once() {
    let mut world = ended_as(Some(wrong_major()));
    let again = world.settle(now());
    let status = &again.status;
    assert_eq!(
        (status.attempt, status.uncounted, status.found_major),
        (Some(2), Some(1), Some(16))
    );
    let images = |world: &BackupWorld| world.all.iter().map(|j| j.name.clone()).collect::<Vec<_>>();
    assert_eq!(images(&world), ["orders-20261121t0200z-a2"]);
    world.job_is(ended(Some(wrong_major())));
    assert_eq!(
        told(&world.settle(now()).status.conditions, "Failed"),
        "True/WrongMajor"
    );
}

#[rstest]
#[case::in_status_only(None)]
#[case::seen(Some(running()))]
fn p6_a_job_that_is_gone_without_a_result_gets_no_other(#[case] state: Option<JobState>) {
    let mut world = begun();
    world.settle(now());
    if let Some(state) = state {
        world.job_is(state);
        world.settle(now());
    }
    let uid = world.all[0].uid.clone();
    world.deleted(&uid);
    let lost = world.settle(after(60));
    assert_eq!(told(&lost.status.conditions, "Failed"), "True/ResultLost");
    assert_eq!(lost.status.attempt, Some(1));
}

/// What keeps a pod from starting may be mended in the policy: an image, a Secret's name. One that runs is left alone.
#[rstest]
#[case::waiting(waiting(), true)]
#[case::for_an_image(JobState::Waiting { reason: Reason::ImagePullFailed, why: "no such image".to_owned() }, true)]
#[case::running(running(), false)]
fn k3_an_attempt_whose_pod_waits_is_given_up_when_its_policy_changes(
    #[case] state: JobState,
    #[case] given_up: bool,
) {
    let mut world = begun();
    world.look(now());
    world.job_is(state.clone());
    assert_eq!(
        world.look(after(10)).status.given_up,
        None,
        "nothing changed"
    );
    let policy = world.seen.policy.as_mut().unwrap();
    policy.metadata.generation = Some(2);
    let seen = world.look(after(20));
    assert_eq!(
        seen.status.given_up.is_some(),
        given_up,
        "{:?}",
        seen.status
    );
    if let Some(why) = &seen.status.given_up {
        assert!(
            why.message.contains("policy or store changed before"),
            "{why:?}"
        );
        assert_eq!(
            effects(&world.look(after(21))),
            [format!("delete Job {JOB}")]
        );
        // Another attempt follows, made from what stands then.
        let gone = world.look(after(22)).status;
        assert_eq!(told(&gone.conditions, "Reconciling"), "True/Retrying");
    }
}

#[test]
fn k3_a_pod_that_does_not_start_is_given_up_its_job_removed_and_tried_again() {
    let mut world = begun();
    world.settle(now());
    world.job_is(waiting());
    assert_eq!(world.settle(after(899)).next, Next::At(after(900)));
    let given_up = world.look(after(900));
    assert_eq!(effects(&given_up), [""; 0], "written down first");
    assert!(given_up.status.given_up.is_some());
    assert_eq!(
        effects(&world.look(after(901))),
        [format!("delete Job {JOB}")]
    );
    let gone = world.look(after(902)).status;
    assert_eq!(
        kstatus(&gone.conditions),
        [
            "False/StartDeadlineExceeded",
            "True/Retrying",
            "False/Retrying"
        ]
    );
}

#[test]
fn p4_a_pod_that_outlives_every_deadline_ends_and_its_late_result_still_counts() {
    let mut world = begun();
    world.settle(now());
    world.job_is(running());
    // Start, deadline of two hours, slack.
    let given_up = world.look(after(900 + 7_200 + 1_200));
    assert!(given_up.status.given_up.is_some());
    let mut late = world.clone();
    late.job_is(ended(Some(success())));
    assert_eq!(
        told(&late.settle(after(9_301)).status.conditions, "Complete"),
        "True/Succeeded"
    );
    let over = world.settle(after(9_301));
    assert_eq!(told(&over.status.conditions, "Failed"), "True/ResultLost");
}

/// What may stand in the way, and whether it stops a first attempt.
#[rstest]
#[case::nothing(|_: &mut BackupWorld| {}, ["Unknown/Starting", "True/Starting", "False/Starting"])]
#[case::suspended(|w: &mut BackupWorld| w.policy().spec.suspend = Some(true), ["Unknown/Queued", "True/Queued", "False/Queued"])]
#[case::another_runs(|w: &mut BackupWorld| w.seen.others_running = true, ["Unknown/Queued", "True/Queued", "False/Queued"])]
#[case::no_policy(|w: &mut BackupWorld| w.seen.policy = None, ["False/PolicyNotFound", "False/PolicyNotFound", "True/PolicyNotFound"])]
#[case::policy_stalled(|w: &mut BackupWorld| w.policy().spec.time_zone = Some("Mars/Olympus".to_owned()), ["False/PolicyStalled", "False/PolicyStalled", "True/PolicyStalled"])]
#[case::no_store(|w: &mut BackupWorld| w.seen.store = None, ["False/StoreNotFound", "False/StoreNotFound", "True/StoreNotFound"])]
#[case::store_stalled(|w: &mut BackupWorld| w.seen.store.as_mut().unwrap().spec.encryption.recipients.clear(), ["False/StoreStalled", "False/StoreStalled", "True/StoreStalled"])]
#[case::another_policy_of_that_name(|w: &mut BackupWorld| w.policy().metadata.uid = Some("new".to_owned()), ["False/PolicyNotFound", "False/PolicyNotFound", "True/PolicyNotFound"])]
#[case::its_name_is_not_its_due_time(|w: &mut BackupWorld| w.seen.backup.metadata.name = Some("mine".to_owned()), ["False/InvalidSpec", "False/InvalidSpec", "True/InvalidSpec"])]
fn what_holds_a_backup_says_so_and_starts_nothing(
    #[case] change: fn(&mut BackupWorld),
    #[case] want: [&str; 3],
) {
    let mut world = BackupWorld::scheduled();
    change(&mut world);
    let decision = world.settle(now());
    assert_eq!(kstatus(&decision.status.conditions), want);
    assert_eq!(world.all.len(), usize::from(want[0] == "Unknown/Starting"));
}

/// K20: only what cannot work holds a run; a probe or check that failed does not.
#[test]
fn k20_a_store_or_policy_that_is_not_ready_holds_nothing() {
    let mut world = BackupWorld::scheduled();
    let mut store = crate::worlds::StoreWorld::new();
    store.look(now());
    let mut job = store.0.probe_job.clone().unwrap();
    job.state = ended(Some(failure(Reason::StoreUnreachable, Retry::Later)));
    store.0.probe_job = Some(job);
    store.look(now());
    assert_eq!(
        told(&store.status().unwrap().conditions, "Ready"),
        "False/StoreUnreachable"
    );
    world.seen.store = Some(store.0.store);
    world.settle(now());
    assert_eq!(world.all.len(), 1);
}

#[rstest]
#[case::suspended(|w: &mut BackupWorld| w.policy().spec.suspend = Some(true))]
#[case::policy_gone(|w: &mut BackupWorld| w.seen.policy = None)]
#[case::policy_stalled(|w: &mut BackupWorld| w.policy().spec.time_zone = Some("Mars/Olympus".to_owned()))]
#[case::store_gone(|w: &mut BackupWorld| w.seen.store = None)]
#[case::another_runs(|w: &mut BackupWorld| w.seen.others_running = true)]
fn what_runs_goes_on_whatever_becomes_of_the_rest(#[case] change: fn(&mut BackupWorld)) {
    let mut world = begun();
    world.settle(now());
    world.job_is(running());
    change(&mut world);
    let on = world.settle(after(60));
    assert_eq!(kstatus(&on.status.conditions)[1], "True/Running");
    assert_eq!(world.all.len(), 1);
    world.job_is(ended(Some(success())));
    assert_eq!(
        told(&world.settle(after(70)).status.conditions, "Complete"),
        "True/Succeeded"
    );
}

#[test]
fn a_persons_backup_runs_though_the_policy_is_suspended() {
    let mut world = BackupWorld::of(fixtures::manual("now", "2026-11-21T01:59:00Z"));
    world.policy().spec.suspend = Some(true);
    world.settle(now());
    assert_eq!(world.all.len(), 1);
}

#[rstest]
#[case::fresh(BackupWorld::scheduled())]
#[case::begun(begun())]
#[case::ended(ended_as(Some(success())))]
fn what_is_being_deleted_is_left_alone(
    #[case] world: BackupWorld,
    #[values(true, false)] namespace: bool,
) {
    let mut world = world;
    world.seen.namespace_terminating = namespace;
    let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now());
    world.seen.backup.metadata.deletion_timestamp = (!namespace).then_some(time);
    let decision = world.decide(after(60));
    assert_eq!(effects(&decision), [""; 0]);
    assert_eq!(decision.status, world.status().cloned().unwrap_or_default());
    assert_eq!(decision.next, Next::OnChange);
}

fn asked(world: &mut BackupWorld, name: &str, request: &str) {
    let policy = world.policy();
    let status = policy.status.get_or_insert_default();
    status.last_requested_at = Some(request.to_owned());
    status.retried = Some(name.to_owned());
}

#[rstest]
#[case::failed(Some(failure(Reason::SecretMissing, Retry::Never)), true)]
#[case::lost(None, false)]
#[case::complete(Some(success()), false)]
fn k21_requested_at_tries_a_failed_run_again_once(
    #[case] result: Option<TaskResult>,
    #[case] again: bool,
) {
    let mut world = ended_as(result);
    let before = world.settle(now()).status;
    asked(&mut world, "orders-20261121t0200z", "I fixed it");
    let after_it = world.settle(after(60)).status;
    assert_eq!(after_it != before, again);
    if again {
        assert_eq!(
            (after_it.attempt, after_it.earlier_attempts),
            (Some(2), Some(1))
        );
        assert_eq!(kstatus(&after_it.conditions)[1], "True/Starting");
        world.job_is(ended(Some(failure(Reason::SecretMissing, Retry::Never))));
        let failed = world.settle(after(70)).status;
        assert_eq!(world.settle(after(80)).status, failed, "answered once");
        asked(&mut world, "orders-20261121t0200z", "and again");
        assert_eq!(world.settle(after(90)).status.attempt, Some(3));
    }
}

#[test]
fn k21_another_run_is_not_tried_again() {
    let mut world = ended_as(Some(failure(Reason::SecretMissing, Retry::Never)));
    let before = world.settle(now()).status;
    asked(&mut world, "orders-20261120t0200z", "now");
    assert_eq!(world.settle(after(60)).status, before);
}

#[test]
fn a_status_that_was_lost_is_found_again_in_the_job() {
    let mut world = BackupWorld::scheduled();
    world.job_is(running());
    let found = world.settle(after(60)).status;
    assert_eq!(
        (found.attempt, found.job_uid),
        (Some(1), Some(format!("uid-of-{JOB}")))
    );
    assert_eq!(world.all.len(), 1);
}

#[test]
fn k26_the_tiers_and_the_reason_of_a_backup_are_the_operators_to_set() {
    let refused = |change: fn(&mut Backup)| {
        let mut backup = fixtures::manual("mine", "2026-11-21T01:00:00Z");
        change(&mut backup);
        let mut world = BackupWorld::of(backup);
        told(&world.settle(now()).status.conditions, "Stalled")
    };
    assert_eq!(
        refused(|b| b.spec.tiers = vec!["daily".to_owned()]),
        "True/InvalidSpec"
    );
    assert_eq!(
        refused(|b| b.spec.scheduled_time = Some(now())),
        "True/InvalidSpec"
    );
    assert_eq!(refused(|_| {}), "False/Starting");
}
