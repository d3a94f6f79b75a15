//! Who goes first at one database: dumps and migrations, through whichever policy (M17, M23).

use lifeboat::api::backup_policy::DatabaseFacts;
use lifeboat::api::condition::Truth;
use lifeboat::api::migration_run::MigrationStep;
use lifeboat::api::{BackupPolicy, MigrationRun, Reason};
use lifeboat::backup::line::{awaits_migration, migrating};
use lifeboat::cluster::decision::Next;
use lifeboat::migration::line::{Before, another_goes_first};
use lifeboat::workload::SharedServers;

use crate::fixtures::{self, failure};
use crate::migration_world::{RunWorld, WINDOW, applied, backup, document, planned, run, said_but};
use crate::migrations::{message, ready};
use crate::worlds::{BackupWorld, World, after, kstatus, now, running, waiting};
use lifeboat::task::Retry;

/// Planned, and its worker at the database if `applies`.
fn of_another_policy(name: &str, version: &str, applies: bool) -> MigrationRun {
    let mut world = if applies {
        RunWorld::applying()
    } else {
        RunWorld::rehearsed()
    };
    let like = run(name, version, WINDOW);
    world.seen.run.metadata.name = like.metadata.name;
    world.seen.run.metadata.namespace = Some("elsewhere".to_owned());
    world.seen.run.spec.target = like.spec.target;
    world.seen.run.spec.policy_ref.name = "theirs".to_owned();
    world.seen.run
}

fn policy(system_identifier: &str, name: &str) -> BackupPolicy {
    let mut policy = fixtures::policy();
    policy.metadata.namespace = Some("third".to_owned());
    policy.status.get_or_insert_default().database = Some(DatabaseFacts {
        major: 17,
        system_identifier: Some(system_identifier.to_owned()),
        name: Some(name.to_owned()),
        ..DatabaseFacts::default()
    });
    policy
}

#[test]
fn m17_a_dump_of_the_database_goes_first() {
    let mut world = RunWorld::rehearsed();
    world.seen.dumping = Some("other".to_owned());
    world.approve("grace");
    world.settle(after(30));
    assert_eq!(ready(&world)[1], "True/Queued");
    assert!(message(&world).contains("`other`"), "{}", message(&world));
    world.seen.dumping = None;
    world.settle(after(40));
    assert_eq!(world.job(), "index-apply-1");
}

#[test]
fn m17_a_backup_waits_while_a_run_is_at_its_database_and_begins_after_it() {
    let waits = [
        "Unknown/AwaitingMigration",
        "True/AwaitingMigration",
        "False/AwaitingMigration",
    ];
    let mut world = BackupWorld::scheduled();
    world.seen.migrating = Some("index".to_owned());
    let decision = world.settle(now());
    assert_eq!(kstatus(&decision.status.conditions), waits);
    assert!(world.all.is_empty() && awaits_migration(&world.seen.backup));
    world.seen.migrating = None;
    world.settle(after(60));
    assert_eq!(world.all.len(), 1);
    // What runs goes on: the migration's worker sees it and waits.
    world.seen.migrating = Some("index".to_owned());
    world.job_is(running());
    let on = world.settle(after(70));
    assert_eq!(kstatus(&on.status.conditions)[1], "True/Running");
    assert!(!awaits_migration(&world.seen.backup));
}

#[test]
fn m17_a_migration_that_began_between_intention_and_job_goes_first() {
    let mut world = BackupWorld::scheduled();
    let intended = world.look(now());
    assert_eq!(kstatus(&intended.status.conditions)[1], "True/Starting");
    world.seen.migrating = Some("index".to_owned());
    world.settle(after(1));
    assert!(world.all.is_empty() && awaits_migration(&world.seen.backup));
    world.seen.migrating = None;
    world.settle(after(60));
    assert_eq!(world.all.len(), 1);
    assert_eq!(world.seen.backup.status.unwrap().attempt, Some(1));
}

/// Namespaces that an administrator lists beside each other.
fn shared(lists: &[&[&str]]) -> SharedServers {
    serde_json::from_value(serde_json::json!(lists)).unwrap()
}

/// S1: what a server says of itself makes nobody of another namespace wait; who changes the database of the policy itself does.
#[test]
fn no_namespace_waits_for_another_unless_an_administrator_lists_both() {
    let at_work = of_another_policy("theirs-1", "7", true);
    let same = policy("7312", "shop");
    let mine = RunWorld::rehearsed().seen.run;
    let lower = of_another_policy("lower", "6", true);
    let own = mine.metadata.namespace.clone().unwrap();
    for apart in [
        shared(&[]),
        shared(&[
            &["elsewhere", "fourth"],
            &["third", "fourth"],
            &[&own, "third"],
        ]),
    ] {
        assert_eq!(migrating(&same, &apart, [&at_work]), None);
        assert_eq!(another_goes_first(&mine, &apart, [&lower]), None);
    }
    let together = shared(&[&["fourth", "fifth"], &[&own, "elsewhere", "third"]]);
    let named = migrating(&same, &together, [&at_work]);
    assert_eq!(named.as_deref(), Some("elsewhere/theirs-1"));
    let first = another_goes_first(&mine, &together, [&lower]).unwrap();
    assert_eq!(first.name, "elsewhere/lower");
}

/// S1: the bound is that of the wait, whoever is waited for.
#[test]
fn a_backup_waits_for_a_migration_for_two_hours_at_most() {
    let mut world = BackupWorld::scheduled();
    world.seen.migrating = Some("index".to_owned());
    let created = world
        .seen
        .backup
        .metadata
        .creation_timestamp
        .clone()
        .unwrap()
        .0;
    let end = created + jiff::SignedDuration::from_hours(2);
    let decision = world.settle(now());
    assert_eq!(decision.next, Next::At(end));
    assert!(world.all.is_empty() && awaits_migration(&world.seen.backup));
    world.settle(end - jiff::SignedDuration::from_secs(1));
    assert!(world.all.is_empty());
    world.settle(end);
    assert_eq!(world.all.len(), 1);
}

#[test]
fn m17_a_database_is_known_by_its_server_and_name_whatever_policy_leads_there() {
    let all = shared(&[&["elsewhere", "third"]]);
    let migrating = |policy: &BackupPolicy, runs: &[&MigrationRun]| {
        migrating(policy, &all, runs.iter().copied())
    };
    let at_work = of_another_policy("theirs-1", "7", true);
    let planned = of_another_policy("theirs-2", "7", false);
    let same = policy("7312", "shop");
    assert_eq!(
        migrating(&same, &[&planned, &at_work]).as_deref(),
        Some("elsewhere/theirs-1")
    );
    assert_eq!(
        migrating(&same, &[&planned]),
        None,
        "nobody is at the database"
    );
    assert_eq!(migrating(&policy("7312", "other"), &[&at_work]), None);
    assert_eq!(migrating(&policy("9999", "shop"), &[&at_work]), None);
    let mut unknown = policy("7312", "shop");
    unknown.status = None;
    assert_eq!(migrating(&unknown, &[&at_work]), None);
    // Not planned yet, and it names the policy: it may be this one's database.
    unknown.metadata.namespace = at_work.metadata.namespace.clone();
    unknown.metadata.name = Some("theirs".to_owned());
    assert_eq!(
        migrating(&unknown, &[&at_work]).as_deref(),
        Some("theirs-1")
    );
}

#[test]
fn m23_runs_of_one_database_stand_in_line_across_policies() {
    let mine = RunWorld::rehearsed().seen.run;
    let lower = of_another_policy("lower", "6", false);
    let higher = of_another_policy("higher", "8", false);
    let all = shared(&[&[mine.metadata.namespace.as_deref().unwrap(), "elsewhere"]]);
    let first = |others: &[&MigrationRun]| {
        let before = another_goes_first(&mine, &all, others.iter().copied());
        before.map(|before| before.name)
    };
    assert_eq!(
        first(&[&lower, &higher, &mine]).as_deref(),
        Some("elsewhere/lower")
    );
    assert_eq!(first(&[&higher, &mine]), None);
    let at_work = of_another_policy("higher", "8", true);
    assert_eq!(first(&[&at_work]).as_deref(), Some("elsewhere/higher"));
    let mut unplanned = lower.clone();
    unplanned.status = None;
    assert_eq!(
        first(&[&unplanned]),
        None,
        "nobody knows yet which database it changes"
    );
    let mut other = lower;
    let plan = other.status.as_mut().unwrap().plan.as_mut().unwrap();
    plan.database = "another".to_owned();
    assert_eq!(first(&[&other]), None);
}

/// A world whose run waits for approval, and who may be before it.
fn waits() -> (RunWorld, Option<Before>) {
    let first = Before {
        name: "low".to_owned(),
        at_database: true,
        failed: false,
    };
    (RunWorld::rehearsed(), Some(first))
}

#[test]
fn m23_what_was_planned_before_another_run_was_at_the_database_is_planned_anew() {
    let (mut world, first) = waits();
    world.approve("grace");
    world.seen.first = first.map(|first| Before {
        at_database: false,
        ..first
    });
    world.settle(after(30));
    assert_eq!(world.status().unwrap().overtaken_by, None, "not yet");
    world.seen.first = waits().1;
    world.settle(after(40));
    assert_eq!(ready(&world)[1], "True/Queued");
    let by = |world: &RunWorld| world.status().unwrap().overtaken_by.clone();
    assert_eq!(by(&world).as_deref(), Some("low"));
    world.seen.first = None;
    world.settle(after(50));
    assert_eq!(world.job(), "index-plan-2");
    // The history is another one, and so is the plan: nothing that was rehearsed or approved is of it.
    let mut plan = document(3);
    plan.hash = "c".repeat(64);
    plan.history_at = Some(after(45));
    world.seen.document = Some(plan);
    let later = backup("orders-2", "2026-11-21T02:00:55Z", Truth::True);
    world.seen.backups.push(later);
    world.ends(60, Some(planned()));
    let status = world.status().unwrap();
    assert!(status.rehearsal.is_none() && status.approvals.is_empty());
    assert_eq!(status.gate.as_ref().unwrap().backup, "orders-2");
    assert_eq!(world.job(), "index-rehearse-2");
}

#[test]
fn m23_whom_another_run_left_as_it_was_keeps_its_rehearsal_and_its_approval() {
    let (mut world, first) = waits();
    world.approve("grace");
    world.seen.first = first;
    world.settle(after(40));
    world.seen.first = None;
    world.settle(after(50));
    assert_eq!(world.job(), "index-plan-2");
    world.ends(60, Some(planned()));
    assert_eq!(world.job(), "index-apply-1");
}

#[test]
fn m23_a_plan_that_is_made_while_another_run_is_at_the_database_is_made_again() {
    let mut world = RunWorld::new();
    world.settle(now());
    world.seen.first = waits().1;
    world.ends(10, Some(planned()));
    assert_eq!(ready(&world)[1], "True/Queued");
    world.seen.first = None;
    world.settle(after(50));
    assert_eq!(world.job(), "index-plan-2");
    // One that cannot be made anew is none.
    world.ends(60, Some(failure(Reason::ConnectionRefused, Retry::Later)));
    assert_eq!(world.status().unwrap().plan, None);
    world.settle(after(121));
    assert_eq!(world.job(), "index-plan-3");
}

#[test]
fn m23_a_run_of_which_a_part_stands_goes_on_with_its_plan() {
    let mut world = RunWorld::applying();
    world.ends(40, None);
    assert_eq!(world.job(), "index-settle-1");
    world.seen.first = waits().1;
    let part = said_but(Reason::Terminated, applied(1, None, false));
    world.ends(50, Some(part));
    world.seen.first = None;
    world.settle(after(200));
    assert_eq!(world.job(), "index-apply-2");
}

#[test]
fn m17_a_worker_that_made_room_goes_on_after_the_backup_and_as_often_as_it_takes() {
    let mut world = RunWorld::applying();
    for round in 1..=8 {
        let at = i64::from(round) * 1_000;
        let yielded = said_but(Reason::Yielded, applied(1, None, false));
        let later = world.ends(at, Some(yielded));
        assert_eq!(later.next, Next::At(after(at + 60)), "round {round}");
        assert_eq!(ready(&world)[1], "True/Retrying");
        world.seen.dumping = Some("nightly".to_owned());
        world.settle(after(at + 61));
        assert_eq!(ready(&world)[1], "True/Queued");
        world.seen.dumping = None;
        world.settle(after(at + 120));
        assert_eq!(world.running().step, MigrationStep::Apply);
        assert_eq!(world.running().attempt, round + 1);
    }
}

/// What keeps its pod from starting may be mended in the policy, the drill or the store.
#[test]
fn k3_a_job_whose_pod_waits_is_given_up_when_what_it_is_made_from_changes() {
    let mut stuck = RunWorld::new();
    stuck.settle(now());
    stuck.job_is(waiting());
    stuck.look(after(10));
    assert_eq!(stuck.running().given_up, None, "nothing changed");
    stuck.seen.policy.as_mut().unwrap().metadata.generation = Some(20);
    stuck.look(after(20));
    let given_up = stuck.running().given_up.unwrap();
    assert!(given_up.message.contains("changed before"), "{given_up:?}");
    stuck.settle(after(22));
    assert_eq!(ready(&stuck)[1], "True/Retrying");
}
