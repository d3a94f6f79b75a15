//! One policy: what is due, what waits, what is skipped, and its checks.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use lifeboat::api::backup_policy::Tier;
use lifeboat::api::{Backup, LABEL_POLICY_UID, REQUESTED_AT, Reason};
use lifeboat::cluster::decision::{Effect, Next};
use lifeboat::cluster::seen::JobState;
use lifeboat::task::{Retry, TaskResult};
use rstest::rstest;

use crate::fixtures::{self, at, ended, failure, success};
use crate::worlds::{
    BackupWorld, PolicyWorld, World, after, effects, kstatus, now, running, told, waiting,
};

const DUE: &str = "orders-20261121t0200z";

/// Created an hour before the due time, and checked.
fn policy() -> PolicyWorld {
    let mut world = PolicyWorld::new();
    world.0.policy.metadata.creation_timestamp = Some(Time(at("2026-11-21T01:00:00Z")));
    world.settle(at("2026-11-21T01:00:00Z"));
    checked(
        &mut world,
        ended(Some(TaskResult::succeeded("PostgreSQL 17.2"))),
        at("2026-11-21T01:00:30Z"),
    );
    world
}

fn checked(world: &mut PolicyWorld, state: JobState, time: Timestamp) {
    world.0.check_job.as_mut().unwrap().state = state;
    world.settle(time);
}

fn hourly(world: &mut PolicyWorld) {
    world.0.policy.spec.tiers[0].cron = "0 * * * *".to_owned();
}

/// The Backup of the due time after some life of its own.
fn lived(result: Option<JobState>) -> Backup {
    let mut world = BackupWorld::scheduled();
    world.settle(now());
    if let Some(state) = result {
        world.job_is(state);
        world.settle(now());
    }
    world.seen.backup
}

fn backups(world: &PolicyWorld) -> Vec<String> {
    world.0.backups.iter().map(ResourceExt::name_any).collect()
}

#[test]
fn a_new_policy_is_checked_and_owes_nothing() {
    let mut world = PolicyWorld::new();
    world.0.policy.metadata.creation_timestamp = Some(Time(now()));
    let decision = world.decide(now());
    assert_eq!(decision.effects.len(), 1);
    assert!(effects(&decision)[0].starts_with("create Job orders-check-"));
    assert_eq!(
        kstatus(&decision.status.conditions),
        ["Unknown/Pending", "True/Starting", "False/Idle"]
    );
    assert_eq!(decision.status.next[0].at, at("2026-11-22T02:00:00Z"));
}

#[test]
fn what_is_due_becomes_one_backup_and_is_written_down_with_it() {
    let mut world = policy();
    assert_eq!(
        world.decide(at("2026-11-21T01:59:59Z")).next,
        Next::At(at("2026-11-21T02:00:00Z"))
    );
    let due = world.look(now());
    assert_eq!(effects(&due), [format!("create Backup {DUE}")]);
    assert_eq!(
        due.status.last_schedule_time,
        Some(at("2026-11-21T02:00:00Z"))
    );
    assert_eq!(effects(&world.look(now())), [""; 0]);
    // A crash between the two: the Backup is there, the status is not.
    world.0.policy.status.as_mut().unwrap().last_schedule_time = None;
    assert_eq!(effects(&world.look(after(1))), [""; 0]);
}

#[test]
fn k17_a_backup_that_is_there_is_adopted_though_the_watch_shows_no_status() {
    let mut world = policy();
    world.0.backups.push(fixtures::scheduled());
    let decision = world.look(now());
    assert_eq!(effects(&decision), [""; 0]);
    assert_eq!(world.settle(now()).status.running, None);
}

#[test]
fn k26_a_strangers_backup_of_that_name_is_said_and_passed_over() {
    let mut world = policy();
    let mut stranger = fixtures::scheduled();
    stranger.spec.scheduled_time = None;
    stranger.metadata.labels = None;
    world.0.backups.push(stranger);
    let decision = world.look(now());
    assert_eq!(effects(&decision), [""; 0]);
    assert_eq!(decision.notices[0].reason, Reason::NameCollision);
    assert_eq!(
        decision.status.last_schedule_time,
        Some(at("2026-11-21T02:00:00Z"))
    );
    assert_eq!(
        decision.status.skipped.unwrap().times,
        [at("2026-11-21T02:00:00Z")]
    );
}

#[test]
fn what_a_policy_of_the_same_name_left_behind_says_nothing_about_this_one() {
    let mut world = policy();
    let ready = world.settle(now()).status.conditions;
    let mut foreign = lived(Some(ended(Some(failure(
        Reason::SecretMissing,
        Retry::Never,
    )))));
    foreign.metadata.name = Some("orders-20261120t0200z".to_owned());
    let labels = foreign.metadata.labels.get_or_insert_default();
    labels.insert(LABEL_POLICY_UID.to_owned(), "of-the-one-before".to_owned());
    world.0.backups.push(foreign);
    assert_eq!(
        told(&world.settle(after(1)).status.conditions, "Ready"),
        told(&ready, "Ready")
    );
    // A manual one from before it was created neither.
    let mut early = BackupWorld::of(fixtures::manual("early", "2026-11-20T02:00:00Z"));
    early.settle(at("2026-11-20T02:00:00Z"));
    early.job_is(ended(Some(failure(Reason::SecretMissing, Retry::Never))));
    early.settle(at("2026-11-20T02:00:00Z"));
    world.0.backups.push(early.seen.backup);
    assert_eq!(
        told(&world.settle(after(2)).status.conditions, "Ready"),
        told(&ready, "Ready")
    );
}

#[test]
fn tiers_that_coincide_are_one_backup_with_both_names() {
    let mut world = policy();
    let weekly = Tier {
        name: "weekly".to_owned(),
        cron: "0 2 * * SAT".to_owned(),
    };
    let other = Tier {
        name: "other".to_owned(),
        cron: "0 3 * * *".to_owned(),
    };
    world.0.policy.spec.tiers.extend([weekly, other]);
    let decision = world.look(now());
    let [Effect::CreateBackup { backup, policy_uid }] = &decision.effects[..] else {
        panic!("{:?}", decision.effects)
    };
    assert_eq!(backup.spec.tiers, ["daily", "weekly"]);
    assert_eq!(backup.labels().get(LABEL_POLICY_UID), Some(policy_uid));
    let next: Vec<&str> = decision
        .status
        .next
        .iter()
        .map(|n| n.tier.as_str())
        .collect();
    assert_eq!(next, ["other", "daily", "weekly"]);
}

#[test]
fn k17_a_day_of_absence_owes_one_and_the_others_are_told_once() {
    let mut world = policy();
    hourly(&mut world);
    let late = at("2026-11-22T00:30:00Z");
    let decision = world.look(late);
    assert_eq!(
        effects(&decision)[..1],
        ["create Backup orders-20261122t0000z"]
    );
    assert_eq!(backups(&world).len(), 1);
    let skipped = decision.status.skipped.clone().unwrap();
    assert_eq!(
        (skipped.count_7d, skipped.last.time),
        (22, at("2026-11-21T23:00:00Z"))
    );
    let told = decision
        .notices
        .iter()
        .filter(|n| n.reason == Reason::Skipped);
    assert_eq!(told.count(), 1, "one Event for all of them (K29)");
    assert_eq!(world.settle(late).status.skipped, Some(skipped));
}

#[test]
fn what_falls_due_during_a_run_waits_and_at_most_one_waits() {
    let mut world = policy();
    hourly(&mut world);
    world.0.backups.push(lived(Some(running())));
    let waits = world.settle(at("2026-11-21T03:00:00Z")).status;
    assert_eq!(backups(&world), [DUE, "orders-20261121t0300z"]);
    assert_eq!(waits.running.unwrap().name, DUE);
    let sound = ended(Some(TaskResult::succeeded("PostgreSQL 17.2")));
    checked(&mut world, sound, at("2026-11-21T03:00:30Z"));
    let full = world.look(at("2026-11-21T04:00:00Z"));
    assert_eq!(backups(&world).len(), 2);
    assert_eq!(
        full.status.last_schedule_time,
        Some(at("2026-11-21T04:00:00Z"))
    );
    assert_eq!(
        full.status.skipped.unwrap().last.time,
        at("2026-11-21T04:00:00Z")
    );
    assert_eq!(full.notices[0].reason, Reason::Skipped);
    // Nobody has to read Events to see it, until something is started for a due time again.
    assert_eq!(told(&full.status.conditions, "Ready"), "False/Skipped");
    // The run ends, the one that waited begins: the next due time waits again.
    world.0.backups[0] = lived(Some(ended(Some(success()))));
    world.0.backups[1].status = lived(Some(running())).status;
    let again = world.settle(at("2026-11-21T05:00:00Z")).status;
    assert_eq!(backups(&world)[2], "orders-20261121t0500z");
    assert_eq!(told(&again.conditions, "Ready"), "True/Succeeded");
}

/// What a person made takes no place in the line of due times.
#[test]
fn a_manual_backup_that_waits_does_not_cost_a_due_time() {
    let mut world = policy();
    world
        .0
        .backups
        .push(fixtures::manual("mine", "2026-11-21T01:30:00Z"));
    assert_eq!(
        effects(&world.look(now())),
        [format!("create Backup {DUE}")]
    );
}

#[test]
fn a_suspended_policy_starts_nothing_and_owes_at_most_one_when_it_goes_on() {
    let mut world = policy();
    hourly(&mut world);
    world.0.policy.spec.suspend = Some(true);
    let late = at("2026-11-21T09:10:00Z");
    let decision = world.settle(late);
    assert!(world.0.backups.is_empty() && decision.status.next.is_empty());
    assert_eq!(
        told(&decision.status.conditions, "Stalled"),
        "False/Suspended"
    );
    world.0.policy.spec.suspend = Some(false);
    let woken = world.settle(late);
    assert_eq!(backups(&world), ["orders-20261121t0900z"]);
    assert_eq!(woken.status.skipped, None, "they passed by wish");
}

#[rstest]
#[case::bad_zone(|w: &mut PolicyWorld| w.0.policy.spec.time_zone = Some("Mars/Olympus".to_owned()), "InvalidSpec")]
#[case::bad_cron(|w: &mut PolicyWorld| w.0.policy.spec.tiers[0].cron = "61 * * * *".to_owned(), "InvalidSpec")]
#[case::two_of_a_name(|w: &mut PolicyWorld| { let t = w.0.policy.spec.tiers[0].clone(); w.0.policy.spec.tiers.push(t) }, "InvalidSpec")]
#[case::no_store(|w: &mut PolicyWorld| w.0.store = None, "StoreNotFound")]
#[case::store_stalled(|w: &mut PolicyWorld| w.0.store.as_mut().unwrap().spec.encryption.recipients.clear(), "StoreStalled")]
fn what_cannot_work_starts_nothing_and_makes_up_for_one_when_mended(
    #[case] spoil: fn(&mut PolicyWorld),
    #[case] reason: &str,
) {
    let mut world = policy();
    let mended = world.clone();
    spoil(&mut world);
    let stalled = world.settle(now());
    let want = [
        format!("False/{reason}"),
        format!("False/{reason}"),
        format!("True/{reason}"),
    ];
    assert_eq!(kstatus(&stalled.status.conditions), want);
    assert!(world.0.backups.is_empty() && stalled.status.next.is_empty());
    assert_eq!(stalled.status.last_schedule_time, None);
    world.0.policy.spec = mended.0.policy.spec;
    world.0.store = mended.0.store;
    world.settle(at("2026-11-21T12:00:00Z"));
    assert_eq!(backups(&world), [DUE]);
}

/// K20: a probe that failed is advice.
#[rstest]
#[case::well(ended(Some(fixtures::probed())), "True/Succeeded")]
#[case::failed(
    ended(Some(failure(Reason::StoreUnreachable, Retry::Later))),
    "False/StoreUnreachable"
)]
#[case::probing(running(), "Unknown/Pending")]
fn k20_a_store_that_is_not_ready_shows_and_holds_nothing(
    #[case] probe: JobState,
    #[case] ready: &str,
) {
    let mut store = crate::worlds::StoreWorld::new();
    store.settle(now());
    store.0.probe_job.as_mut().unwrap().state = probe;
    store.settle(now());
    let mut world = policy();
    world.0.store = Some(store.0.store);
    let decision = world.look(now());
    assert_eq!(effects(&decision), [format!("create Backup {DUE}")]);
    assert_eq!(told(&decision.status.conditions, "Ready"), ready);
}

#[rstest]
#[case::waiting(waiting(), ["Unknown/Pending", "True/Starting", "False/Idle"])]
#[case::running(running(), ["Unknown/Pending", "True/Running", "False/Idle"])]
#[case::failed(ended(Some(failure(Reason::AuthenticationFailed, Retry::Never))), ["False/AuthenticationFailed", "True/Retrying", "False/Idle"])]
#[case::lost(ended(None), ["False/ResultLost", "True/Retrying", "False/Idle"])]
fn a_checks_end_is_the_policys(#[case] state: JobState, #[case] want: [&str; 3]) {
    let mut world = PolicyWorld::new();
    world.0.policy.metadata.creation_timestamp = Some(Time(now()));
    world.settle(now());
    checked(&mut world, state, after(30));
    assert_eq!(kstatus(&world.status().unwrap().conditions), want);
}

/// The newer of check and backup decides, so that a backup's outcome shows at once.
#[rstest]
#[case::complete(ended(Some(success())), "True/Succeeded", 0)]
#[case::failed(
    ended(Some(failure(Reason::PermissionDenied, Retry::Never))),
    "False/PermissionDenied",
    1
)]
fn a_backups_end_is_the_policys(#[case] state: JobState, #[case] ready: &str, #[case] failed: i32) {
    let mut world = policy();
    world.0.backups.push(lived(Some(state)));
    let status = world.settle(after(60)).status;
    assert_eq!(told(&status.conditions, "Ready"), ready);
    assert_eq!(status.failures.unwrap().consecutive, failed);
    assert_eq!(status.last_backup.is_some(), failed == 0);
}

#[rstest]
#[case::failed(ended(Some(failure(Reason::SecretMissing, Retry::Never))), Some(DUE))]
#[case::lost(ended(None), None)]
#[case::complete(ended(Some(success())), None)]
#[case::running(running(), None)]
fn k21_requested_at_checks_now_and_tries_the_last_failed_run_again(
    #[case] state: JobState,
    #[case] retried: Option<&str>,
) {
    let mut world = policy();
    world.0.backups.push(lived(Some(state)));
    world.settle(after(60));
    let annotations = world.0.policy.metadata.annotations.get_or_insert_default();
    annotations.insert(REQUESTED_AT.to_owned(), "I fixed it".to_owned());
    let asked = world.settle(after(120)).status;
    assert_eq!(asked.last_requested_at.as_deref(), Some("I fixed it"));
    assert_eq!(asked.retried.as_deref(), retried);
    assert!(world.0.check_job.is_some());
    checked(
        &mut world,
        ended(Some(TaskResult::succeeded("17"))),
        after(130),
    );
    assert!(world.0.check_job.is_none(), "answered once");
    assert_eq!(backups(&world), [DUE]);
}

#[rstest]
fn what_is_being_deleted_is_left_alone(#[values(true, false)] namespace: bool) {
    let mut world = policy();
    world.0.namespace_terminating = namespace;
    world.0.policy.metadata.deletion_timestamp = (!namespace).then_some(Time(now()));
    let decision = world.decide(after(60));
    assert_eq!(effects(&decision), [""; 0]);
    assert_eq!(Some(&decision.status), world.status());
    assert_eq!(decision.next, Next::OnChange);
}

/// Two databases in one directory would be one for drills, lists and retention: the younger policy waits until the older is gone.
#[test]
fn of_two_policies_in_one_directory_the_younger_makes_nothing() {
    let mut world = policy();
    world.0.shares_with = Some("elder".to_owned());
    let seen = world.settle(at("2026-11-21T02:00:00Z"));
    assert_eq!(backups(&world), [""; 0]);
    assert_eq!(kstatus(&seen.status.conditions)[2], "True/InvalidSpec");
    let ready = seen.status.conditions.iter().find(|c| c.type_ == "Ready");
    let message = &ready.unwrap().message;
    assert!(
        message.contains("`elder` has the directory shop.orders"),
        "{message}"
    );
    assert_eq!(seen.next, Next::At(at("2026-11-21T02:05:00Z")));
    world.0.shares_with = None;
    world.settle(at("2026-11-21T02:05:00Z"));
    assert_eq!(backups(&world), [DUE]);
}
