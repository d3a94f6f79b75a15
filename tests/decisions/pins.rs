//! `spec.pin` of a Backup, said to the store.

use lifeboat::api::Reason;
use lifeboat::api::backup::PinStatus;
use lifeboat::cluster::decision::{Effect, Next};
use lifeboat::task::{Retry, TASK_ENV, Task, TaskResult, Work};

use crate::fixtures::{self, ended, failure, success};
use crate::worlds::{BackupWorld, World, after, now, running};

/// A complete backup.
fn complete() -> BackupWorld {
    let mut world = BackupWorld::of(fixtures::manual("now", "2026-11-21T01:59:00Z"));
    world.seen.backup.metadata.generation = Some(1);
    world.settle(now());
    world.job_is(running());
    world.settle(after(1));
    world.job_is(ended(Some(success())));
    world.settle(after(2));
    assert!(world.all.is_empty());
    world
}

fn wish(world: &mut BackupWorld, pin: Option<bool>) {
    world.seen.backup.spec.pin = pin;
    *world.seen.backup.metadata.generation.as_mut().unwrap() += 1;
}

fn names(world: &BackupWorld) -> Vec<&str> {
    world.all.iter().map(|job| job.name.as_str()).collect()
}

fn pin(world: &BackupWorld) -> PinStatus {
    world
        .seen
        .backup
        .status
        .clone()
        .unwrap()
        .pin
        .unwrap_or_default()
}

/// What the Job is told that is created.
fn work(effects: &[Effect]) -> Work {
    let created = effects.iter().find_map(|effect| match effect {
        Effect::CreateJob { job, .. } => Some(job),
        _ => None,
    });
    let pod = created
        .unwrap()
        .spec
        .clone()
        .unwrap()
        .template
        .spec
        .unwrap();
    let env = pod.containers[0].env.clone().unwrap();
    let text = env.iter().find(|e| e.name == TASK_ENV).unwrap();
    Task::from_env(text.value.as_ref().unwrap()).unwrap().work
}

/// The Job of a pin that is on ends so.
fn ends(world: &mut BackupWorld, seconds: i64, result: Option<TaskResult>) {
    let job = world.all.last_mut().unwrap();
    job.state = ended(result);
    world.seen.pin_jobs = vec![job.clone()];
    world.settle(after(seconds));
}

#[test]
fn a_backup_that_nobody_wants_pinned_costs_nothing() {
    let mut world = complete();
    let quiet = world.settle(after(100));
    assert_eq!(quiet.next, Next::OnChange);
    assert_eq!(world.seen.backup.status.as_ref().unwrap().pin, None);
}

#[test]
fn each_wish_is_told_once_under_the_generation_of_its_spec() {
    let mut world = complete();
    wish(&mut world, Some(true));
    let decision = world.look(after(10));
    let Work::Pin(task) = work(&decision.effects) else {
        panic!("{:?}", decision.effects)
    };
    assert_eq!((task.order, task.pinned), (2, true));
    assert_eq!(
        Some(&task.prefix),
        world.seen.backup.status.as_ref().unwrap().prefix.as_ref()
    );
    world.settle(after(10));
    assert_eq!(names(&world), ["now-p2-0"]);
    ends(&mut world, 20, Some(TaskResult::succeeded("written")));
    let told = pin(&world);
    assert_eq!(
        (told.pinned, told.generation, told.message),
        (true, 2, None)
    );
    assert!(world.all.is_empty(), "what it said stands in the status");

    // Changed twice while the first Job is on: the last wish is told last.
    wish(&mut world, Some(false));
    world.settle(after(30));
    assert_eq!(names(&world), ["now-p3-0"]);
    wish(&mut world, None);
    wish(&mut world, Some(true));
    world.settle(after(31));
    assert_eq!(names(&world), ["now-p5-0"]);
    ends(&mut world, 40, Some(TaskResult::succeeded("written")));
    assert_eq!((pin(&world).pinned, pin(&world).generation), (true, 5));
}

#[test]
fn a_wish_taken_back_before_it_was_told_is_told_all_the_same() {
    let mut world = complete();
    wish(&mut world, Some(true));
    world.settle(after(10));
    wish(&mut world, None);
    world.settle(after(11));
    assert_eq!(
        names(&world),
        ["now-p3-0"],
        "nobody knows what the first Job has written"
    );
}

#[test]
fn a_store_that_cannot_be_told_is_told_again_and_the_status_says_why() {
    let mut world = complete();
    wish(&mut world, Some(true));
    world.settle(after(10));
    ends(
        &mut world,
        20,
        Some(failure(Reason::StoreUnreachable, Retry::Later)),
    );
    let told = pin(&world);
    assert!(!told.pinned && told.generation == 0);
    assert_eq!((told.trying, told.failed_tries), (2, 1));
    assert!(
        told.message
            .is_some_and(|m| m.contains("could not be told"))
    );
    let at = told.next_try_at.unwrap();
    assert!(at > after(20) && world.all.is_empty());
    let waits = world.settle(after(21));
    assert_eq!(waits.next, Next::At(at));
    world.settle(at);
    assert_eq!(names(&world), ["now-p2-1"]);
    // Another wish begins anew, and at once.
    ends(&mut world, 200, None);
    wish(&mut world, Some(true));
    world.settle(after(201));
    assert_eq!(names(&world), ["now-p3-0"]);
}

#[test]
fn a_backup_that_is_not_complete_is_not_pinned() {
    let mut world = BackupWorld::of(fixtures::manual("now", "2026-11-21T01:59:00Z"));
    world.seen.backup.spec.pin = Some(true);
    world.seen.backup.metadata.generation = Some(1);
    world.settle(now());
    assert_eq!(names(&world), ["now-a1"]);
    world.job_is(ended(Some(success())));
    world.settle(after(5));
    assert_eq!(
        names(&world),
        ["now-p1-0"],
        "as soon as there is something to keep"
    );
}
