//! The Job of a drill, field by field (P9, K3, K6, K9, K13, K20).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rstest::rstest;

use super::tests::{policy, settings, store};
use super::*;
use crate::api::backup_policy::DatabaseFacts;
use crate::api::restore_drill::{ScratchPostgres, Storage};
use crate::api::{BackupPolicy, RestoreDrill};
use crate::task::{
    IDENTITY_DIR, SERVER_DIR, STORE_CA_DIR, STORE_DIR, TASK_ENV, Task, VOLUME_DIR, Work,
};

fn drill() -> RestoreDrill {
    serde_saphyr::from_str(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: RestoreDrill
metadata: {name: nightly, namespace: shop, uid: dddddddd-0000-4000-8000-000000000004, generation: 1}
spec:
  policyRef: {name: orders}
  schedule: {cron: 0 3 * * *}
  identityRef: {name: age-key}
  checks: [{name: recent, sql: 'select $1', expect: t}]
  postgres:
    parameters: {work_mem: 64MB}
    resources: {limits: {memory: 4Gi}}
",
    )
    .unwrap()
}

fn plan() -> DrillPlan {
    DrillPlan {
        run: "nightly-20261121t0300z".to_owned(),
        attempt: 1,
        due: "2026-11-21T03:00:00Z".parse().unwrap(),
        decided_at: "2026-11-21T03:00:01Z".parse().unwrap(),
        directory: "shop.orders".to_owned(),
        deadline: Duration::from_secs(14_400),
        major: Some(15),
        break_glass: true,
        raw_bytes: 1_000,
    }
}

fn job_of(policy: &BackupPolicy, drill: &RestoreDrill) -> Job {
    drill_job(&settings(), policy, &store(), drill, &plan())
}

fn pod(job: &Job) -> PodSpec {
    job.spec.clone().unwrap().template.spec.unwrap()
}

fn a_pod() -> PodSpec {
    pod(&job_of(&policy(), &drill()))
}

fn work(pod: &PodSpec) -> Container {
    assert_eq!(pod.containers.len(), 1);
    pod.containers[0].clone()
}

fn server(pod: &PodSpec) -> Container {
    let all = pod.init_containers.as_ref().unwrap();
    let found = all.iter().find(|c| c.name == SERVER_CONTAINER).unwrap();
    found.clone()
}

fn paths(container: &Container) -> BTreeSet<String> {
    let mounts = container.volume_mounts.as_ref().unwrap();
    mounts.iter().map(|m| m.mount_path.clone()).collect()
}

fn set(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|p| (*p).to_owned()).collect()
}

fn task_of(pod: &PodSpec) -> crate::task::DrillTask {
    let env = work(pod).env.unwrap();
    let document = env.iter().find(|e| e.name == TASK_ENV).unwrap();
    let task = Task::from_env(document.value.as_deref().unwrap()).unwrap();
    match task.work {
        Work::Drill(task) => *task,
        _ => unreachable!(),
    }
}

fn volume(pod: &PodSpec, name: &str) -> Volume {
    let all = pod.volumes.as_ref().unwrap();
    all.iter().find(|v| v.name == name).unwrap().clone()
}

#[test]
fn the_job_is_as_it_was() {
    insta::assert_yaml_snapshot!("drill", job_of(&policy(), &drill()));
}

#[test]
fn p9_no_container_has_a_way_into_the_source_database() {
    let pod = a_pod();
    let text = serde_json::to_string(&pod).unwrap();
    for secret in ["shop-db", "shop-ca", "shop-rw", "/run/lifeboat/database"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let names: Vec<String> = pod
        .volumes
        .iter()
        .flatten()
        .map(|v| v.name.clone())
        .collect();
    assert!(!names.iter().any(|n| n.contains("database")), "{names:?}");
}

#[test]
fn the_scratch_server_sees_no_credential_and_no_task() {
    let pod = a_pod();
    let server = server(&pod);
    assert_eq!(
        paths(&server),
        set(&[
            "/lifeboat-bin",
            "/etc/passwd",
            SERVER_DIR,
            VOLUME_DIR,
            "/dev/shm",
            "/tmp"
        ])
    );
    assert_eq!((server.env, server.env_from), (None, None));
    for mount in server.volume_mounts.unwrap() {
        let volume = volume(&pod, &mount.name);
        assert!(
            volume.secret.is_none() && volume.config_map.is_none(),
            "{}",
            mount.name
        );
    }
    assert_eq!(
        paths(&work(&pod)),
        set(&[
            "/lifeboat-bin",
            "/etc/passwd",
            "/run/lifeboat/scratch",
            STORE_DIR,
            STORE_CA_DIR,
            IDENTITY_DIR,
            SERVER_DIR,
            VOLUME_DIR
        ])
    );
}

#[test]
fn the_server_is_a_native_sidecar_behind_the_one_that_brings_the_binary() {
    let pod = a_pod();
    let init = pod.init_containers.clone().unwrap();
    let names: Vec<&str> = init.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["install", "postgres"]);
    assert_eq!(init[0].restart_policy, None);
    assert_eq!(init[1].restart_policy.as_deref(), Some("Always"));
    let command = init[1].command.clone().unwrap();
    assert_eq!(command, ["/lifeboat-bin/lifeboat", "scratch-server"]);
    assert_eq!(init[1].image, work(&pod).image);
    let shm = volume(&pod, "shm").empty_dir.unwrap();
    assert_eq!(shm.medium.as_deref(), Some("Memory"), "K13");
}

#[test]
fn k6_k9_every_container_is_restricted_and_bounded() {
    let pod = a_pod();
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.enable_service_links, Some(false));
    let init = pod.init_containers.clone().unwrap();
    for container in init.into_iter().chain(pod.containers) {
        let security = container.security_context.unwrap();
        assert_eq!(security.allow_privilege_escalation, Some(false));
        assert_eq!(security.read_only_root_filesystem, Some(true));
        assert_eq!(security.run_as_non_root, Some(true));
        assert_eq!(security.capabilities.unwrap().drop.unwrap(), ["ALL"]);
        let resources = container.resources.unwrap();
        for map in [resources.requests, resources.limits] {
            let map = map.unwrap();
            assert!(map.contains_key("cpu") && map.contains_key("memory"));
        }
    }
}

#[test]
fn resources_of_the_server_are_the_drills_and_of_the_worker_the_policys() {
    let pod = a_pod();
    let memory = |container: Container| {
        let resources = container.resources.unwrap();
        let of = |map: Option<BTreeMap<String, Quantity>>| map.unwrap()["memory"].0.clone();
        (of(resources.requests), of(resources.limits))
    };
    let given = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(memory(server(&pod)), given("256Mi", "4Gi"));
    assert_eq!(memory(work(&pod)), given("1Gi", "1Gi"));
}

#[test]
fn k6_the_identity_is_mounted_whole_optional_and_0440_and_only_if_named() {
    let secret = volume(&a_pod(), "identity").secret.unwrap();
    assert_eq!(secret.secret_name.as_deref(), Some("age-key"));
    assert_eq!(
        (secret.optional, secret.default_mode),
        (Some(true), Some(0o440))
    );
    let mut without = drill();
    without.spec.identity_ref = None;
    let pod = pod(&job_of(&policy(), &without));
    assert!(!paths(&work(&pod)).contains(IDENTITY_DIR));
    assert_eq!(task_of(&pod).identity, None);
}

#[rstest]
#[case::unknown(None, 0, "1024Mi")]
#[case::small(Some(1_000_000), 1_000, "1024Mi")]
#[case::three_times_and_the_dump(Some(10 << 30), 1 << 30, "31744Mi")]
#[case::rounded_up(Some(1 << 30), 1, "3073Mi")]
#[case::absurd(Some(i64::MAX), i64::MAX, "17592186044416Mi")]
#[case::negative(Some(-5), -5, "1024Mi")]
fn the_volume_has_room_for_what_the_database_had(
    #[case] database: Option<i64>,
    #[case] raw_bytes: i64,
    #[case] size: &str,
) {
    let mut policy = policy();
    policy.status.get_or_insert_default().database = Some(DatabaseFacts {
        major: 15,
        bytes: database,
        ..DatabaseFacts::default()
    });
    let plan = DrillPlan {
        raw_bytes,
        ..plan()
    };
    let job = drill_job(&settings(), &policy, &store(), &drill(), &plan);
    let volume = volume(&pod(&job), "volume").empty_dir.unwrap();
    assert_eq!(volume.size_limit.unwrap().0, size);
    assert_eq!(volume.medium, None, "on disk");
}

#[test]
fn a_storage_class_makes_a_volume_that_goes_with_the_pod() {
    let mut drill = drill();
    let postgres = drill.spec.postgres.get_or_insert_default();
    postgres.storage = Some(Storage {
        size: Some("50Gi".to_owned()),
        class_name: Some("fast".to_owned()),
    });
    let pod = pod(&job_of(&policy(), &drill));
    let claim = volume(&pod, "volume").ephemeral.unwrap();
    let claim = claim.volume_claim_template.unwrap().spec;
    assert_eq!(claim.storage_class_name.as_deref(), Some("fast"));
    assert_eq!(claim.access_modes.unwrap(), ["ReadWriteOnce"]);
    assert_eq!(
        claim.resources.unwrap().requests.unwrap()["storage"].0,
        "50Gi"
    );
}

#[rstest]
#[case::of_the_major(None, None, "docker.io/library/postgres:15")]
#[case::of_the_policy(Some("postgis:15"), None, "postgis:15")]
#[case::of_the_drill(Some("postgis:15"), Some("postgis:16"), "postgis:16")]
fn k20_the_image_follows_the_major_unless_the_user_names_one(
    #[case] of_policy: Option<&str>,
    #[case] of_drill: Option<&str>,
    #[case] image: &str,
) {
    let mut policy = policy();
    policy.spec.template.as_mut().unwrap().postgres_image = of_policy.map(str::to_owned);
    let mut drill = drill();
    drill.spec.postgres = Some(ScratchPostgres {
        image: of_drill.map(str::to_owned),
        ..ScratchPostgres::default()
    });
    let pod = pod(&job_of(&policy, &drill));
    assert_eq!(work(&pod).image.as_deref(), Some(image));
    assert_eq!(task_of(&pod).image, image);
}

#[test]
fn k3_k24_its_deadlines_are_nested_and_the_drill_controls_it() {
    let job = job_of(&policy(), &drill());
    let spec = job.spec.clone().unwrap();
    assert_eq!(spec.active_deadline_seconds, Some(14_400 + 1_200));
    assert_eq!(pod(&job).active_deadline_seconds, Some(14_400 + 120));
    assert_eq!((spec.backoff_limit, spec.completions), (Some(0), Some(1)));
    let owners = job.metadata.owner_references.unwrap();
    assert_eq!((owners[0].kind.as_str(), owners.len()), ("RestoreDrill", 1));
    assert_eq!(owners[0].controller, Some(true));
    assert_eq!(
        job.metadata.name.as_deref(),
        Some("nightly-20261121t0300z-d1")
    );
    assert_eq!(job.metadata.labels.unwrap()["lifeboat.dev/task"], "drill");
    let task = task_of(&a_pod());
    assert_eq!(task.rto_objective_seconds, Some(14_400), "the policy's");
    assert_eq!(task.rpo_objective_seconds, None);
    let pod = pod(&job_of(&policy(), &drill()));
    assert_eq!(
        pod.node_selector.unwrap()["disk"],
        "ssd",
        "the policy's template"
    );
}

/// The most that `validate` lets through stands in the task, dollars and all (K8).
#[test]
fn the_largest_task_that_is_valid_fits() {
    let mut drill = drill();
    let check = drill.spec.checks[0].clone();
    drill.spec.checks = (0..16)
        .map(|n| crate::api::restore_drill::Check {
            name: format!("check-{n}"),
            sql: "$".repeat(400),
            ..check.clone()
        })
        .collect();
    crate::drill::validate::validate(&drill, &settings()).unwrap();
    assert_eq!(task_of(&pod(&job_of(&policy(), &drill))).checks.len(), 16);
    for check in &mut drill.spec.checks {
        check.sql = "$".repeat(2_000);
    }
    let refused = crate::drill::validate::validate(&drill, &settings()).unwrap_err();
    assert_eq!(refused.field, "spec.checks");
}

#[test]
fn k38_the_net_around_the_pods_has_holes_for_names_and_the_store_only() {
    let policy = drill_network(&settings(), &self::policy(), &store(), &drill());
    insta::assert_yaml_snapshot!("drill_network", policy);
    let selected = policy
        .spec
        .unwrap()
        .pod_selector
        .unwrap()
        .match_labels
        .unwrap();
    let mut behind = settings();
    let proxy = "http://proxy.example:3128".to_owned();
    behind.env.insert("HTTPS_PROXY".to_owned(), proxy);
    let through = drill_network(&behind, &self::policy(), &store(), &drill());
    let egress = through.spec.unwrap().egress.unwrap();
    let ports = egress[0].ports.clone().unwrap();
    assert_eq!(ports.last().unwrap().port, Some(IntOrString::Int(3_128)));
    assert_eq!(ports.len(), 6, "names, the store, the proxy");
    let job = job_of(&self::policy(), &drill());
    let labels = job.spec.unwrap().template.metadata.unwrap().labels.unwrap();
    for (key, value) in selected {
        assert_eq!(labels.get(&key), Some(&value));
    }
}
