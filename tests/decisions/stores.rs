//! One store: its probes, and what they say of it.

use lifeboat::api::{REQUESTED_AT, Reason};
use lifeboat::cluster::decision::Next;
use lifeboat::cluster::seen::JobState;
use lifeboat::task::{ProbeResult, Retry, TaskResult};
use rstest::rstest;

use crate::fixtures::{ended, failure, probed};
use crate::worlds::{StoreWorld, World, after, effects, kstatus, now, running, told, waiting};

fn probing(state: JobState) -> StoreWorld {
    let mut world = StoreWorld::new();
    world.settle(now());
    world.0.probe_job.as_mut().unwrap().state = state;
    world
}

fn denied(probe: ProbeResult) -> TaskResult {
    TaskResult {
        probe: Some(probe),
        ..probed()
    }
}

#[test]
fn a_new_store_is_probed_at_once() {
    let decision = StoreWorld::new().decide(now());
    assert_eq!(decision.effects.len(), 1);
    assert!(effects(&decision)[0].starts_with("create Job primary-probe-"));
    assert_eq!(
        kstatus(&decision.status.conditions),
        ["Unknown/Pending", "True/Starting", "False/Idle"]
    );
}

#[rstest]
#[case::waiting(waiting(), ["Unknown/Pending", "True/Starting", "False/Idle"])]
#[case::running(running(), ["Unknown/Pending", "True/Running", "False/Idle"])]
#[case::well(ended(Some(probed())), ["True/Succeeded", "False/Idle", "False/Idle"])]
#[case::failed(ended(Some(failure(Reason::BucketNotFound, Retry::Never))), ["False/BucketNotFound", "True/Retrying", "False/Idle"])]
#[case::without_a_result(ended(None), ["False/ResultLost", "True/Retrying", "False/Idle"])]
#[case::k14_it_lies_about_writing(ended(Some(denied(ProbeResult { writable: Some(false), ..ProbeResult::default() }))), ["False/StoreAccessDenied", "True/Retrying", "False/Idle"])]
#[case::k14_it_lies_about_credentials(ended(Some(denied(ProbeResult { credentials_valid: Some(false), ..ProbeResult::default() }))), ["False/StoreCredentialsInvalid", "True/Retrying", "False/Idle"])]
#[case::k14_it_says_nothing(ended(Some(TaskResult::succeeded("fine"))), ["False/ProtocolError", "True/Retrying", "False/Idle"])]
fn a_probes_end_is_the_stores(#[case] state: JobState, #[case] want: [&str; 3]) {
    let decision = probing(state).decide(after(30));
    assert_eq!(kstatus(&decision.status.conditions), want);
    assert_eq!(effects(&decision), [""; 0]);
}

#[test]
fn k34_a_store_without_conditional_writes_is_ready_and_says_so() {
    let probe = ProbeResult {
        conditional_writes: Some(false),
        ..probed().probe.unwrap()
    };
    let decision = probing(ended(Some(denied(probe)))).decide(after(30));
    let conditions = &decision.status.conditions;
    assert_eq!(told(conditions, "Ready"), "True/Succeeded");
    assert_eq!(told(conditions, "Writable"), "True/Succeeded");
    assert_eq!(
        told(conditions, "ConditionalWrites"),
        "False/NotSupportedByStore"
    );
}

#[test]
fn k16_a_probes_job_goes_when_its_answer_stands_in_the_status() {
    let mut world = probing(ended(Some(probed())));
    let job = world.0.probe_job.clone().unwrap().name;
    assert_eq!(effects(&world.look(after(30))), [""; 0]);
    assert_eq!(
        effects(&world.look(after(31))),
        [format!("delete Job {job}")]
    );
    let settled = world.settle(after(32));
    let Next::At(next) = settled.next else {
        panic!("a probe comes again")
    };
    assert!(next > after(3_600) && next < after(8 * 3_600), "{next}");
}

#[test]
fn k20_a_failed_probe_comes_again_and_its_try_has_a_name_of_its_own() {
    let mut world = probing(ended(Some(failure(Reason::StoreUnreachable, Retry::Later))));
    let first = world.0.probe_job.clone().unwrap().name;
    world.settle(after(30));
    assert!(world.0.probe_job.is_none());
    world.settle(after(30 + 66));
    let second = world.0.probe_job.clone().unwrap().name;
    assert_ne!(first, second);
}

#[test]
fn k21_requested_at_probes_now_and_once() {
    let mut world = probing(ended(Some(probed())));
    world.settle(after(30));
    let annotations = world.0.store.metadata.annotations.get_or_insert_default();
    annotations.insert(REQUESTED_AT.to_owned(), "now".to_owned());
    let asked = world.settle(after(40));
    assert_eq!(
        kstatus(&asked.status.conditions),
        ["True/Succeeded", "True/Starting", "False/Idle"]
    );
    world.0.probe_job.as_mut().unwrap().state = ended(Some(probed()));
    let answered = world.settle(after(50));
    assert_eq!(kstatus(&answered.status.conditions)[1], "False/Idle");
    assert!(world.0.probe_job.is_none());
    assert_eq!(world.settle(after(60)).status, answered.status);
}

#[test]
fn a_changed_spec_is_probed_anew_and_is_not_ready_before() {
    let mut world = probing(ended(Some(probed())));
    world.settle(after(30));
    world.0.store.metadata.generation = Some(2);
    let changed = world.settle(after(40));
    assert_eq!(
        kstatus(&changed.status.conditions),
        ["Unknown/Pending", "True/Starting", "False/Idle"]
    );
    assert_eq!(changed.status.observed_generation, Some(2));
    assert!(world.0.probe_job.is_some());
}

#[test]
fn a_spec_that_cannot_work_stalls_and_keeps_what_was_learnt() {
    let mut world = probing(ended(Some(probed())));
    world.settle(after(30));
    world.0.store.spec.encryption.recipients.clear();
    let stalled = world.settle(after(40)).status;
    assert_eq!(
        kstatus(&stalled.conditions),
        ["False/InvalidSpec", "False/InvalidSpec", "True/InvalidSpec"]
    );
    assert_eq!(told(&stalled.conditions, "Writable"), "True/Succeeded");
    assert!(
        stalled.conditions[0]
            .message
            .contains("spec.encryption.recipients")
    );
}

#[rstest]
fn what_is_being_deleted_is_left_alone(#[values(true, false)] namespace: bool) {
    let mut world = probing(ended(Some(probed())));
    world.0.namespace_terminating = namespace;
    let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now());
    world.0.store.metadata.deletion_timestamp = (!namespace).then_some(time);
    let decision = world.decide(after(60));
    assert_eq!(effects(&decision), [""; 0]);
    assert_eq!(Some(&decision.status), world.status());
    assert_eq!(decision.next, Next::OnChange);
}

/// Probes of a store that was away come ever more rarely: a backup that went through meanwhile asks for one at once.
#[test]
fn a_backup_that_went_through_has_a_failed_store_probed_again_at_once() {
    let mut world = probing(ended(Some(failure(Reason::StoreUnreachable, Retry::Later))));
    let failed = world.settle(after(30)).status;
    let later = failed.next_probe.clone().unwrap().at;
    assert!(later > after(60), "{later}");
    world.0.written_at = Some(after(20));
    assert_eq!(
        effects(&world.look(after(45))),
        [""; 0],
        "that was before the probe"
    );
    world.0.written_at = Some(after(40));
    let again = world.look(after(50));
    assert!(again.status.next_probe.as_ref().unwrap().at <= after(50));
    assert!(
        effects(&again)
            .iter()
            .any(|e| e.starts_with("create Job primary-probe-")),
        "{:?}",
        effects(&again)
    );
    world.0.probe_job.as_mut().unwrap().state = ended(Some(probed()));
    let well = world.settle(after(60)).status;
    assert_eq!(told(&well.conditions, "Ready"), "True/Succeeded");
    assert!(well.next_probe.unwrap().at > after(3_600));
}
