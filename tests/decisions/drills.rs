//! One RestoreDrill: its runs, what ends them, and what is said of it.

use lifeboat::api::Reason;
use lifeboat::api::restore_drill::{RunningDrill, Verdict};
use lifeboat::cluster::decision::Next;
use lifeboat::cluster::seen::JobState;
use lifeboat::task::{DrillResult, Retry, TaskResult};
use rstest::rstest;

use crate::fixtures::{at, differs, ended, equal, failure, passed};
use crate::worlds::{
    DrillWorld, World, after, effects, kstatus, now, of_jobs, running, told, waiting,
};

const JOB: &str = "nightly-20261121t0200z-d1";
pub const DAY: i64 = 86_400;

/// Its Job is in the cluster and was seen.
pub fn begun() -> DrillWorld {
    let mut world = DrillWorld::scheduled();
    world.settle(now());
    world
}

fn ended_as(result: Option<TaskResult>) -> DrillWorld {
    let mut world = begun();
    world.job_is(ended(result));
    world
}

/// A drill whose last runs ended with these results, one a day.
fn with_history(results: impl IntoIterator<Item = TaskResult>) -> DrillWorld {
    let mut world = DrillWorld::scheduled();
    for (day, result) in (0..).zip(results) {
        world.settle(after(day * DAY));
        world.job_is(ended(Some(result)));
        world.settle(after(day * DAY + 600));
    }
    world
}

fn changed(result: DrillResult, message: &str) -> TaskResult {
    TaskResult {
        drill: Some(result),
        ..TaskResult::succeeded(message)
    }
}

fn took(seconds: i64) -> TaskResult {
    let mut result = equal();
    result.rto.as_mut().unwrap().total = seconds;
    changed(result, "equal")
}

fn scored(score: i32) -> TaskResult {
    changed(
        DrillResult {
            score: Some(score),
            ..equal()
        },
        "equal",
    )
}

fn wrong_major(major: i32) -> TaskResult {
    TaskResult {
        found_major: Some(major),
        ..failure(Reason::WrongMajor, Retry::Never)
    }
}

pub fn run_of(world: &DrillWorld) -> RunningDrill {
    world.status().unwrap().running.clone().unwrap()
}

pub fn reasons(world: &mut DrillWorld, seconds: i64) -> Vec<Reason> {
    let decision = world.look(after(seconds));
    decision.notices.iter().map(|n| n.reason).collect()
}

#[test]
fn p6_a_run_is_written_down_before_its_job_is_created() {
    let mut world = DrillWorld::scheduled();
    let first = world.look(now());
    assert_eq!(effects(&first), [""; 0]);
    let run = run_of(&world);
    assert_eq!(
        (run.run.as_str(), run.due),
        ("nightly-20261121t0200z", at("2026-11-21T02:00:00Z"))
    );
    assert_eq!((run.started_at, run.attempt), (now(), 1));
    assert_eq!(run.deadline_seconds, 14_400);
    assert_eq!(first.status.last_schedule_time, Some(run.due));
    let second = world.look(after(1));
    assert_eq!(of_jobs(&second), [format!("create Job {JOB}")]);
    let seen = world.look(after(2));
    assert_eq!(run_of(&world).job_uid, Some(format!("uid-of-{JOB}")));
    assert_eq!(seen.notices[0].reason, Reason::Started);
}

#[rstest]
#[case::waiting(waiting(), ["Unknown/Starting", "True/Starting", "False/Starting"], "Unknown/Pending")]
#[case::running(running(), ["Unknown/Running", "True/Running", "False/Running"], "Unknown/Pending")]
#[case::passed(ended(Some(passed())), ["True/Succeeded", "False/Idle", "False/Idle"], "True/Succeeded")]
#[case::failed(ended(Some(differs())), ["False/Differs", "False/Idle", "True/Differs"], "False/Differs")]
#[case::out_of_time(ended(Some(failure(Reason::DeadlineExceeded, Retry::Later))), ["False/DeadlineExceeded", "False/Idle", "True/DeadlineExceeded"], "Unknown/DeadlineExceeded")]
#[case::no_identity(ended(Some(failure(Reason::IdentityMissing, Retry::Never))), ["False/IdentityMissing", "False/Idle", "True/IdentityMissing"], "Unknown/IdentityMissing")]
#[case::without_a_result(ended(None), ["False/ResultLost", "False/Idle", "True/ResultLost"], "Unknown/ResultLost")]
#[case::success_without_a_verdict(ended(Some(TaskResult::succeeded("trust me"))), ["False/ProtocolError", "False/Idle", "True/ProtocolError"], "Unknown/ProtocolError")]
#[case::another_major(ended(Some(wrong_major(16))), ["Unknown/Starting", "True/Starting", "False/Starting"], "Unknown/Pending")]
fn a_jobs_state_is_the_drills(
    #[case] state: JobState,
    #[case] want: [&str; 3],
    #[case] verdict: &str,
) {
    let mut world = begun();
    world.job_is(state);
    let decision = world.look(after(10));
    assert_eq!(kstatus(&decision.status.conditions), want);
    assert_eq!(told(&decision.status.conditions, "Passed"), verdict);
    assert_eq!(effects(&decision), [""; 0], "K16");
}

#[test]
fn k16_the_job_goes_when_its_outcome_stands_in_the_status() {
    let mut world = ended_as(Some(passed()));
    let done = world.look(after(200));
    assert_eq!(done.status.running, None);
    assert_eq!(effects(&done), [""; 0]);
    assert_eq!(
        effects(&world.look(after(201))),
        [format!("delete Job {JOB}")]
    );
    let rest = world.settle(after(202));
    assert_eq!(rest.next, Next::At(at("2026-11-22T02:00:00Z")));
}

#[test]
fn an_outcome_says_what_was_drilled_and_where_its_report_stands() {
    let mut world = ended_as(Some(passed()));
    let status = world.settle(after(200)).status;
    let last = status.last.unwrap();
    assert_eq!(last.run, "nightly-20261121t0200z");
    assert_eq!((last.result, last.proves), (Verdict::Passed, true));
    assert_eq!(last.finished_at, after(200));
    assert_eq!(
        last.report_key.as_deref(),
        Some("shop.orders/20261121T010000Z-0a1b2c3d4e5f/proofs/nightly-20261121t0200z.json")
    );
    let record = &status.history[0];
    assert_eq!((record.rto, record.score), (Some(100), Some(100)));
    assert_eq!(record.backup.as_deref(), Some("orders-20261121t0100z"));
}

/// P10: only a result that says so is a failure, only a whole one a proof.
#[rstest]
#[case::less_than_all(TaskResult { reason: Reason::Partial, ..passed() }, Verdict::Passed, "Partial", false)]
#[case::claims_less_tables(
    { let mut d = equal(); d.tables.as_mut().unwrap().equal = 4; changed(d, "x") },
    Verdict::Passed, "Succeeded", false)]
#[case::passed_for_a_failure(TaskResult { reason: Reason::Differs, ..passed() }, Verdict::Inconclusive, "ProtocolError", false)]
#[case::failed_for_success(TaskResult { reason: Reason::Succeeded, ..differs() }, Verdict::Inconclusive, "ProtocolError", false)]
#[case::failed_that_proves({ let mut r = differs(); r.drill.as_mut().unwrap().proves = true; r }, Verdict::Failed, "Differs", false)]
#[case::could_not_tell(
    { let mut r = differs(); r.drill.as_mut().unwrap().result = Verdict::Inconclusive; r.reason = Reason::NoRoom; r },
    Verdict::Inconclusive, "NoRoom", false)]
#[case::differs_without_a_verdict(
    failure(Reason::Differs, Retry::Never),
    Verdict::Inconclusive,
    "Differs",
    false
)]
fn p10_a_worker_is_believed_no_more_than_it_shows(
    #[case] result: TaskResult,
    #[case] verdict: Verdict,
    #[case] reason: &str,
    #[case] proves: bool,
) {
    let mut world = ended_as(Some(result));
    let last = world.settle(after(200)).status.last.unwrap();
    assert_eq!(
        (last.result, last.reason.as_str(), last.proves),
        (verdict, reason, proves)
    );
}

#[test]
fn k14_what_a_worker_says_of_names_and_figures_is_bounded() {
    let mut boast = equal();
    boast.score = Some(7_000);
    boast.backup = Some("../../etc\u{1b}".to_owned());
    boast.prefix = Some("../elsewhere".to_owned());
    boast.rto.as_mut().unwrap().total = -5;
    boast.tables.as_mut().unwrap().compared = -1;
    boast.mismatches = vec!["\u{1b}[31mx".repeat(900); 40];
    let mut world = ended_as(Some(changed(boast, "x")));
    let last = world.settle(after(200)).status.last.unwrap();
    assert_eq!(
        (last.score, last.backup, last.prefix),
        (Some(100), None, None)
    );
    assert_eq!(last.report_key, None, "nobody knows where");
    assert_eq!(last.rto.unwrap().total, 0);
    assert_eq!(last.tables.unwrap().compared, 0);
    assert!(!last.proves);
    assert_eq!(last.mismatches.len(), 10);
    assert!(
        last.mismatches
            .iter()
            .all(|m| m.chars().count() == 256 && !m.contains('\u{1b}'))
    );
}

#[test]
fn k20_another_major_is_tried_at_once_with_it_three_times_at_most() {
    let mut world = begun();
    for (attempt, major) in [(2, 16), (3, 15)] {
        world.job_is(ended(Some(wrong_major(major))));
        world.look(after(60));
        let run = run_of(&world);
        assert_eq!((run.attempt, run.major), (attempt, Some(major)));
        assert_eq!((run.job_uid, run.started_at), (None, now()));
        let next = world.look(after(61));
        assert_eq!(
            of_jobs(&next),
            [
                format!("delete Job nightly-20261121t0200z-d{}", attempt - 1),
                format!("create Job nightly-20261121t0200z-d{attempt}"),
            ]
        );
        world.settle(after(62));
    }
    world.job_is(ended(Some(wrong_major(14))));
    let last = world.settle(after(63)).status.last.unwrap();
    assert_eq!(
        (last.result, last.reason.as_str()),
        (Verdict::Inconclusive, "WrongMajor")
    );
}

#[rstest]
#[case::of_the_drill(|w: &mut DrillWorld| w.0.drill.spec.postgres.get_or_insert_default().image = Some("docker.io/x:1".to_owned()))]
#[case::of_the_policy(|w: &mut DrillWorld| {
    let policy = w.0.policy.as_mut().unwrap();
    policy.spec.template.get_or_insert_default().postgres_image = Some("docker.io/x:1".to_owned());
})]
fn k20_who_names_the_image_is_told_which_major_it_must_have(#[case] name: fn(&mut DrillWorld)) {
    let mut world = DrillWorld::scheduled();
    name(&mut world);
    world.settle(now());
    assert_eq!(run_of(&world).major, None);
    world.job_is(ended(Some(wrong_major(16))));
    let last = world.settle(after(60)).status.last.unwrap();
    assert_eq!(
        (last.result, last.reason.as_str()),
        (Verdict::Inconclusive, "WrongMajor")
    );
    assert!(
        last.message
            .contains("set spec.postgres.image to an image of major version 16"),
        "{}",
        last.message
    );
}

#[rstest]
#[case::starting(Reason::Starting, "StartDeadlineExceeded")]
#[case::image(Reason::ImagePullFailed, "ImagePullFailed")]
fn k7_a_pod_that_does_not_start_is_given_up_for_the_reason_that_is_seen(
    #[case] reason: Reason,
    #[case] want: &str,
) {
    let mut world = begun();
    let why = "ErrImagePull".to_owned();
    world.job_is(JobState::Waiting { reason, why });
    assert_eq!(effects(&world.look(after(899))), [""; 0]);
    world.look(after(900));
    assert!(run_of(&world).given_up.is_some(), "written down first");
    assert_eq!(
        effects(&world.look(after(901))),
        [format!("delete Job {JOB}")]
    );
    let last = world.settle(after(902)).status.last.unwrap();
    assert_eq!(
        (last.result, last.reason.as_str()),
        (Verdict::Inconclusive, want)
    );
}

/// What keeps a pod from starting may be mended in the drill, the policy or the store: it begins anew at once, as often as majors are
/// tried.
#[test]
fn k3_a_run_whose_pod_waits_begins_anew_when_what_it_is_made_from_changes() {
    let mut world = begun();
    for attempt in [2, 3] {
        let (reason, why) = (Reason::ImagePullFailed, "ErrImagePull".to_owned());
        world.job_is(JobState::Waiting { reason, why });
        assert_eq!(effects(&world.look(after(10))), [""; 0], "nothing changed");
        world.0.drill.metadata.generation = Some(i64::from(attempt) + 10);
        world.look(after(20));
        let given_up = run_of(&world).given_up.unwrap();
        assert!(given_up.message.contains("changed before"), "{given_up:?}");
        let removed = effects(&world.look(after(21)));
        assert!(removed[0].starts_with("delete Job nightly"), "{removed:?}");
        world.settle(after(22));
        let run = run_of(&world);
        assert_eq!((run.attempt, run.given_up), (attempt, None));
    }
    let (reason, why) = (Reason::ImagePullFailed, "ErrImagePull".to_owned());
    world.job_is(JobState::Waiting { reason, why });
    world.0.drill.metadata.generation = Some(20);
    let last = world.settle(after(60)).status.last.unwrap();
    assert_eq!(last.reason, "ImagePullFailed");
}

#[test]
fn p6_a_job_that_was_seen_and_is_gone_is_not_made_anew() {
    let mut world = begun();
    world.0.jobs.clear();
    let lost = world.settle(after(60));
    assert_eq!(lost.status.last.unwrap().reason, "ResultLost");
    assert!(world.0.jobs.is_empty());
}

#[test]
fn p4_a_pod_that_outlives_its_deadlines_ends_and_its_late_verdict_still_counts() {
    let mut world = begun();
    world.job_is(running());
    let end = 900 + 14_400 + 1_200;
    world.look(after(end - 1));
    assert!(run_of(&world).given_up.is_none());
    world.look(after(end));
    let mut late = world.clone();
    late.job_is(ended(Some(differs())));
    let last = late.settle(after(end + 1)).status.last.unwrap();
    assert_eq!(last.result, Verdict::Failed);
    let last = world.settle(after(end + 1)).status.last.unwrap();
    assert_eq!(last.reason, "ResultLost");
}

#[test]
fn a_job_that_cannot_be_created_ends_the_run_after_a_quarter_of_an_hour() {
    let mut world = DrillWorld::scheduled();
    world.look(now());
    let tried = world.decide(after(899));
    assert_eq!(of_jobs(&tried), [format!("create Job {JOB}")]);
    let last = world.look(after(900)).status.last.unwrap();
    assert_eq!(last.reason, "StartDeadlineExceeded");
}

#[test]
fn a_failed_run_stalls_the_drill_until_one_passes() {
    let mut world = with_history([differs()]);
    let failed = world.settle(after(601)).status;
    assert_eq!(kstatus(&failed.conditions)[2], "True/Differs");
    world.settle(after(DAY));
    let on = world.settle(after(DAY + 1)).status;
    assert_eq!(kstatus(&on.conditions)[2], "False/Starting");
    assert_eq!(
        told(&on.conditions, "Passed"),
        "False/Differs",
        "until told otherwise"
    );
    world.job_is(ended(Some(passed())));
    let passed = world.settle(after(DAY + 600)).status;
    assert_eq!(told(&passed.conditions, "Passed"), "True/Succeeded");
}

#[test]
fn the_history_is_newest_first_and_as_long_as_asked() {
    let mut world = with_history((0..12).map(|_| passed()));
    let history = &world.status().unwrap().history;
    assert_eq!(history.len(), 10);
    assert_eq!(history[0].run, "nightly-20261202t0200z");
    world.0.drill.spec.history = Some(2);
    world.settle(after(12 * DAY));
    world.job_is(ended(Some(passed())));
    assert_eq!(world.settle(after(12 * DAY + 600)).status.history.len(), 2);
}

#[rstest]
#[case::too_few_to_tell(vec![took(100), took(100), took(400)], "absent")]
#[case::as_quick(vec![took(100), took(110), took(90), took(120)], "False/Succeeded")]
#[case::slower_by_half(vec![took(200), took(210), took(190), took(300)], "True/RegressionDetected")]
#[case::slower_but_quick_still(vec![took(20), took(21), took(19), took(70)], "False/Succeeded")]
#[case::failures_do_not_count(vec![took(200), took(210), differs(), took(900)], "absent")]
#[case::the_score_fell(vec![scored(100), scored(97)], "True/RegressionDetected")]
#[case::and_rose(vec![scored(97), scored(97), scored(97), scored(100)], "False/Succeeded")]
fn a_drill_that_passes_and_is_worse_than_before_says_so(
    #[case] results: Vec<TaskResult>,
    #[case] want: &str,
) {
    let world = with_history(results);
    assert_eq!(
        told(&world.status().unwrap().conditions, "Regression"),
        want
    );
    assert_eq!(
        told(&world.status().unwrap().conditions, "Passed"),
        "True/Succeeded"
    );
}

#[rstest]
#[case::not_tried(None, "absent")]
#[case::closed(Some(true), "True/Succeeded")]
#[case::open(Some(false), "False/NotIsolated")]
fn g30_whether_the_source_could_be_reached_is_a_condition(
    #[case] isolated: Option<bool>,
    #[case] want: &str,
) {
    let result = DrillResult {
        isolated,
        ..equal()
    };
    let mut world = ended_as(Some(changed(result, "equal")));
    let status = world.settle(after(200)).status;
    assert_eq!(told(&status.conditions, "Isolated"), want);
    assert_eq!(told(&status.conditions, "Ready"), "True/Succeeded");
}
