//! The operator's hands on a real API server, with the rights that the chart gives it.
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

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apiserver::{ApiServer, shared};
use axum::http::{Method, Request};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use kube::client::{Body, ClientBuilder};
use kube::{Api, Client, ResourceExt};
use lifeboat::api::backup::AttemptProgress;
use lifeboat::api::{Backup, BackupPolicy, BackupStatus, BackupStore, LABEL_POLICY_UID, Reason};
use lifeboat::cluster::act::act;
use lifeboat::cluster::decision::{Decision, Effect, Next};
use lifeboat::cluster::operator::{Parts, Running, start};
use lifeboat::cluster::report::report;
use lifeboat::cluster::{Clock, Fault, SystemClock};
use lifeboat::telemetry::Metrics;
use lifeboat::workload::{Settings, probe_job};
use rstest::rstest;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::util::MapRequestLayer;

/// A clock that the test turns.
struct HandClock(AtomicI64);

impl HandClock {
    fn at(time: &str) -> Arc<Self> {
        let time: Timestamp = time.parse().unwrap();
        Arc::new(Self(AtomicI64::new(time.as_second())))
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

fn settings() -> Settings {
    serde_saphyr::from_str(
        "{image: 'lifeboat:test', imagePullPolicy: Never, postgresImage: 'postgres:{major}', defaultMajor: 17, runAsUser: 65532, fsGroup: 65532, resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {cpu: '1', memory: 64Mi}}}",
    )
    .unwrap()
}

/// An operator of one namespace, with the writes it sent.
struct Ship {
    running: Running,
    writes: Arc<Mutex<Vec<String>>>,
    metrics: Metrics,
    stop: CancellationToken,
}

impl Ship {
    async fn launch(server: &ApiServer, namespace: &str, clock: Arc<dyn Clock>) -> Self {
        let writes: Arc<Mutex<Vec<String>>> = Arc::default();
        let sent = writes.clone();
        let note = MapRequestLayer::new(move |request: Request<Body>| {
            if request.method() != Method::GET {
                let line = format!("{} {}", request.method(), request.uri());
                sent.lock().unwrap().push(line);
            }
            request
        });
        let client = ClientBuilder::try_from(server.operator_config().await)
            .unwrap()
            .with_layer(&note)
            .build();
        let metrics = Metrics::new();
        let stop = CancellationToken::new();
        let parts = Parts {
            client,
            settings: settings(),
            clock,
            metrics: metrics.clone(),
            namespace: Some(namespace.to_owned()),
            health: Default::default(),
            scopes: Arc::default(),
        };
        let running = start(parts, &stop);
        running.context.caches.synced().await.unwrap();
        Self {
            running,
            writes,
            metrics,
            stop,
        }
    }

    fn writes(&self) -> usize {
        self.writes.lock().unwrap().len()
    }

    /// The sum of a metric over its labels.
    fn count(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let lines = text.lines().filter(|l| l.starts_with(name));
        lines
            .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.ended().await;
    }
}

async fn admin(server: &ApiServer) -> Client {
    Client::try_from(server.config().await).unwrap()
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

fn store_yaml(name: &str) -> String {
    format!(
        "apiVersion: lifeboat.dev/v1alpha1
kind: BackupStore
metadata: {{name: {name}}}
spec:
  s3: {{bucket: backups, endpoint: 'http://minio:9000'}}
  credentials: {{writer: {{secretRef: {{name: w}}}}}}
  encryption: {{mode: None}}
"
    )
}

fn policy_yaml(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: lifeboat.dev/v1alpha1
kind: BackupPolicy
metadata: {{name: {name}}}
spec: {{database: {{secretRef: {{name: d}}}}, storeRef: {{name: primary}}{rest}}}
"
    )
}

fn backup_yaml(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {{name: {name}}}
spec: {{policyRef: {{name: orders}}{rest}}}
"
    )
}

fn apply(namespace: &str, yaml: &str) -> Result<String, String> {
    shared().try_kubectl(&["-n", namespace, "create", "-f", "-"], yaml)
}

#[tokio::test]
async fn the_crds_are_served_and_say_the_status_before_the_first_look() {
    let namespace = shared().namespace("served");
    apply(&namespace, &store_yaml("primary")).unwrap();
    apply(&namespace, &policy_yaml("orders", "")).unwrap();
    apply(&namespace, &backup_yaml("now", "")).unwrap();
    for kind in ["lbs/primary", "lbp/orders", "lbb/now"] {
        let path = "jsonpath={.status.observedGeneration}";
        let seen = shared().kubectl(&["-n", &namespace, "get", kind, "-o", path]);
        assert_eq!(seen, "-1", "{kind} (K30)");
    }
    for crd in ["backupstores", "backuppolicies", "backups"] {
        let path = "jsonpath={.status.conditions[?(@.type=='NonStructuralSchema')].message}";
        let crd = format!("crd/{crd}.lifeboat.dev");
        assert_eq!(shared().kubectl(&["get", &crd, "-o", path]), "");
    }
    let all = shared().kubectl(&["-n", &namespace, "get", "lifeboat"]);
    assert!(
        all.contains("primary") && all.contains("orders") && all.contains("now"),
        "{all}"
    );
}

#[rstest]
#[case::recipients(store_yaml("x").replace("{mode: None}", "{recipients: []}"), "name at least one age public key")]
#[case::deadline(policy_yaml("x", ", deadline: 0s"), "spec.deadline")]
#[case::two_tiers(
    policy_yaml(
        "x",
        ", tiers: [{name: a, cron: 0 2 * * *}, {name: a, cron: 0 3 * * *}]"
    ),
    "two tiers have one name"
)]
#[case::label(
    policy_yaml("x", ", template: {labels: {lifeboat.dev/task: x}}"),
    "use a prefix of yours"
)]
#[case::annotation(
    policy_yaml("x", ", template: {annotations: {app.kubernetes.io/name: x}}"),
    "use a prefix of yours"
)]
#[case::unknown_field(policy_yaml("x", ", deadlines: 1h"), "unknown field")]
// K35, by the chart's admission policy.
#[case::scheduled_by_hand(
    backup_yaml("x", ", reason: Scheduled"),
    "only the operator creates scheduled backups"
)]
#[case::tiers_by_hand(backup_yaml("x", ", tiers: [daily]"), "only the operator sets them")]
#[case::thousand_tiers(policy_yaml("x", &format!(", tiers: [{}]", vec!["{name: a, cron: 0 2 * * *}"; 1000].join(","))), "must have at most 12 items")]
fn bad_input_is_refused_at_apply(#[case] yaml: String, #[case] message: &str) {
    // The admission policy begins to hold some time after it was made.
    let begun = Instant::now();
    loop {
        match apply("default", &yaml) {
            Err(text) => break assert!(text.contains(message), "{text}"),
            Ok(text) if begun.elapsed() > Duration::from_secs(30) => panic!("accepted: {text}"),
            Ok(_) => {
                let _ = shared().try_kubectl(&["delete", "-f", "-"], &yaml);
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

#[test]
fn k31_what_cannot_change_is_refused_by_the_server() {
    let namespace = shared().namespace("immutable");
    apply(&namespace, &store_yaml("primary")).unwrap();
    apply(&namespace, &policy_yaml("orders", ", directory: a.b")).unwrap();
    apply(&namespace, &backup_yaml("now", "")).unwrap();
    for (kind, patch) in [
        ("lbs/primary", r#"{"spec":{"s3":{"bucket":"other"}}}"#),
        ("lbs/primary", r#"{"spec":{"s3":{"endpoint":null}}}"#),
        ("lbp/orders", r#"{"spec":{"directory":null}}"#),
        ("lbb/now", r#"{"spec":{"policyRef":{"name":"other"}}}"#),
    ] {
        let args = ["-n", &namespace, "patch", kind, "--type=merge", "-p", patch];
        let refused = shared().try_kubectl(&args, "").unwrap_err();
        assert!(refused.contains("cannot change"), "{refused}");
    }
}

fn decided(status: BackupStatus) -> Decision<BackupStatus> {
    Decision {
        effects: Vec::new(),
        status,
        notices: Vec::new(),
        next: Next::OnChange,
    }
}

#[tokio::test]
async fn k16_a_status_is_written_whole_and_only_on_what_was_seen() {
    let namespace = shared().namespace("status");
    let ship = Ship::launch(shared(), "elsewhere", Arc::new(SystemClock)).await;
    let context = ship.running.context.clone();
    apply(&namespace, &backup_yaml("now", "")).unwrap();
    let api: Api<Backup> = Api::namespaced(admin(shared()).await, &namespace);
    let seen = api.get("now").await.unwrap();
    let full = BackupStatus {
        observed_generation: Some(1),
        tables: Some(3),
        progress: Some(AttemptProgress {
            step: "Locked".to_owned(),
            percent: Some(4),
            blocking: None,
        }),
        ..BackupStatus::default()
    };
    assert!(
        report(&context, &seen, &decided(full.clone()), &[])
            .await
            .unwrap()
    );
    let stale = report(&context, &seen, &decided(full.clone()), &[]).await;
    assert!(matches!(stale, Err(Fault::Stale(_))), "{stale:?}");

    let seen = api.get("now").await.unwrap();
    assert_eq!(seen.status.as_ref(), Some(&full));
    let before = ship.writes();
    assert!(
        !report(&context, &seen, &decided(full.clone()), &[])
            .await
            .unwrap()
    );
    assert_eq!(ship.writes(), before, "what is so already is not written");

    let less = BackupStatus {
        progress: None,
        ..full
    };
    report(&context, &seen, &decided(less.clone()), &[])
        .await
        .unwrap();
    assert_eq!(
        api.get("now").await.unwrap().status,
        Some(less),
        "what is not said is gone"
    );
    ship.stop().await;
}

#[tokio::test]
async fn k16_an_older_crd_stops_the_writing_of_that_kind_instead_of_dropping_fields() {
    let server = ApiServer::start();
    server.install_chart();
    server.kubectl(&[
        "patch",
        "crd",
        "backups.lifeboat.dev",
        "--type=json",
        "-p",
        r#"[{"op":"remove","path":"/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/tables"}]"#,
    ]);
    let ship = Ship::launch(&server, "elsewhere", Arc::new(SystemClock)).await;
    let client = admin(&server).await;
    server
        .try_kubectl(&["create", "-f", "-"], &backup_yaml("now", ""))
        .unwrap();
    let api: Api<Backup> = Api::namespaced(client, "default");
    let status = BackupStatus {
        tables: Some(3),
        ..BackupStatus::default()
    };
    // The new schema holds some moments after it was accepted.
    let refused = until("the server refuses the field", || async {
        let seen = api.get("now").await.unwrap();
        let written = report(&ship.running.context, &seen, &decided(status.clone()), &[]).await;
        written.err().filter(|e| !matches!(e, Fault::Stale(_)))
    })
    .await;
    assert!(matches!(refused, Fault::CrdOutdated { .. }), "{refused:?}");
    let before = ship.writes();
    let seen = api.get("now").await.unwrap();
    let again = report(&ship.running.context, &seen, &decided(status), &[]).await;
    assert!(matches!(again, Err(Fault::CrdOutdated { .. })), "{again:?}");
    assert_eq!(ship.writes(), before, "it is not tried again");
    assert!(ship.count("lifeboat_crd_outdated{kind=\"Backup\"}") > 0.0);
    ship.stop().await;
}

fn scheduled(namespace: &str, name: &str, policy_uid: &str) -> Backup {
    let mut backup: Backup = serde_saphyr::from_str(&backup_yaml(
        name,
        ", reason: Scheduled, tiers: [daily], scheduledTime: '2026-11-21T02:00:00Z'",
    ))
    .unwrap();
    backup.metadata.namespace = Some(namespace.to_owned());
    backup
        .labels_mut()
        .insert(LABEL_POLICY_UID.to_owned(), policy_uid.to_owned());
    backup
}

#[tokio::test]
async fn k26_a_name_that_is_taken_is_adopted_if_it_is_ours_and_told_if_not() {
    let namespace = shared().namespace("adopt");
    let ship = Ship::launch(shared(), "elsewhere", Arc::new(SystemClock)).await;
    let effect = |policy_uid: &str| Effect::CreateBackup {
        backup: Box::new(scheduled(&namespace, "orders-1", policy_uid)),
        policy_uid: policy_uid.to_owned(),
    };
    let context = &ship.running.context;
    for _ in 0..2 {
        let heard = act(context, &[effect("mine")]).await.unwrap();
        assert!(heard.is_empty(), "made, then adopted");
    }
    let heard = act(context, &[effect("another")]).await.unwrap();
    assert_eq!(heard.first().map(|n| n.reason), Some(Reason::NameCollision));
    ship.stop().await;
}

#[tokio::test]
async fn k16_a_job_is_created_only_for_an_owner_that_is_as_it_was_seen() {
    let namespace = shared().namespace("jobs");
    let ship = Ship::launch(shared(), "elsewhere", Arc::new(SystemClock)).await;
    let context = &ship.running.context;
    apply(&namespace, &store_yaml("primary")).unwrap();
    let client = admin(shared()).await;
    let stores: Api<BackupStore> = Api::namespaced(client.clone(), &namespace);
    let jobs: Api<Job> = Api::namespaced(client, &namespace);
    let store = stores.get("primary").await.unwrap();
    let create = |store: &BackupStore| {
        let job = probe_job(&settings(), store, "0");
        Effect::CreateJob {
            job: Box::new(job),
            owner_version: store.resource_version().unwrap(),
        }
    };
    act(context, &[create(&store)]).await.unwrap();
    act(context, &[create(&store)]).await.unwrap();
    let job = jobs
        .list(&Default::default())
        .await
        .unwrap()
        .items
        .remove(0);
    let name = job.name_any();

    // Another Job of that uid is not ours to delete (K5).
    let delete = |uid: &str| Effect::DeleteJob {
        namespace: namespace.clone(),
        name: name.clone(),
        uid: uid.to_owned(),
    };
    act(context, &[delete("0a0a0a0a-0000-4000-8000-000000000000")])
        .await
        .unwrap();
    assert!(jobs.get(&name).await.is_ok());
    act(context, &[delete(&job.uid().unwrap())]).await.unwrap();
    assert!(jobs.get_opt(&name).await.unwrap().is_none());
    act(context, &[delete(&job.uid().unwrap())]).await.unwrap();

    // The name is taken by a stranger.
    let mut stranger = probe_job(&settings(), &store, "0");
    let labels = [("app".to_owned(), "shop".to_owned())];
    *stranger.labels_mut() = labels.into();
    let template = &mut stranger.spec.as_mut().unwrap().template;
    template.metadata.as_mut().unwrap().labels = None;
    jobs.create(&PostParams::default(), &stranger)
        .await
        .unwrap();
    let taken = act(context, &[create(&store)]).await;
    assert!(
        matches!(taken, Err(Fault::NameCollision { .. })),
        "{taken:?}"
    );

    let patch = json!({"metadata": {"annotations": {"a": "b"}}});
    stores
        .patch("primary", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
    let stale = act(context, &[create(&store)]).await;
    assert!(matches!(stale, Err(Fault::Stale(_))), "{stale:?}");
    stores.delete("primary", &Default::default()).await.unwrap();
    let gone = act(context, &[create(&store)]).await;
    assert!(matches!(gone, Err(Fault::Gone { .. })), "{gone:?}");
    ship.stop().await;
}

#[tokio::test]
async fn k23_a_terminating_namespace_is_waited_for_quietly() {
    let namespace = shared().namespace("leaving");
    let ship = Ship::launch(shared(), "elsewhere", Arc::new(SystemClock)).await;
    // Nobody finalizes namespaces here, so it stays Terminating.
    shared().kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    let effect = Effect::CreateBackup {
        backup: Box::new(scheduled(&namespace, "orders-1", "mine")),
        policy_uid: "mine".to_owned(),
    };
    let context = &ship.running.context;
    let refused = act(context, &[effect]).await;
    assert!(
        matches!(&refused, Err(fault) if fault.is_quiet()),
        "{refused:?}"
    );
    assert!(context.is_terminating(&namespace, SystemClock.now()));
    ship.stop().await;
}

#[tokio::test]
async fn an_object_that_does_not_decode_is_told_once_and_the_others_go_on() {
    let namespace = shared().namespace("undecodable");
    let client = admin(shared()).await;
    // An offset that the server takes for a time and nobody else does.
    let mut bad = serde_json::to_value(scheduled(&namespace, "bad", "p")).unwrap();
    bad["spec"]["scheduledTime"] = json!("2026-11-21T02:00:00+99:00");
    let bad_yaml = serde_json::to_string(&bad).unwrap();
    let ours = "system:serviceaccount:lifeboat-system:lifeboat";
    let args = ["-n", &namespace, "create", "--as", ours, "-f", "-"];
    shared().try_kubectl(&args, &bad_yaml).unwrap();
    let ship = Ship::launch(shared(), &namespace, Arc::new(SystemClock)).await;
    apply(&namespace, &store_yaml("primary")).unwrap();
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    until("the store is probed", || async {
        let all = jobs.list(&Default::default()).await.unwrap().items;
        (!all.is_empty()).then_some(())
    })
    .await;
    let events: Api<Event> = Api::namespaced(client, &namespace);
    let told = || async {
        let all = events.list(&Default::default()).await.unwrap().items;
        let about = |e: &Event| e.reason.as_deref() == Some("Undecodable");
        let n = all.into_iter().filter(about).count();
        (n > 0).then_some(n)
    };
    assert_eq!(until("an Event", told).await, 1);
    assert!((ship.count("lifeboat_undecodable_objects") - 1.0).abs() < 0.1);
    for _ in 0..3 {
        ship.running.resync();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let events = ship.count("lifeboat_events_total{reason=\"Undecodable\"}");
    assert!((events - 1.0).abs() < 0.1, "{events}");
    ship.stop().await;
}

/// resourceVersions of everything of ours in a namespace.
fn versions(namespace: &str) -> BTreeMap<String, String> {
    let path = "jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion}{\"\\n\"}{end}";
    let kinds = "lbs,lbp,lbb,jobs,pods,events.events.k8s.io";
    let text = shared().kubectl(&["-n", namespace, "get", kinds, "-o", path]);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_rest_it_writes_nothing() {
    const POLICIES: usize = 50;
    let namespace = shared().namespace("rest");
    let mut yaml = store_yaml("primary");
    for n in 0..POLICIES {
        let spec = ", tiers: [{name: yearly, cron: 0 2 1 1 *}]";
        yaml = format!("{yaml}---\n{}", policy_yaml(&format!("p{n}"), spec));
    }
    apply(&namespace, &yaml).unwrap();
    let kubelet = tokio::spawn(kubelet::run(
        admin(shared()).await,
        namespace.clone(),
        kubelet::all_well,
    ));
    let clock = HandClock::at(&kubelet::now());
    let ship = Ship::launch(shared(), &namespace, clock.clone()).await;
    let policies: Api<BackupPolicy> = Api::namespaced(admin(shared()).await, &namespace);
    until("every policy is Ready", || async {
        let all = policies.list(&Default::default()).await.unwrap().items;
        let ready = |p: &BackupPolicy| {
            let conditions = p.status.as_ref().map(|s| s.conditions.as_slice());
            conditions.is_some_and(|c| lifeboat::api::condition::is_true(c, "Ready"))
        };
        all.iter().all(ready).then_some(())
    })
    .await;
    // Settled: no write for three seconds.
    let last = AtomicUsize::new(usize::MAX);
    until("nothing is written any more", || async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = ship.writes();
        (last.swap(now, Ordering::SeqCst) == now).then_some(())
    })
    .await;
    let (writes, before) = (ship.writes(), versions(&namespace));
    for _ in 0..100 {
        clock.advance(6);
        let looked = ship.count("lifeboat_reconciles_total");
        ship.running.resync();
        #[allow(clippy::cast_precision_loss, clippy::as_conversions)]
        let wanted = looked + (POLICIES + 1) as f64;
        until("every object was looked at", || async {
            (ship.count("lifeboat_reconciles_total") >= wanted).then_some(())
        })
        .await;
    }
    let sent = ship.writes.lock().unwrap().clone();
    assert!(sent[writes..].is_empty(), "writes at rest: {sent:?}");
    assert_eq!(versions(&namespace), before);
    kubelet.abort();
    ship.stop().await;
}

/// What the kstatus library says of an object.
fn kstatus(namespace: &str, object: &str) -> String {
    let json = shared().kubectl(&["-n", namespace, "get", object, "-o", "json"]);
    let mut child = std::process::Command::new(apiserver::tool("KSTATUS"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(json.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[rstest]
#[case::done("kstatus-done", kubelet::all_well, "Current")]
#[case::failed("kstatus-failed", failing, "Failed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k30_kstatus_follows_a_backup_from_its_creation_to_its_end(
    #[case] name: &str,
    #[case] script: kubelet::Script,
    #[case] end: &str,
) {
    let namespace = shared().namespace(name);
    apply(&namespace, &store_yaml("primary")).unwrap();
    apply(&namespace, &policy_yaml("orders", ", attempts: 1")).unwrap();
    apply(&namespace, &backup_yaml("now", "")).unwrap();
    assert!(
        kstatus(&namespace, "lbb/now").contains("InProgress"),
        "created"
    );
    let ship = Ship::launch(shared(), &namespace, Arc::new(SystemClock)).await;
    let client = admin(shared()).await;
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let job = until("its Job", || async {
        jobs.get_opt("now-a1").await.unwrap()
    })
    .await;
    let pod = kubelet::create_pod(&client, &namespace, &job).await;
    let running = json!({"running": {"startedAt": kubelet::now()}});
    kubelet::set_work(&client, &namespace, &pod, "Running", running).await;
    let backups: Api<Backup> = Api::namespaced(client.clone(), &namespace);
    until("it runs", || async {
        let status = backups.get("now").await.unwrap().status?;
        let ready = lifeboat::api::condition::find(&status.conditions, "Reconciling")?;
        (ready.reason == "Running").then_some(())
    })
    .await;
    assert!(
        kstatus(&namespace, "lbb/now").contains("InProgress"),
        "running"
    );
    let kubelet = tokio::spawn(kubelet::run(client, namespace.clone(), script));
    until("its end", || async {
        let status = backups.get("now").await.unwrap().status?;
        status.finished_at
    })
    .await;
    assert!(
        kstatus(&namespace, "lbb/now").contains(end),
        "{}",
        kstatus(&namespace, "lbb/now")
    );
    until("its Job is taken away", || async {
        jobs.get_opt("now-a1")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    kubelet.abort();
    ship.stop().await;
}

fn failing(task: &str) -> Option<String> {
    match task {
        "backup" => Some(
            json!({"message": "no", "version": 1, "reason": "PermissionDenied", "retry": "Never"})
                .to_string(),
        ),
        other => kubelet::all_well(other),
    }
}
