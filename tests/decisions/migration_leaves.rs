//! A MigrationRun that is deleted, that is looked at by an operator which dies, and that is told anything by its workers.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lifeboat::api::restore_drill::Verdict;
use lifeboat::api::{MigrationRunStatus, Reason};
use lifeboat::cluster::decision::{Effect, Next};
use lifeboat::cluster::seen::JobState;
use lifeboat::task::{MigrationResult, Retry, TaskResult};
use rstest::rstest;

use crate::fixtures::{ended, failure};
use crate::laws::{fits_its_schema, kstatus_is_whole};
use crate::migration_world::{RunWorld, applied, document, planned, rehearsed, said, said_but};
use crate::migrations::ready;
use crate::worlds::{World, after, effects, now, running};

#[test]
fn m24_a_run_that_is_deleted_stops_its_worker_and_asks_before_it_goes() {
    let mut world = RunWorld::applying();
    world.job_is(running());
    world.look(after(35));
    world.is_deleted();
    world.seen.pods = 1;
    assert_eq!(
        effects(&world.look(after(40))),
        ["delete Job index-apply-1"]
    );
    assert!(world.seen.jobs.is_empty());
    let waits = world.look(after(41));
    assert_eq!((effects(&waits), waits.next), (vec![], Next::At(after(51))));
    assert!(
        world.seen.run.metadata.finalizers.is_some(),
        "its pod ends itself"
    );
    world.seen.pods = 0;
    world.settle(after(60));
    assert_eq!(world.job(), "index-settle-1");
    world.job_is(running());
    world.settle(after(61));
    assert_eq!(world.job(), "index-settle-1");
    world.job_is(ended(Some(said(applied(1, None, false)))));
    world.settle(after(70));
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

#[test]
fn m24_the_pods_last_word_spares_the_question() {
    let mut world = RunWorld::applying();
    world.job_is(running());
    world.look(after(35));
    world.is_deleted();
    world.look(after(40));
    world.seen.end = Some(ended(Some(said_but(
        Reason::Terminated,
        applied(1, None, false),
    ))));
    world.settle(after(50));
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
    assert!(world.seen.jobs.is_empty());
}

#[rstest]
#[case::namespace(|w: &mut RunWorld| w.seen.namespace_terminating = true)]
#[case::policy(|w: &mut RunWorld| w.seen.policy = None)]
fn m24_what_cannot_be_asked_any_more_holds_nobody(#[case] spoil: fn(&mut RunWorld)) {
    let mut world = RunWorld::applying();
    world.job_is(running());
    world.look(after(35));
    world.is_deleted();
    world.seen.jobs.clear();
    spoil(&mut world);
    world.look(after(40));
    let decision = world.look(after(41));
    assert!(
        matches!(&decision.effects[0], Effect::SetFinalizers { finalizers, .. } if finalizers.is_empty())
    );
    assert!(decision.notices[0].warning, "and somebody is told");
}

/// Cut off, and what it left cannot be removed: five times.
fn holds_half_done() -> RunWorld {
    let mut world = RunWorld::applying();
    world.ends(40, None);
    let left = || said_but(Reason::InvalidIndexLeft, applied(1, None, true));
    // Whoever holds the table may let go: what was begun is removed then (M4).
    for tried in 1..=4 {
        let waits = world.ends(tried * 100, Some(left()));
        assert_eq!(waits.next, Next::At(after(tried * 100 + 60)));
        assert_eq!(ready(&world)[1], "True/Retrying");
        world.settle(after(tried * 100 + 60));
        assert_eq!(world.job(), format!("index-settle-{}", tried + 1));
    }
    world.ends(500, Some(left()));
    assert_eq!(ready(&world)[2], "True/InvalidIndexLeft");
    world
}

fn is_let_go(world: &RunWorld) -> bool {
    let finalizers = world.seen.run.metadata.finalizers.as_ref();
    finalizers.is_some_and(Vec::is_empty)
}

#[rstest]
#[case::made_way(said(applied(1, None, false)))]
#[case::nobody_can_say(failure(Reason::ConnectionRefused, Retry::Later))]
#[case::it_was_touched(said_but(Reason::HistoryTouched, applied(1, None, true)))]
#[case::still_in_the_way(said_but(Reason::InvalidIndexLeft, applied(1, None, true)))]
fn m4_what_stays_begun_holds_and_is_looked_after_once_more_when_it_is_deleted(
    #[case] last: TaskResult,
) {
    let mut world = holds_half_done();
    let way = world.status().unwrap().way_back.clone().unwrap();
    assert!(way.contains("nobody knows"), "{way}");
    assert!(!is_let_go(&world), "whoever deletes it may have made way");
    world.is_deleted();
    world.seen.run.metadata.deletion_timestamp = Some(Time(after(590)));
    world.settle(after(600));
    assert_eq!(world.job(), "index-settle-6");
    world.ends(610, Some(last));
    assert!(is_let_go(&world));
}

#[test]
fn a_run_without_a_worker_goes_at_once() {
    let mut world = RunWorld::rehearsed();
    world.is_deleted();
    let decision = world.look(after(30));
    assert_eq!(effects(&decision), [""; 0]);
}

fn results() -> Vec<Option<TaskResult>> {
    let long = TaskResult {
        message: "y\n".repeat(5_000),
        ..said_but(Reason::WouldBlock, applied(i64::MAX, None, false))
    };
    let mut locks = rehearsed(Verdict::Passed, 'b');
    locks.rehearsal.as_mut().unwrap().locks = vec!["\u{1b}x".repeat(900); 50];
    let mut elsewhere = rehearsed(Verdict::Passed, 'b');
    elsewhere.rehearsal.as_mut().unwrap().key = "../../other".to_owned();
    vec![
        None,
        Some(planned()),
        Some(said(locks)),
        Some(said(elsewhere)),
        Some(said(rehearsed(Verdict::Failed, 'b'))),
        Some(said(applied(-3, Some(true), false))),
        Some(said(applied(3, Some(true), false))),
        Some(said(MigrationResult::default())),
        Some(said_but(Reason::ConnectionLost, applied(1, None, true))),
        Some(failure(Reason::SecretMissing, Retry::Never)),
        Some(long),
    ]
}

/// Whatever a worker says at whatever step, the status is one that the API server takes and kstatus understands, it
/// comes to rest, and nothing is applied twice at once.
#[test]
fn k30_decisions_about_runs_are_lawful() {
    let mut planning = RunWorld::new();
    planning.settle(now());
    let mut rehearsing = planning.clone();
    rehearsing.ends(10, Some(planned()));
    let applying = RunWorld::applying();
    let mut settling = applying.clone();
    settling.ends(40, None);
    for world in [planning, rehearsing, applying, settling] {
        for result in results() {
            for seconds in [50, 700, 90_000, 10_000_000] {
                let mut world = world.clone();
                world.job_is(ended(result.clone()));
                let mut rested = false;
                for _ in 0..12 {
                    let decision = world.decide(after(seconds));
                    assert_eq!(decision, world.decide(after(seconds)), "a function");
                    kstatus_is_whole::<RunWorld>(&decision.status, true);
                    fits_its_schema::<RunWorld>(&decision.status);
                    let created = |e: &&Effect| matches!(e, Effect::CreateJob { .. });
                    assert!(decision.effects.iter().filter(created).count() <= 1);
                    rested =
                        decision.effects.is_empty() && world.status() == Some(&decision.status);
                    if rested {
                        assert!(!matches!(decision.next, Next::At(t) if t <= after(seconds)));
                        break;
                    }
                    world.carry_out(&decision, after(seconds));
                }
                assert!(rested, "it does not settle: {world:#?}");
                assert!(world.seen.jobs.len() <= 1);
            }
        }
    }
}

/// A crash between the status and the Job, at any point of the way, changes nothing: what was intended is carried out.
#[test]
fn p6_a_run_that_is_looked_at_anew_at_every_point_ends_the_same() {
    let results = [
        planned(),
        said(rehearsed(Verdict::Passed, 'b')),
        said(applied(3, Some(true), false)),
    ];
    let mut world = RunWorld::new();
    let mut created: Vec<String> = Vec::new();
    let mut results = results.into_iter();
    for second in 0..60 {
        // Effects are carried out and the status is not written: the operator died in between.
        let decision = world.decide(after(second));
        let status = world.status().cloned();
        world.carry_out(&decision, after(second));
        match status {
            Some(status) if second % 2 == 0 => world.set_status(status),
            None if second % 2 == 0 => world.seen.run.status = None,
            _ => {}
        }
        created.extend(
            effects(&decision)
                .into_iter()
                .filter(|e| e.starts_with("create")),
        );
        let status = world.status().cloned().unwrap_or_default();
        if status.rehearsal.is_some() && world.seen.approvals.is_empty() {
            world.approve("grace");
        }
        let started =
            |s: &MigrationRunStatus| s.running.as_ref().is_some_and(|r| r.job_uid.is_some());
        let over = world
            .seen
            .jobs
            .iter()
            .any(|j| matches!(j.state, JobState::Ended { .. }));
        if started(&status)
            && !over
            && let Some(result) = results.next()
        {
            world.job_is(ended(Some(result)));
        }
    }
    created.sort();
    created.dedup();
    assert_eq!(
        created,
        [
            "create Job index-apply-1",
            "create Job index-plan-1",
            "create Job index-rehearse-1"
        ]
    );
    assert_eq!(ready(&world)[0], "True/Succeeded");
    assert_eq!(
        document(3).segments,
        world.status().unwrap().execution.as_ref().unwrap().applied
    );
}
