//! RestoreDrills on a real API server: what it refuses, and a drill from its object to its outcome with the rights
//! that the chart gives the operator.
//!
//! Needs: servers
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "support/apiserver.rs"]
mod apiserver;
#[path = "support/kubelet.rs"]
mod kubelet;

use std::sync::Arc;
use std::time::{Duration, Instant};

use apiserver::shared;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{Api, Client, ResourceExt};
use lifeboat::api::condition::{PASSED, PROVEN, is_true};
use lifeboat::api::{Backup, RestoreDrill};
use lifeboat::cluster::SystemClock;
use lifeboat::cluster::operator::{Parts, start};
use lifeboat::telemetry::Metrics;
use lifeboat::workload::Settings;
use rstest::rstest;
use tokio_util::sync::CancellationToken;

fn settings() -> Settings {
    serde_saphyr::from_str(
        "{image: 'lifeboat:test', imagePullPolicy: Never, postgresImage: 'postgres:{major}', defaultMajor: 17, runAsUser: 65532, fsGroup: 65532, resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {cpu: '1', memory: 64Mi}}}",
    )
    .unwrap()
}

fn drill_yaml(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: lifeboat.dev/v1alpha1
kind: RestoreDrill
metadata: {{name: {name}}}
spec: {{policyRef: {{name: orders}}{rest}}}
"
    )
}

const REST: &str = "apiVersion: lifeboat.dev/v1alpha1
kind: BackupStore
metadata: {name: primary}
spec:
  s3: {bucket: backups, endpoint: 'http://minio:9000'}
  credentials: {writer: {secretRef: {name: w}}}
  encryption: {mode: None}
---
apiVersion: lifeboat.dev/v1alpha1
kind: BackupPolicy
metadata: {name: orders}
spec: {database: {secretRef: {name: d}}, storeRef: {name: primary}}
---
apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: now}
spec: {policyRef: {name: orders}}
";

fn apply(namespace: &str, yaml: &str) -> Result<String, String> {
    shared().try_kubectl(&["-n", namespace, "create", "-f", "-"], yaml)
}

/// Tries until it is so, for at most 60 s.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "not within 60 s: {what}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn the_crd_is_served_and_says_the_status_before_the_first_look() {
    let namespace = shared().namespace("drills-served");
    let whole = ", schedule: {cron: 0 3 * * SUN}, checks: [{name: a, sql: select true}], postgres: {parameters: {work_mem: 1MB}}, network: Open";
    apply(&namespace, &drill_yaml("whole", whole)).unwrap();
    let path = "jsonpath={.status.observedGeneration}";
    let seen = shared().kubectl(&["-n", &namespace, "get", "lbd/whole", "-o", path]);
    assert_eq!(seen, "-1", "K30");
    let path = "jsonpath={.status.conditions[?(@.type=='NonStructuralSchema')].message}";
    let crd = "crd/restoredrills.lifeboat.dev";
    assert_eq!(shared().kubectl(&["get", crd, "-o", path]), "");
}

#[rstest]
#[case::cron(", schedule: {cron: '@daily'}", "a cron has five fields")]
#[case::select(", select: {backup: b, prefix: x}", "backup names one backup")]
#[case::role(", applicationRole: app", "applicationRole is for mode Disaster")]
#[case::checks(
    ", checks: [{name: a, sql: select 1}, {name: a, sql: select 2}]",
    "two checks have one name"
)]
#[case::parameters(
    ", postgres: {parameters: {Work: x}}",
    "a parameter is a name like work_mem"
)]
#[case::history(", history: 0", "spec.history")]
#[case::network(", network: Closed", "spec.network")]
#[case::unknown(", deadlines: 1h", "unknown field")]
fn bad_input_is_refused_at_apply(#[case] rest: &str, #[case] message: &str) {
    let refused = apply("default", &drill_yaml("bad", rest)).unwrap_err();
    assert!(refused.contains(message), "{refused}");
}

#[tokio::test]
async fn a_drill_waits_for_a_backup_runs_and_proves_it() {
    let server = shared();
    let namespace = server.namespace("drills-run");
    let client = Client::try_from(server.config().await).unwrap();
    let metrics = Metrics::new();
    let stop = CancellationToken::new();
    let running = start(
        Parts {
            client: Client::try_from(server.operator_config().await).unwrap(),
            settings: settings(),
            clock: Arc::new(SystemClock),
            metrics: metrics.clone(),
            namespace: Some(namespace.clone()),
            health: Default::default(),
            scopes: Arc::default(),
        },
        &stop,
    );
    apply(&namespace, &drill_yaml("once", "")).unwrap();
    apply(&namespace, REST).unwrap();
    let kubelet = kubelet::run(client.clone(), namespace.clone(), kubelet::all_well);
    let kubelet = tokio::spawn(kubelet);
    let drills: Api<RestoreDrill> = Api::namespaced(client.clone(), &namespace);
    let drill = until("the drill passes", || async {
        let drill = drills.get("once").await.unwrap();
        let status = drill.status.clone().unwrap_or_default();
        is_true(&status.conditions, PASSED).then_some(drill)
    })
    .await;
    let status = drill.status.clone().unwrap();
    let last = status.last.unwrap();
    assert_eq!(last.backup.as_deref(), Some("now"), "it waited for it");
    assert!(last.proves && status.running.is_none());
    let backups: Api<Backup> = Api::namespaced(client.clone(), &namespace);
    until("the backup is proven", || async {
        let status = backups.get("now").await.unwrap().status.unwrap_or_default();
        is_true(&status.conditions, PROVEN).then_some(())
    })
    .await;
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    until("its Job is gone (K16)", || async {
        let jobs = jobs.list(&Default::default()).await.unwrap().items;
        let drills = jobs.iter().filter(|j| j.name_any().starts_with("once-"));
        let left = drills.filter(|j| j.metadata.deletion_timestamp.is_none());
        (left.count() == 0).then_some(())
    })
    .await;
    let nets: Api<NetworkPolicy> = Api::namespaced(client, &namespace);
    let nets = nets.list(&Default::default()).await.unwrap().items;
    let owner = nets[0].owner_references()[0].clone();
    assert_eq!((nets.len(), Some(owner.uid)), (1, drill.uid()));
    let counted = "lifeboat_drill_runs_total{result=\"Passed\",reason=\"Succeeded\"} 1";
    assert!(metrics.render().contains(counted), "{}", metrics.render());
    kubelet.abort();
    stop.cancel();
    running.ended().await;
}
