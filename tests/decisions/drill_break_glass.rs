//! The restore by the break-glass script: which runs try it, and what is said of it.

use lifeboat::api::Reason;
use lifeboat::api::restore_drill::{BreakGlass, Verdict};
use lifeboat::cluster::decision::{Decision, Effect};
use lifeboat::task::{BreakGlassResult, DrillResult, TASK_ENV, Task, TaskResult, Work};
use rstest::rstest;

use crate::drills::DAY;
use crate::fixtures::{differs, ended, equal, passed};
use crate::worlds::{DrillWorld, World, after, told};

fn with_script(result: Verdict) -> TaskResult {
    let script = BreakGlassResult {
        result,
        message: "said by the script".to_owned(),
        seconds: 7,
    };
    TaskResult {
        drill: Some(DrillResult {
            break_glass: Some(script),
            ..equal()
        }),
        ..passed()
    }
}

/// Whether the Job that is created tries it.
fn tries<S>(decision: &Decision<S>) -> bool {
    let mut jobs = decision.effects.iter().filter_map(|effect| match effect {
        Effect::CreateJob { job, .. } => Some(job),
        _ => None,
    });
    let job = jobs.next().unwrap();
    let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let env = pod.containers[0].env.as_ref().unwrap();
    let document = env.iter().find(|e| e.name == TASK_ENV).unwrap();
    let task = Task::from_env(document.value.as_deref().unwrap()).unwrap();
    match task.work {
        Work::Drill(task) => task.break_glass,
        _ => unreachable!(),
    }
}

/// One run at this second; answers whether it tried.
fn run(world: &mut DrillWorld, seconds: i64, result: TaskResult) -> bool {
    world.look(after(seconds));
    let tried = tries(&world.look(after(seconds + 1)));
    world.settle(after(seconds + 2));
    world.job_is(ended(Some(result)));
    world.settle(after(seconds + 600));
    tried
}

/// The first day is 21 November.
#[rstest]
#[case::once_a_month(None, [(0, Verdict::Passed, true), (1, Verdict::Passed, false), (9, Verdict::Passed, false), (10, Verdict::Passed, true), (11, Verdict::Passed, false)])]
#[case::again_until_it_passes(None, [(0, Verdict::Failed, true), (1, Verdict::Inconclusive, true), (2, Verdict::Passed, true), (3, Verdict::Passed, false), (10, Verdict::Passed, true)])]
#[case::always(Some(BreakGlass::Always), [(0, Verdict::Passed, true), (1, Verdict::Passed, true), (2, Verdict::Passed, true), (3, Verdict::Passed, true), (4, Verdict::Passed, true)])]
#[case::never(Some(BreakGlass::Never), [(0, Verdict::Passed, false), (1, Verdict::Passed, false), (2, Verdict::Passed, false), (10, Verdict::Passed, false), (11, Verdict::Passed, false)])]
fn p1_the_script_is_drilled_as_often_as_the_spec_says(
    #[case] spec: Option<BreakGlass>,
    #[case] runs: [(i64, Verdict, bool); 5],
) {
    let mut world = DrillWorld::scheduled();
    world.0.drill.spec.break_glass = spec;
    for (day, result, want) in runs {
        let result = if want { with_script(result) } else { passed() };
        assert_eq!(run(&mut world, day * DAY, result), want, "day {day}");
    }
}

#[rstest]
#[case::passed(Verdict::Passed, "True/Succeeded")]
#[case::failed(Verdict::Failed, "False/BreakGlassFailed")]
#[case::could_not_be_tried(Verdict::Inconclusive, "Unknown/Unknown")]
fn what_the_script_did_is_a_condition_and_changes_no_verdict(
    #[case] result: Verdict,
    #[case] want: &str,
) {
    let mut world = DrillWorld::scheduled();
    world.settle(after(0));
    world.job_is(ended(Some(with_script(result))));
    let decision = world.look(after(600));
    let warned = decision.notices.iter().map(|n| n.reason);
    let warned = warned.filter(|r| *r == Reason::BreakGlassFailed).count();
    assert_eq!(warned, usize::from(result == Verdict::Failed));
    let status = decision.status;
    let outcome = status.break_glass.unwrap();
    assert_eq!((outcome.result, outcome.seconds), (result, 7));
    assert_eq!(told(&status.conditions, "BreakGlass"), want);
    assert_eq!(told(&status.conditions, "Passed"), "True/Succeeded");
    assert_eq!(told(&status.conditions, "Ready"), "True/Succeeded");
    assert!(status.last.unwrap().proves);
}

/// What an earlier run said of the script stands until another tries it.
#[test]
fn a_run_that_does_not_try_it_leaves_what_stands() {
    let mut world = DrillWorld::scheduled();
    run(&mut world, 0, with_script(Verdict::Passed));
    for (day, result) in [(1, passed()), (2, differs())] {
        run(&mut world, day * DAY, result);
        let status = world.status().unwrap();
        assert_eq!(told(&status.conditions, "BreakGlass"), "True/Succeeded");
    }
    // A worker that failed has no word about the script.
    let mut lies = differs();
    lies.drill.as_mut().unwrap().break_glass =
        with_script(Verdict::Failed).drill.unwrap().break_glass;
    run(&mut world, 10 * DAY, lies);
    let status = world.status().unwrap();
    assert_eq!(told(&status.conditions, "BreakGlass"), "True/Succeeded");
}
