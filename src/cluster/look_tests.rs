//! Jobs and pods as clusters show them (K14, K23).

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use rstest::rstest;

use super::super::ends::Ends;
use super::super::seen::{JobState, never_started};
use super::*;

const RESULT: &str = r#"{"message":"done","version":1,"reason":"Succeeded","retry":"Never"}"#;

fn now() -> Timestamp {
    "2026-11-21T02:10:00Z".parse().unwrap()
}

fn job(condition: &str) -> Job {
    let conditions = match condition {
        "" => String::new(),
        type_ => format!(
            "status: {{conditions: [{{type: {type_}, status: 'True', reason: DeadlineExceeded, message: too late}}]}}"
        ),
    };
    serde_saphyr::from_str(&format!(
        "
metadata: {{name: b-a1, namespace: shop, uid: job-uid, creationTimestamp: 2026-11-21T02:00:00Z, labels: {{lifeboat.dev/owner-uid: owner}}}}
{conditions}
"
    ))
    .unwrap()
}

fn pod(uid: &str, status: &str) -> Pod {
    serde_saphyr::from_str(&format!(
        "
metadata:
  name: {uid}
  namespace: shop
  uid: {uid}
  labels: {{lifeboat.dev/task: backup, lifeboat.dev/owner-uid: u}}
  ownerReferences: [{{apiVersion: batch/v1, kind: Job, name: b-a1, uid: job-uid, controller: true}}]
status: {status}
"
    ))
    .unwrap()
}

fn work(state: &str) -> String {
    format!(
        "{{phase: Running, containerStatuses: [{{name: sidecar, image: i, imageID: i, ready: true, restartCount: 0, state: {{terminated: {{exitCode: 0, message: '{RESULT}'}}}}}}, {{name: work, image: i, imageID: i, ready: true, restartCount: 0, state: {state}}}]}}"
    )
}

fn see(job: &Job, pods: &[&Pod]) -> JobState {
    seen_job(job, pods, &Ends::default(), now()).state
}

fn why(state: JobState) -> String {
    match state {
        JobState::Ended { result, why, .. } => {
            assert_eq!(result, None);
            why
        }
        JobState::Waiting { why, .. } => why,
        JobState::Running { .. } => unreachable!("it runs"),
    }
}

#[rstest]
#[case::ours("initContainerStatuses", "install", "registry.example/lifeboat:1")]
#[case::postgres("containerStatuses", "work", "registry.example/postgres:17")]
fn k10_an_image_that_cannot_be_pulled_is_named(
    #[case] list: &str,
    #[case] container: &str,
    #[case] image: &str,
) {
    let status = format!(
        "{{phase: Pending, {list}: [{{name: {container}, image: '{image}', imageID: '', ready: false, restartCount: 0, \
         state: {{waiting: {{reason: ErrImagePull, message: 'not found'}}}}}}]}}"
    );
    let JobState::Waiting { reason, why } = see(&job(""), &[&pod("p1", &status)]) else {
        panic!("it does not wait");
    };
    assert_eq!(reason, Reason::ImagePullFailed);
    assert_eq!(
        why,
        format!("image {image} of container {container}: ErrImagePull: not found")
    );
    assert_eq!(never_started(reason), Reason::ImagePullFailed);
    assert_eq!(
        never_started(Reason::Starting),
        Reason::StartDeadlineExceeded
    );
}

#[test]
fn k14_only_the_container_work_counts() {
    let running = pod("p1", &work("{running: {startedAt: 2026-11-21T02:01:00Z}}"));
    let since = "2026-11-21T02:01:00Z".parse().unwrap();
    assert_eq!(
        see(&job(""), &[&running]),
        JobState::Running {
            since,
            pod_uid: "p1".to_owned()
        }
    );
    let state = format!("{{terminated: {{exitCode: 0, message: '{RESULT}'}}}}");
    let ended = pod("p1", &work(&state));
    let JobState::Ended {
        result, pod_uid, ..
    } = see(&job(""), &[&ended])
    else {
        unreachable!()
    };
    assert_eq!(result.unwrap().message, "done");
    assert_eq!(pod_uid.as_deref(), Some("p1"));
}

#[rstest]
#[case::oom(
    "{phase: Succeeded, containerStatuses: [{name: work, image: i, imageID: i, ready: false, restartCount: 0, state: {terminated: {exitCode: 0, reason: OOMKilled}}}]}",
    "OOMKilled, exit code 0"
)]
#[case::killed(
    "{phase: Failed, containerStatuses: [{name: work, image: i, imageID: i, ready: false, restartCount: 0, state: {terminated: {exitCode: 137, reason: Error, message: 'not ours'}}}]}",
    "exit code 137"
)]
#[case::evicted(
    "{phase: Failed, reason: Evicted, message: 'node was low on memory'}",
    "Evicted: node was low on memory"
)]
#[case::deadline("{phase: Failed, reason: DeadlineExceeded}", "DeadlineExceeded")]
#[case::init(
    "{phase: Failed, initContainerStatuses: [{name: install, image: i, imageID: i, ready: false, restartCount: 0, state: {terminated: {exitCode: 2, message: 'no room'}}}]}",
    "container install exit code 2: no room"
)]
#[case::image(
    "{phase: Pending, initContainerStatuses: [{name: install, image: i, imageID: i, ready: false, restartCount: 0, state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image x'}}}]}",
    "image i of container install: ImagePullBackOff: Back-off pulling image x"
)]
#[case::unschedulable(
    "{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '0/1 nodes'}]}",
    "Unschedulable: 0/1 nodes"
)]
#[case::starting("{phase: Pending}", "its pod is starting")]
fn k23_a_pod_without_a_result_says_why(#[case] status: &str, #[case] expected: &str) {
    for condition in ["", "Complete", "Failed"] {
        assert_eq!(why(see(&job(condition), &[&pod("p1", status)])), expected);
    }
}

#[test]
fn k2_a_finished_job_whose_pod_lives_has_not_ended() {
    let running = pod("p1", &work("{running: {startedAt: 2026-11-21T02:01:00Z}}"));
    assert!(matches!(
        see(&job("Failed"), &[&running]),
        JobState::Running { .. }
    ));
    let state = format!("{{terminated: {{exitCode: 0, message: '{RESULT}'}}}}");
    let ended = pod("p2", &work(&state));
    assert!(matches!(
        see(&job(""), &[&ended, &running]),
        JobState::Running { .. }
    ));
}

#[test]
fn k3_failure_target_is_not_yet_the_end() {
    assert!(matches!(
        see(&job("FailureTarget"), &[]),
        JobState::Waiting { .. }
    ));
}

#[test]
fn k23_an_end_that_was_seen_for_a_moment_is_remembered() {
    let ends = Ends::default();
    let state = format!("{{terminated: {{exitCode: 0, message: '{RESULT}'}}}}");
    ends.saw_pod(&pod("p1", &work(&state)));
    ends.saw_pod(&pod("p1", "{phase: Failed, reason: NodeLost}"));
    // One of another namespace, and one that lacks a label of ours, end nobody's Job.
    let mut elsewhere = pod("p2", &work(&state));
    elsewhere.metadata.namespace = Some("elsewhere".to_owned());
    ends.saw_pod(&elsewhere);
    let mut bare = pod("p3", &work(&state));
    bare.metadata.namespace = Some("third".to_owned());
    bare.labels_mut().remove("lifeboat.dev/owner-uid");
    ends.saw_pod(&bare);
    assert!(ends.of(Some("elsewhere"), "job-uid").is_some());
    assert!(ends.of(Some("third"), "job-uid").is_none());
    let seen = seen_job(&job("Complete"), &[], &ends, now());
    assert!(matches!(
        seen.state,
        JobState::Ended {
            result: Some(_),
            ..
        }
    ));
    assert_eq!(seen.owner_uid, "owner");
}

#[test]
fn a_finished_job_without_a_pod_waits_for_the_pods_watch_and_then_has_ended() {
    let ends = Ends::default();
    let first = seen_job(&job("Failed"), &[], &ends, now()).state;
    assert!(matches!(first, JobState::Waiting { .. }));
    let later = now() + jiff::SignedDuration::from_secs(11);
    let then = seen_job(&job("Failed"), &[], &ends, later).state;
    assert_eq!(why(then), "DeadlineExceeded: too late");
}

#[test]
fn what_a_pod_says_is_bounded_and_clean() {
    let long = format!(
        "{{phase: Failed, reason: \"a\\u0007b\", message: '{}'}}",
        "x".repeat(5_000)
    );
    let text = why(see(&job(""), &[&pod("p1", &long)]));
    assert_eq!(text.chars().count(), 300);
    assert!(!text.chars().any(char::is_control));
}

#[test]
fn memory_of_ends_is_bounded() {
    let ends = Ends::default();
    for n in 0..5_000 {
        let _ = ends.finished_since(None, &format!("job-{n}"), now());
    }
    let later = now() + jiff::SignedDuration::from_secs(60);
    assert_eq!(
        ends.finished_since(None, "job-0", later),
        later,
        "the oldest went"
    );
    assert_eq!(ends.finished_since(None, "job-4999", later), now());
}
