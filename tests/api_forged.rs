//! Jobs and pods that somebody else made with Lifeboat's labels: the API server refuses them where the chart's admission policies
//! hold, and where they do not the operator does, by name.
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
use k8s_openapi::api::core::v1::Event;
use kube::{Api, Client, ResourceExt};
use lifeboat::api::Backup;
use lifeboat::api::condition::{COMPLETE, is_true};
use lifeboat::cluster::SystemClock;
use lifeboat::cluster::operator::{Parts, Running, start};
use lifeboat::telemetry::Metrics;
use lifeboat::workload::Settings;
use lifeboat::workload::ours::task_hash;
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const OPERATOR: &str = "system:serviceaccount:lifeboat-system:lifeboat";
const STORE_AND_POLICY: &str = "apiVersion: lifeboat.dev/v1alpha1
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
";
const BACKUP: &str = "apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: now}
spec: {policyRef: {name: orders}}
";

fn settings() -> Settings {
    serde_saphyr::from_str(
        "{image: 'lifeboat:test', imagePullPolicy: Never, postgresImage: 'postgres:{major}', defaultMajor: 17, runAsUser: 65532, fsGroup: 65532, resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {cpu: '1', memory: 64Mi}}}",
    )
    .unwrap()
}

async fn launch(namespace: &str, stop: &CancellationToken) -> Running {
    let parts = Parts {
        client: Client::try_from(shared().operator_config().await).unwrap(),
        settings: settings(),
        clock: Arc::new(SystemClock),
        metrics: Metrics::new(),
        namespace: Some(namespace.to_owned()),
        health: Default::default(),
        scopes: Arc::default(),
    };
    start(parts, stop)
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

fn create(namespace: &str, who: &str, manifest: &str) -> Result<String, String> {
    let user = format!("--as={who}");
    let group = "--as-group=system:authenticated";
    let args = ["-n", namespace, &user, group, "create", "-f", "-"];
    shared().try_kubectl(&args, manifest)
}

/// Who may write everything in a namespace but Lifeboat's own statuses.
fn tenant(namespace: &str) -> String {
    let namespace = shared().namespace(namespace);
    let rights = [
        "create",
        "role",
        "tenant",
        "--verb=*",
        "--resource=jobs.batch,pods",
    ];
    let binding = [
        "create",
        "rolebinding",
        "tenant",
        "--role=tenant",
        "--user=mallory",
    ];
    for args in [&rights[..], &binding] {
        shared().kubectl(&[&["-n", &namespace], args].concat());
    }
    namespace
}

/// A Job as the first attempt of Backup `now` would have, but for what it runs.
fn forged(uid: &str, more: &Value) -> Value {
    let labels = json!({"lifeboat.dev/task": "backup", "lifeboat.dev/owner-uid": uid});
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "now-a1", "labels": labels},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "work", "image": "mallory:1", "env": [{"name": "LIFEBOAT_TASK", "value": "{}"}]}],
        }}},
    });
    for (key, value) in more.as_object().unwrap() {
        job["metadata"][key] = value.clone();
    }
    job
}

fn pod(labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "now-a1-x", "labels": labels},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "work", "image": "mallory:1"}]},
    })
}

fn by_mallory(namespace: &str, args: &[&str]) -> Result<String, String> {
    let group = "--as-group=system:authenticated";
    let who = ["-n", namespace, "--as=mallory", group];
    shared().try_kubectl(&[&who[..], args].concat(), "")
}

/// Refused with this; admission policies begin to hold some time after they were made.
fn refused(namespace: &str, manifest: &Value, name: &str, message: &str) {
    let begun = Instant::now();
    loop {
        match create(namespace, "mallory", &manifest.to_string()) {
            Err(text) => break assert!(text.contains(message), "{text}"),
            Ok(text) if begun.elapsed() > Duration::from_secs(30) => panic!("accepted: {text}"),
            Ok(_) => {
                shared().kubectl(&["-n", namespace, "delete", name, "--wait=false"]);
                std::thread::sleep(Duration::from_millis(500));
            }
        }
    }
}

/// What others may do with Jobs and pods: all but to give them out for Lifeboat's.
#[test]
fn only_the_operator_makes_its_jobs_and_only_the_job_controller_their_pods() {
    let namespace = tenant("forged-labels");
    let alone = "are written by the operator alone";
    refused(&namespace, &forged("u", &json!({})), "job/now-a1", alone);
    let labels = json!({"lifeboat.dev/task": "backup"});
    let by_the_controller = "are written by the Job controller alone";
    // A Job whose pods would have them, be it labelled itself or not.
    let mut template = forged("u", &json!({}));
    template["metadata"]["labels"] = json!({"app": "shop"});
    refused(&namespace, &template, "job/now-a1", alone);
    let mut half = forged("u", &json!({}));
    half["metadata"]["labels"] = json!({"lifeboat.dev/owner-uid": "u"});
    half["spec"]["template"]["metadata"] = json!({});
    refused(&namespace, &half, "job/now-a1", alone);
    refused(&namespace, &pod(&labels), "pod/now-a1-x", by_the_controller);
    // Nothing else of theirs is held up.
    let plain = json!({"app": "shop"});
    create(&namespace, "mallory", &pod(&plain).to_string()).unwrap();
    let as_mallory = |args: &[&str]| by_mallory(&namespace, args);
    let text = as_mallory(&["label", "pod", "now-a1-x", "lifeboat.dev/task=backup"]).unwrap_err();
    assert!(text.contains(by_the_controller), "{text}");
    let text = as_mallory(&["label", "pod", "now-a1-x", "lifeboat.dev/task="]).unwrap_err();
    assert!(text.contains(by_the_controller), "{text}");
    as_mallory(&["label", "pod", "now-a1-x", "tier=web"]).unwrap();
    let image = r#"{"spec": {"containers": [{"name": "work", "image": "mallory:2"}]}}"#;
    as_mallory(&["patch", "pod", "now-a1-x", "-p", image]).unwrap();

    create(&namespace, OPERATOR, &forged("u", &json!({})).to_string()).unwrap();
    as_mallory(&["annotate", "job", "now-a1", "note=seen"]).unwrap();
    for change in [
        &[
            "label",
            "job",
            "now-a1",
            "--overwrite",
            "lifeboat.dev/owner-uid=v",
        ][..],
        &["label", "job", "now-a1", "lifeboat.dev/task-"],
        &["annotate", "job", "now-a1", "lifeboat.dev/task-sha256=a"],
        &["annotate", "job", "now-a1", "lifeboat.dev/more="],
        &[
            "patch",
            "job",
            "now-a1",
            "--type=merge",
            "-p",
            r#"{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b", "controller": true}]}}"#,
        ],
    ] {
        let text = as_mallory(change).unwrap_err();
        assert!(text.contains(alone), "{change:?}: {text}");
    }
    as_mallory(&["delete", "job", "now-a1", "--wait=false"]).unwrap();
}

/// Where no admission policy holds: the operator believes no Job that it did not make. `more`: what the forger knows besides.
#[rstest]
#[case::labels("forged-job", |_: &str| json!({}))]
#[case::hash("forged-hash", |_: &str| json!({"annotations": {"lifeboat.dev/task-sha256": task_hash("{}")}}))]
#[case::another_task("forged-task", |uid: &str| json!({
    "annotations": {"lifeboat.dev/task-sha256": task_hash("[]")},
    "ownerReferences": [{"apiVersion": "lifeboat.dev/v1alpha1", "kind": "Backup", "name": "now", "uid": uid, "controller": true}],
}))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_somebody_else_made_is_refused_by_name(
    #[case] name: &str,
    #[case] more: fn(&str) -> Value,
) {
    let namespace = shared().namespace(name);
    let admin = Client::try_from(shared().config().await).unwrap();
    let backups: Api<Backup> = Api::namespaced(admin.clone(), &namespace);
    shared()
        .try_kubectl(&["-n", &namespace, "create", "-f", "-"], BACKUP)
        .unwrap();
    let uid = backups.get("now").await.unwrap().uid().unwrap();
    // In the operator's name, whom the admission policy lets through: as if there were none.
    create(&namespace, OPERATOR, &forged(&uid, &more(&uid)).to_string()).unwrap();
    // Every Job ends with a result, the forged one too.
    let kubelet = tokio::spawn(kubelet::run(
        admin.clone(),
        namespace.clone(),
        kubelet::all_well,
    ));
    let stop = CancellationToken::new();
    let running = launch(&namespace, &stop).await;
    let jobs: Api<Job> = Api::namespaced(admin.clone(), &namespace);
    until("the forged Job has ended", || async {
        let job = jobs.get("now-a1").await.unwrap();
        job.status.and_then(|s| s.completion_time)
    })
    .await;
    shared()
        .try_kubectl(&["-n", &namespace, "create", "-f", "-"], STORE_AND_POLICY)
        .unwrap();
    let events: Api<Event> = Api::namespaced(admin.clone(), &namespace);
    let told = until("an Event names it", || async {
        let all = events.list(&Default::default()).await.unwrap().items;
        let mut all = all.into_iter();
        all.find(|e| e.reason.as_deref() == Some("NameCollision"))
    })
    .await;
    let message = told.message.unwrap_or_default();
    assert!(
        message.contains("Job now-a1 exists and is not Lifeboat's, made with kubectl-create at "),
        "{message}"
    );
    let status = backups.get("now").await.unwrap().status.unwrap();
    assert!(!is_true(&status.conditions, COMPLETE), "{status:?}");
    assert_eq!(status.tables, None, "{status:?}");

    // With it gone the Backup is made.
    shared().kubectl(&["-n", &namespace, "delete", "job", "now-a1"]);
    let annotate = [
        "-n",
        &namespace,
        "annotate",
        "lbb/now",
        "lifeboat.dev/requestedAt=now",
    ];
    shared().kubectl(&annotate);
    until("the Backup is complete", || async {
        let status = backups.get("now").await.unwrap().status?;
        is_true(&status.conditions, COMPLETE).then_some(())
    })
    .await;
    kubelet.abort();
    stop.cancel();
    running.ended().await;
}

/// What was made by the operator and the Job controller stays what it is, and what runs in it.
#[tokio::test]
async fn nobody_else_changes_a_job_or_its_pod() {
    let namespace = tenant("forged-changes");
    let owner = json!([{"apiVersion": "lifeboat.dev/v1alpha1", "kind": "Backup", "name": "now", "uid": "u", "controller": true}]);
    let more = json!({"annotations": {"lifeboat.dev/task-sha256": task_hash("{}")}, "ownerReferences": owner});
    create(&namespace, OPERATOR, &forged("u", &more).to_string()).unwrap();
    let admin = Client::try_from(shared().config().await).unwrap();
    let jobs: Api<Job> = Api::namespaced(admin.clone(), &namespace);
    let job = jobs.get("now-a1").await.unwrap();
    let pod = kubelet::create_pod(&admin, &namespace, &job).await;
    let as_mallory = |args: &[&str]| by_mallory(&namespace, args);
    let nobody = r#"{"metadata": {"ownerReferences": null}}"#;
    let image = r#"{"spec": {"containers": [{"name": "work", "image": "mallory:2"}]}}"#;
    let rows: [(&[&str], &str); 5] = [
        (
            &["annotate", "job", "now-a1", "lifeboat.dev/task-sha256-"],
            "operator alone",
        ),
        (
            &["patch", "job", "now-a1", "--type=merge", "-p", nobody],
            "operator alone",
        ),
        (
            &["patch", "pod", &pod, "--type=merge", "-p", nobody],
            "Job controller alone",
        ),
        (&["patch", "pod", &pod, "-p", image], "Job controller alone"),
        (
            &[
                "label",
                "pod",
                &pod,
                "batch.kubernetes.io/controller-uid=x",
                "--overwrite",
            ],
            "Job controller alone",
        ),
    ];
    let begun = Instant::now();
    for (args, words) in rows {
        loop {
            match as_mallory(args) {
                Err(text) => break assert!(text.contains(words), "{args:?}: {text}"),
                Ok(text) => {
                    // Only the first of them may come before the policies hold.
                    assert!(
                        args[0] == "annotate" && begun.elapsed() < Duration::from_secs(30),
                        "{args:?}: {text}"
                    );
                    let put = format!("lifeboat.dev/task-sha256={}", task_hash("{}"));
                    let ours = [
                        "-n",
                        &namespace,
                        "annotate",
                        "--overwrite",
                        "job",
                        "now-a1",
                        &put,
                        "--as",
                        OPERATOR,
                    ];
                    let _ = shared().try_kubectl(&ours, "");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }
    as_mallory(&["annotate", "pod", &pod, "note=seen"]).unwrap();
}
