//! A MigrationRun on a real API server, from its plan to its end, with the rights that the chart gives the operator.
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
#[path = "support/migrators.rs"]
mod migrators;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use apiserver::shared;
use k8s_openapi::api::batch::v1::Job;
use kube::{Api, Client, ResourceExt};
use lifeboat::api::condition::{COMPLETE, is_true};
use lifeboat::api::{Backup, MigrationRun, RestoreDrill};
use lifeboat::cluster::SystemClock;
use lifeboat::cluster::operator::{Parts, start};
use lifeboat::telemetry::Metrics;
use lifeboat::workload::Settings;
use migrators::{create, namespace, refused, run_yaml};
use tokio_util::sync::CancellationToken;

fn settings() -> Settings {
    serde_saphyr::from_str(
        "{image: 'lifeboat:test', imagePullPolicy: Never, postgresImage: 'postgres:{major}', defaultMajor: 17, runAsUser: 65532, fsGroup: 65532, resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {cpu: '1', memory: 64Mi}}, admission: lifeboat, approval: None}",
    )
    .unwrap()
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
kind: RestoreDrill
metadata: {name: nightly}
spec: {policyRef: {name: orders}, schedule: {cron: 0 3 1 1 *}}
---
apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: now}
spec: {policyRef: {name: orders}}
";

async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        if begun.elapsed() > Duration::from_secs(90) {
            let all = ["get", "lifeboat,jobs", "--all-namespaces", "-o", "yaml"];
            panic!("not within 90 s: {what}\n{}", shared().kubectl(&all));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What `lifeboat approve` of that person says.
fn approve(namespace: &str, who: &str, more: &[&str], answer: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["approve", "index", "-n", namespace])
        .args(more)
        .env("KUBECONFIG", shared().kubeconfig_of(who))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // One that refuses before it asks reads nothing.
    let _ = input.write_all(answer.as_bytes());
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.code().unwrap(), text)
}

/// What `lifeboat report migrationrun` prints, or why it does not.
fn report(namespace: &str, more: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["report", "migrationrun", "index", "-n", namespace])
        .args(more)
        .env("KUBECONFIG", shared().kubeconfig_of("grace"))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// What a rehearsal saw, where the kubelet's says that it lies.
const EVIDENCE: &str = include_str!("../src/report/examples/evidence.json");

/// The run that is complete, as a document: of its status alone, and with the evidence that it speaks of, which no other can replace.
fn reports(namespace: &str) {
    let text = report(namespace, &[]).unwrap();
    for part in [
        "Complete", "1 of 1", "ada", "grace", "counts", "Backup", "now",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let store = tempfile::tempdir().unwrap();
    let from = format!("file://{}", store.path().display());
    let missing = report(namespace, &["--from", &from]).unwrap_err();
    assert!(missing.contains("migrations/x/evidence.json"), "{missing}");
    let folder = store.path().join("migrations/x");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("evidence.json"), EVIDENCE).unwrap();
    let other = report(namespace, &["--from", &from]).unwrap_err();
    assert!(other.contains("is not the evidence"), "{other}");
    let seen: lifeboat::manifest::Evidence = serde_json::from_str(EVIDENCE).unwrap();
    let hash = seen.hash();
    let patch = format!(r#"{{"status": {{"rehearsal": {{"evidenceHash": "{hash}"}}}}}}"#);
    let args = [
        "-n",
        namespace,
        "patch",
        "lbm/index",
        "--type=merge",
        "--subresource=status",
        "-p",
        &patch,
    ];
    shared().kubectl(&args);
    let whole = report(namespace, &["--from", &from]).unwrap();
    let statement = r"20261122093000\_orders\_note.sql:3";
    assert!(
        whole.contains(statement) && !text.contains(statement),
        "{whole}"
    );
}

/// From the plan on: logs are a kubelet's, and there is none.
#[tokio::test]
async fn a_run_is_gated_rehearsed_approved_applied_and_lets_go() {
    let server = shared();
    let namespace = namespace("runs-story");
    refused(
        &namespace,
        "ada",
        &run_yaml("forged", "grace", ""),
        "write your own name",
    );
    let client = Client::try_from(server.config().await).unwrap();
    let runs: Api<MigrationRun> = Api::namespaced(client.clone(), &namespace);
    create(&namespace, "admin", REST).unwrap();
    // Older than this second it would be as old as the policies.
    tokio::time::sleep(Duration::from_secs(2)).await;
    create(
        &namespace,
        "ada",
        &run_yaml("index", "ada", "suspend: true"),
    )
    .unwrap();
    let hash = "a".repeat(64);
    let plan = format!(
        r#"{{"status": {{"plan": {{"hash": "{hash}", "at": "2026-11-22T00:00:00Z", "systemIdentifier": "7", "database": "shop", "historyHead": "", "major": 17, "segments": 1, "statements": 1, "files": [{{"version": "7", "name": "7_a.sql", "sha256": "{hash}", "segments": 1}}]}}}}}}"#
    );
    let patch = |what: &[&str]| {
        let mut args = vec![
            "-n",
            namespace.as_str(),
            "patch",
            "lbm/index",
            "--type=merge",
        ];
        args.extend(what);
        server.kubectl(&args);
    };
    patch(&["--subresource=status", "-p", &plan]);
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
    let kubelet = kubelet::run(client.clone(), namespace.clone(), kubelet::all_well);
    let kubelet = tokio::spawn(kubelet);
    let run = || async { runs.get("index").await.unwrap() };
    let said = |run: &MigrationRun, type_: &str| {
        let status = run.status.clone().unwrap_or_default();
        status.conditions.into_iter().find(|c| c.type_ == type_)
    };
    until("it is suspended", || async {
        let run = run().await;
        said(&run, "Ready").filter(|c| c.reason == "Suspended")
    })
    .await;
    let backups: Api<Backup> = Api::namespaced(client.clone(), &namespace);
    until("there is a backup", || async {
        let status = backups.get("now").await.unwrap().status.unwrap_or_default();
        is_true(&status.conditions, COMPLETE).then_some(())
    })
    .await;
    patch(&["-p", r#"{"spec": {"suspend": false}}"#]);
    let rehearsed = until("it waits for approval", || async {
        let run = run().await;
        let ready = said(&run, "Ready")?;
        assert_ne!(ready.status, "False", "{ready:?}");
        (ready.reason == "AwaitingApproval").then_some(run)
    })
    .await;
    let status = rehearsed.status.clone().unwrap();
    let gate = status.gate.unwrap();
    assert_eq!((gate.backup.as_str(), gate.proven), ("now", true));
    assert_eq!(
        gate.drill.as_deref(),
        Some("index-gate"),
        "it had it drilled"
    );
    let (code, text) = approve(&namespace, "ada", &["--yes"], "");
    assert!(code != 0 && text.contains("ada asked for it"), "{text}");
    let (code, text) = approve(&namespace, "grace", &[], "no\n");
    assert!(code != 0 && text.contains("not approved"), "{text}");
    let (code, text) = approve(&namespace, "grace", &["--expires", "2h"], "yes\n");
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("asked for by ada") && text.contains("You are grace"),
        "{text}"
    );
    let done = until("it is complete", || async {
        let run = run().await;
        let status = run.status.clone().unwrap_or_default();
        is_true(&status.conditions, COMPLETE).then_some(run)
    })
    .await;
    let status = done.status.unwrap();
    assert_eq!(status.approvals[0].approver, "grace");
    assert_eq!(status.execution.unwrap().applied, 1);
    reports(&namespace);
    let drills: Api<RestoreDrill> = Api::namespaced(client.clone(), &namespace);
    until("what it made is gone, and its finalizer", || async {
        let left = drills.get_opt("index-gate").await.unwrap();
        (left.is_none() && run().await.finalizers().is_empty()).then_some(())
    })
    .await;
    // One that is deleted while it has a finalizer is looked at, and goes when nothing of it is at the database (M24).
    let leaving = run_yaml("leaving", "ada", "suspend: true").replace(
        "{name: leaving}",
        "{name: leaving, finalizers: [lifeboat.dev/migration]}",
    );
    create(&namespace, "ada", &leaving).unwrap();
    let args = ["-n", &namespace, "delete", "lbm/leaving", "--wait=false"];
    server.kubectl(&args);
    until("it is gone", || async {
        let left = runs.get_opt("leaving").await.unwrap();
        left.is_none().then_some(())
    })
    .await;
    let counted = "lifeboat_migration_runs_total{reason=\"Succeeded\"} 1";
    assert!(metrics.render().contains(counted), "{}", metrics.render());
    kubelet.abort();
    stop.cancel();
    running.ended().await;
}

#[tokio::test]
async fn m24_deleting_a_run_stops_its_worker_before_the_object_goes() {
    let server = shared();
    let namespace = namespace("runs-deleted");
    refused(
        &namespace,
        "ada",
        &run_yaml("forged", "grace", ""),
        "write your own name",
    );
    let client = Client::try_from(server.config().await).unwrap();
    let runs: Api<MigrationRun> = Api::namespaced(client.clone(), &namespace);
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    // Without the Backup, which nobody would end here, and which goes first while it runs (M17).
    let (rest, _) = REST.rsplit_once("---\n").unwrap();
    create(&namespace, "admin", rest).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rest = "approval: None\n  suspend: true";
    create(&namespace, "ada", &run_yaml("index", "ada", rest)).unwrap();
    let hash = "a".repeat(64);
    // A part of it stands: another worker goes on at once.
    let status = format!(
        r#"{{"status": {{
            "plan": {{"hash": "{hash}", "at": "2026-11-22T00:00:00Z", "systemIdentifier": "7", "database": "shop", "historyHead": "", "major": 17, "segments": 2, "statements": 2, "files": [{{"version": "7", "name": "7_a.sql", "sha256": "{hash}", "segments": 2}}]}},
            "gate": {{"backup": "before", "prefix": "shop.orders/x", "proven": true}},
            "rehearsal": {{"evidenceHash": "{hash}", "result": "Passed", "reason": "Succeeded", "message": "fine", "backup": "before", "finishedAt": "2026-11-22T00:00:00Z", "key": "migrations/x.json", "wayBack": false}},
            "execution": {{"applied": 1, "tries": 0, "begun": false, "unknown": false}}
        }}}}"#
    );
    let patch = ["-n", &namespace, "patch", "lbm/index", "--type=merge"];
    let args = [&patch[..], &["--subresource=status", "-p", &status]].concat();
    server.kubectl(&args);
    let args = [&patch[..], &["-p", r#"{"spec": {"suspend": false}}"#]].concat();
    server.kubectl(&args);
    let stop = CancellationToken::new();
    let running = start(
        Parts {
            client: Client::try_from(server.operator_config().await).unwrap(),
            settings: settings(),
            clock: Arc::new(SystemClock),
            metrics: Metrics::new(),
            namespace: Some(namespace.clone()),
            health: Default::default(),
            scopes: Arc::default(),
        },
        &stop,
    );
    let job = until("its worker is created", || async {
        jobs.get_opt("index-apply-1").await.unwrap()
    })
    .await;
    let finalizers = runs.get("index").await.unwrap().finalizers().to_vec();
    assert_eq!(finalizers, ["lifeboat.dev/migration"]);
    let pod = kubelet::create_pod(&client, &namespace, &job).await;
    let on = serde_json::json!({"running": {"startedAt": kubelet::now()}});
    kubelet::set_work(&client, &namespace, &pod, "Running", on).await;
    until("it is seen at work", || async {
        let status = runs.get("index").await.unwrap().status.unwrap_or_default();
        status.running.filter(|r| r.job_uid.is_some())
    })
    .await;
    let args = ["-n", &namespace, "delete", "lbm/index", "--wait=false"];
    server.kubectl(&args);
    until("its Job is gone", || async {
        let left = jobs.get_opt("index-apply-1").await.unwrap();
        left.is_none().then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(
        runs.get_opt("index").await.unwrap().is_some(),
        "its pod is at work"
    );
    let message = serde_json::json!({"message": "told to stop", "version": 1, "reason": "Terminated", "retry": "Later",
        "migration": {"applied": {"applied": 1, "of": 2, "tries": 0}}});
    let ended = serde_json::json!({"terminated": {"exitCode": 1, "message": message.to_string(), "startedAt": kubelet::now(), "finishedAt": kubelet::now()}});
    kubelet::set_work(&client, &namespace, &pod, "Failed", ended).await;
    until("it goes", || async {
        runs.get_opt("index").await.unwrap().is_none().then_some(())
    })
    .await;
    let settled = jobs.get_opt("index-settle-1").await.unwrap();
    assert!(settled.is_none(), "its pod has said what stands");
    stop.cancel();
    running.ended().await;
}
