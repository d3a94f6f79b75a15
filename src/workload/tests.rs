//! The Jobs, field by field (K1, K3, K6, K8, K9, K10, K14, K24, K26).

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use rstest::rstest;

use super::*;
use crate::api::{Backup, BackupPolicy, BackupStore, TASK_SHA256};
use crate::task::{TASK_ENV, Task, Work};

pub(super) fn settings() -> Settings {
    serde_saphyr::from_str(
        "
image: registry.example/lifeboat:0.1.0
imagePullPolicy: IfNotPresent
postgresImage: docker.io/library/postgres:{major}
defaultMajor: 17
runAsUser: 65532
fsGroup: 65532
imagePullSecrets: [chart-pull]
resources:
  requests: {cpu: 100m, memory: 256Mi}
  limits: {cpu: '2', memory: 512Mi}
",
    )
    .unwrap()
}

pub(super) fn store() -> BackupStore {
    serde_saphyr::from_str(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: BackupStore
metadata: {name: primary, namespace: shop, uid: 5a5a5a5a-0000-4000-8000-000000000001, generation: 2}
spec:
  s3:
    bucket: backups
    prefix: prod
    endpoint: https://minio.example:9000
    ca: {configMapKeyRef: {name: minio-ca, key: ca.crt}}
  credentials: {writer: {secretRef: {name: s3-writer}}}
  encryption: {recipients: [age1qqqqqqqqqqqqqqqqqqqq]}
",
    )
    .unwrap()
}

pub(super) fn policy() -> BackupPolicy {
    serde_saphyr::from_str(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: BackupPolicy
metadata: {name: orders, namespace: shop, uid: 7b7b7b7b-0000-4000-8000-000000000002, generation: 3}
spec:
  database:
    secretRef: {name: shop-db}
    host: shop-rw
    name: $(LIFEBOAT_TASK) a$$b
    tls: {mode: VerifyFull, ca: {secretKeyRef: {name: shop-ca, key: ca.crt}}}
  storeRef: {name: primary}
  tiers: [{name: daily, cron: 0 2 * * *}]
  objectives: {rto: 4h}
  template:
    labels: {team: shop}
    annotations: {example.com/note: hello}
    nodeSelector: {disk: ssd}
    priorityClassName: batch
    imagePullSecrets: [{name: own-pull}, {name: chart-pull}]
    resources: {requests: {memory: 1Gi}}
",
    )
    .unwrap()
}

fn backup() -> Backup {
    serde_saphyr::from_str(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: orders-20261121t0200z, namespace: shop, uid: 9c9c9c9c-0000-4000-8000-000000000003}
spec:
  policyRef: {name: orders}
  tiers: [daily]
  scheduledTime: 2026-11-21T02:00:00Z
  reason: Scheduled
",
    )
    .unwrap()
}

fn plan() -> BackupPlan {
    BackupPlan {
        attempt: 1,
        attempts: 3,
        due: "2026-11-21T02:00:00Z".parse().unwrap(),
        directory: "shop.orders".to_owned(),
        deadline: Duration::from_secs(7_200),
        major: Some(15),
        tiers: vec!["daily".to_owned()],
    }
}

fn a_backup_job() -> Job {
    backup_job(&settings(), &policy(), &store(), &backup(), &plan())
}

fn all() -> [Job; 3] {
    [
        a_backup_job(),
        check_job(&settings(), &policy(), "0"),
        probe_job(&settings(), &store(), "0"),
    ]
}

fn pod(job: &Job) -> PodSpec {
    job.spec.clone().unwrap().template.spec.unwrap()
}

fn containers(pod: &PodSpec) -> Vec<Container> {
    let init = pod.init_containers.clone().unwrap_or_default();
    init.into_iter().chain(pod.containers.clone()).collect()
}

fn task_of(job: &Job) -> (String, Task) {
    let work = pod(job).containers.remove(0);
    let env = work.env.unwrap();
    let document = env.iter().find(|e| e.name == TASK_ENV).unwrap();
    let text = document.value.clone().unwrap();
    let task = Task::from_env(&text).unwrap();
    (text, task)
}

#[test]
fn the_three_jobs_are_as_they_were() {
    let [backup, check, probe] = all();
    insta::assert_yaml_snapshot!("backup", backup);
    insta::assert_yaml_snapshot!("check", check);
    insta::assert_yaml_snapshot!("probe", probe);
}

#[test]
fn k1_k3_a_job_starts_one_pod_and_its_deadlines_are_nested() {
    for (job, deadline) in all().into_iter().zip([7_200, 180, 180]) {
        let spec = job.spec.clone().unwrap();
        assert_eq!(spec.pod_replacement_policy.as_deref(), Some("Failed"));
        assert_eq!(spec.backoff_limit, Some(0));
        assert_eq!((spec.completions, spec.parallelism), (Some(1), Some(1)));
        assert_eq!(spec.ttl_seconds_after_finished, Some(86_400));
        assert_eq!(spec.active_deadline_seconds, Some(deadline + 1_200));
        let pod = pod(&job);
        assert_eq!(pod.active_deadline_seconds, Some(deadline + 120));
        assert_eq!(pod.termination_grace_period_seconds, Some(60));
        assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
    }
}

#[test]
fn k6_every_container_has_requests_and_limits() {
    let mut bare = settings();
    bare.resources = Default::default();
    let bare = backup_job(&bare, &policy(), &store(), &backup(), &plan());
    for job in all().into_iter().chain([bare]) {
        for container in containers(&pod(&job)) {
            let resources = container.resources.unwrap();
            for resource in ["cpu", "memory"] {
                assert!(resources.requests.as_ref().unwrap().contains_key(resource));
                assert!(resources.limits.as_ref().unwrap().contains_key(resource));
            }
        }
    }
}

#[rstest]
#[case::both_given("cpu", Some("1"), Some("3"), ("1", "3"))]
#[case::a_small_request_leaves_the_limit("cpu", Some("100m"), None, ("100m", "2"))]
#[case::a_large_request_is_the_limit("memory", Some("4Gi"), None, ("4Gi", "4Gi"))]
#[case::a_small_limit_is_the_request("memory", None, Some("64Mi"), ("64Mi", "64Mi"))]
#[case::a_large_limit_leaves_the_request("memory", None, Some("8Gi"), ("256Mi", "8Gi"))]
#[case::nothing_given("cpu", None, None, ("100m", "2"))]
fn k6_what_the_chart_leaves_out_never_contradicts_what_it_says(
    #[case] resource: &str,
    #[case] request: Option<&str>,
    #[case] limit: Option<&str>,
    #[case] expected: (&str, &str),
) {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    let map =
        |value: Option<&str>| value.map(|v| [(resource.to_owned(), Quantity(v.to_owned()))].into());
    let mut settings = settings();
    settings.resources.requests = map(request);
    settings.resources.limits = map(limit);
    let job = probe_job(&settings, &store(), "0");
    let resources = pod(&job).containers[0].resources.clone().unwrap();
    let of = |map: &Option<std::collections::BTreeMap<String, Quantity>>| {
        map.as_ref().unwrap()[resource].0.clone()
    };
    assert_eq!(
        (
            of(&resources.requests).as_str(),
            of(&resources.limits).as_str()
        ),
        expected
    );
}

#[test]
fn k6_secrets_are_mounted_whole_optional_and_0440() {
    for job in all() {
        for volume in pod(&job).volumes.unwrap() {
            if let Some(secret) = &volume.secret {
                assert_eq!(secret.optional, Some(true));
                assert_eq!(secret.default_mode, Some(0o440));
                assert_eq!(secret.items, None);
            }
            if let Some(map) = &volume.config_map {
                assert_eq!(map.optional, Some(true));
                assert_eq!(map.default_mode, Some(0o440));
            }
        }
    }
}

#[test]
fn k8_a_dollar_never_reaches_the_kubelet_and_comes_back() {
    for job in [a_backup_job(), check_job(&settings(), &policy(), "0")] {
        let (text, task) = task_of(&job);
        assert!(!text.contains('$'), "{text}");
        let database = match task.work {
            Work::Backup(task) => task.database,
            Work::Check(task) => task.database,
            Work::Probe(_) | Work::Pin(_) | Work::Drill(_) | Work::Migration(_) => unreachable!(),
        };
        assert_eq!(database.name.as_deref(), Some("$(LIFEBOAT_TASK) a$$b"));
    }
}

#[test]
fn the_largest_task_that_the_crds_allow_fits() {
    let mut store = store();
    store.spec.encryption.recipients = vec![format!("age1{}", "q".repeat(1_996)); 16];
    let mut policy = policy();
    policy.spec.database.name = Some("$".repeat(63));
    let key = Some("$".repeat(253));
    policy.spec.database.keys = Some(crate::api::backup_policy::DatabaseKeys {
        uri: key.clone(),
        host: key.clone(),
        port: key.clone(),
        user: key.clone(),
        password: key.clone(),
        dbname: key,
    });
    let job = backup_job(&settings(), &policy, &store, &backup(), &plan());
    let (text, _) = task_of(&job);
    assert!(text.len() < 64 * 1024, "{}", text.len());
}

#[test]
fn k9_pods_are_restricted_and_hold_no_token() {
    for job in all() {
        let pod = pod(&job);
        assert_eq!(pod.automount_service_account_token, Some(false));
        assert_eq!(pod.enable_service_links, Some(false));
        let security = pod.security_context.clone().unwrap();
        assert_eq!(security.run_as_non_root, Some(true));
        assert_eq!(security.run_as_user, Some(65_532));
        assert_eq!(security.fs_group, Some(65_532));
        assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
        for container in containers(&pod) {
            let security = container.security_context.unwrap();
            assert_eq!(security.allow_privilege_escalation, Some(false));
            assert_eq!(security.read_only_root_filesystem, Some(true));
            assert_eq!(security.capabilities.unwrap().drop.unwrap(), ["ALL"]);
        }
    }
}

#[test]
fn k9_where_the_platform_assigns_the_user_none_is_named() {
    let mut settings = settings();
    (settings.run_as_user, settings.fs_group) = (None, None);
    let security = pod(&probe_job(&settings, &store(), "0"))
        .security_context
        .unwrap();
    assert_eq!(
        (
            security.run_as_user,
            security.run_as_group,
            security.fs_group
        ),
        (None, None, None)
    );
}

#[rstest]
#[case::known(Some(15), None, "docker.io/library/postgres:15")]
#[case::unknown(None, None, "docker.io/library/postgres:17")]
#[case::named(Some(15), Some("postgis/postgis:17-3.5"), "postgis/postgis:17-3.5")]
fn k20_the_image_follows_the_major_unless_the_user_names_one(
    #[case] major: Option<i32>,
    #[case] own: Option<&str>,
    #[case] image: &str,
) {
    let mut policy = policy();
    policy.spec.template.as_mut().unwrap().postgres_image = own.map(str::to_owned);
    let plan = BackupPlan { major, ..plan() };
    let job = backup_job(&settings(), &policy, &store(), &backup(), &plan);
    assert_eq!(pod(&job).containers[0].image.as_deref(), Some(image));
    // The policy's check finds out whether its own image can be pulled.
    let check = check_job(&settings(), &policy, "1");
    let expected = own.map_or(settings().image, str::to_owned);
    assert_eq!(pod(&check).containers[0].image, Some(expected));
}

#[test]
fn k24_a_job_is_controlled_by_the_object_whose_status_takes_its_result() {
    for (job, kind) in all().iter().zip(["Backup", "BackupPolicy", "BackupStore"]) {
        let owners = job.metadata.owner_references.clone().unwrap();
        assert_eq!(owners.len(), 1);
        assert_eq!(owners[0].kind, kind);
        assert_eq!(owners[0].controller, Some(true));
        assert_eq!(owners[0].block_owner_deletion, None);
        let annotations = job.metadata.annotations.as_ref().unwrap();
        let keys: Vec<&String> = annotations.keys().collect();
        assert_eq!(keys, [TASK_SHA256], "nothing is copied (K24)");
        assert!(!job.metadata.labels.as_ref().unwrap().contains_key("team"));
    }
}

#[test]
fn k26_names_are_readable_and_leave_room_for_the_pod() {
    assert_eq!(
        a_backup_job().metadata.name.as_deref(),
        Some("orders-20261121t0200z-a1")
    );
    let long = "p".repeat(253);
    let (mut policy, mut store, mut backup) = (policy(), store(), backup());
    policy.metadata.name = Some(long.clone());
    store.metadata.name = Some(long.replace('p', "a."));
    backup.metadata.name = Some(long);
    for job in [
        backup_job(&settings(), &policy, &store, &backup, &plan()),
        check_job(&settings(), &policy, "0"),
        probe_job(&settings(), &store, "0"),
    ] {
        let name = job.metadata.name.unwrap();
        assert!(name.len() <= 52, "{name}");
        assert!(!name.contains('.'), "{name}");
    }
}

#[test]
fn a_new_generation_request_or_round_is_a_new_upkeep_job() {
    let name = |policy: &BackupPolicy, round| check_job(&settings(), policy, round).metadata.name;
    let mut changed = policy();
    changed.metadata.generation = Some(4);
    let mut requested = policy();
    requested.metadata.annotations =
        Some([("lifeboat.dev/requestedAt".to_owned(), "now".to_owned())].into());
    let first = name(&policy(), "0");
    assert_eq!(first, name(&policy(), "0"));
    for other in [
        name(&policy(), "1"),
        name(&changed, "0"),
        name(&requested, "0"),
    ] {
        assert_ne!(first, other);
    }
}
