//! The Jobs of a MigrationRun: who holds which credential, and for how long.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodSpec;
use rstest::rstest;

use super::tests::{policy, settings, store};
use super::*;
use crate::api::{LABEL_OWNER_UID, LABEL_STEP, LABEL_TASK, MigrationRun};
use crate::task::{ApplyTask, SettleTask, StepTask, TASK_ENV, Task, Work};

const RUN_UID: &str = "eeeeeeee-0000-4000-8000-000000000005";

fn run() -> MigrationRun {
    serde_saphyr::from_str(&format!(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: MigrationRun
metadata: {{name: orders-index, namespace: shop, uid: {RUN_UID}, generation: 1}}
spec:
  policyRef: {{name: orders}}
  drillRef: {{name: nightly}}
  credentials: {{secretRef: {{name: migrator}}}}
  requestedBy: ada
  source: {{configMapRef: {{name: files}}}}
  target: {{version: '1'}}
  window: {{notAfter: '2026-12-01T00:00:00Z'}}
  suspend: false
"
    ))
    .unwrap()
}

fn plan(step: StepPlan) -> MigrationJobPlan {
    MigrationJobPlan {
        step,
        attempt: 2,
        deadline: Duration::from_secs(600),
        major: Some(15),
    }
}

fn rehearse() -> StepPlan {
    let drill = serde_saphyr::from_str(
        "{apiVersion: lifeboat.dev/v1alpha1, kind: RestoreDrill, metadata: {name: nightly, namespace: shop}, spec: {policyRef: {name: orders}, identityRef: {name: age-key}}}",
    );
    StepPlan::Rehearse(RehearsePlan {
        drill: Box::new(drill.unwrap()),
        plan_hash: "a".repeat(64),
        backup: "b".to_owned(),
        prefix: "shop.orders/x".to_owned(),
        raw_bytes: 1_000,
    })
}

fn apply() -> StepPlan {
    StepPlan::Apply(Box::new(ApplyTask {
        plan_hash: "a".repeat(64),
        evidence_hash: "b".repeat(64),
        evidence_key: "migrations/x/evidence.json".to_owned(),
        backup: "b".to_owned(),
        prefix: "shop.orders/x".to_owned(),
        max_age_seconds: 86_400,
        approved_by: vec!["grace".to_owned()],
        closes_at: "2026-12-01T00:00:00Z".parse().unwrap(),
        yields_at: None,
    }))
}

fn settle() -> StepPlan {
    StepPlan::Settle(SettleTask {
        plan_hash: "a".repeat(64),
        evidence_key: None,
        evidence_hash: None,
    })
}

fn job_of(step: StepPlan) -> Job {
    migration_job(&settings(), (&policy(), &store()), &run(), &plan(step))
}

fn pod(job: &Job) -> PodSpec {
    job.spec.clone().unwrap().template.spec.unwrap()
}

/// Names of the Secrets and ConfigMaps that the pod mounts.
fn mounted(pod: &PodSpec) -> BTreeSet<String> {
    let volumes = pod.volumes.iter().flatten();
    let names = volumes.filter_map(|v| {
        let secret = v.secret.as_ref().and_then(|s| s.secret_name.clone());
        secret.or(v.config_map.as_ref().map(|c| c.name.clone()))
    });
    names.collect()
}

#[rstest]
#[case::plan(StepPlan::Plan, "plan", 60, &["migrator", "shop-db", "files"], &["age-key"])]
#[case::rehearse(rehearse(), "rehearse", 60, &["age-key"], &["migrator", "shop-db", "files"])]
#[case::apply(apply(), "apply", 120, &["migrator", "shop-db"], &["files", "age-key"])]
#[case::settle(settle(), "settle", 120, &["migrator", "shop-db"], &["files", "age-key"])]
fn p9_m24_each_step_holds_what_it_needs_and_nothing_else(
    #[case] step: StepPlan,
    #[case] name: &str,
    #[case] grace: i64,
    #[case] holds: &[&str],
    #[case] never: &[&str],
) {
    let job = job_of(step);
    assert_eq!(
        job.metadata.name,
        Some(format!("orders-index-{name}-2")),
        "K26"
    );
    let pod = pod(&job);
    assert_eq!(pod.termination_grace_period_seconds, Some(grace));
    let mounted = mounted(&pod);
    assert!(holds.iter().all(|s| mounted.contains(*s)), "{mounted:?}");
    assert!(!never.iter().any(|s| mounted.contains(*s)), "{mounted:?}");
    let template = job.spec.clone().unwrap().template.metadata.unwrap();
    let labels = template.labels.unwrap();
    assert_eq!(labels[LABEL_STEP], name);
    assert_eq!(labels[LABEL_TASK], "migration");
    assert_eq!(labels[LABEL_OWNER_UID], RUN_UID);
}

#[test]
fn the_task_is_the_runs_spec_without_what_may_change() {
    let pod = pod(&job_of(rehearse()));
    let env = pod.containers[0].env.clone().unwrap();
    let text = env.iter().find(|e| e.name == TASK_ENV).unwrap();
    let task = Task::from_env(text.value.as_deref().unwrap()).unwrap();
    let Work::Migration(task) = task.work else {
        panic!("{task:?}")
    };
    assert_eq!(task.spec.suspend, None);
    assert_eq!(task.spec.target, run().spec.target);
    assert_eq!(
        (task.run_uid.as_str(), task.run.as_str()),
        (RUN_UID, "orders-index")
    );
    let StepTask::Rehearse(rehearse) = task.step else {
        panic!("{:?}", task.step)
    };
    assert_eq!(rehearse.rehearsal, "orders-index-rehearse-2");
    assert!(
        rehearse.image.ends_with("postgres:15"),
        "{}",
        rehearse.image
    );
    let servers = pod.init_containers.unwrap();
    assert!(servers.iter().any(|c| c.name == SERVER_CONTAINER));
}

/// The run's other pods have to reach the database.
#[test]
fn k38_only_the_pods_that_rehearse_are_cut_off() {
    let network = rehearsal_network(&settings(), &policy(), &store(), &run());
    let spec = network.spec.unwrap();
    let labels = spec.pod_selector.unwrap().match_labels.unwrap();
    assert_eq!(labels[LABEL_OWNER_UID], RUN_UID);
    assert_eq!(labels[LABEL_STEP], "rehearse");
    assert_eq!(labels.len(), 2);
    assert_eq!(
        network.metadata.owner_references.unwrap()[0].kind,
        "MigrationRun"
    );
    assert_eq!(network.metadata.name, Some(rehearsal_network_name(&run())));
}
