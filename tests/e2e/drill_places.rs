//! Where drills run: killed in each of their phases, on a volume of their own, with and without a way to the source.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{Story, condition};
use crate::drills::{DRILL, WITH_KEY, assert_gone, assert_said, back_up, backed_up, drill, ended};
use crate::{A_RUN, demo, looks};

/// Between two looks at a log.
const LOOK: Duration = Duration::from_millis(300);
const OF_DRILLS: &str = "lifeboat.dev/task=drill";
const PODS: [&str; 2] = ["-l", OF_DRILLS];

/// Waits until the worker says that it has come to a step.
fn await_step(story: &Story, step: &str) {
    let began = Instant::now();
    let said = format!("\"step\":\"{step}\"");
    loop {
        let text = looks::logs(story.kubeconfig(), &story.namespace, OF_DRILLS, "work");
        if text.contains(&said) {
            return;
        }
        assert!(began.elapsed() < A_RUN, "no {step} in the log:\n{text}");
        std::thread::sleep(LOOK);
    }
}

fn is_inconclusive(object: &Value) -> bool {
    condition(object, "Passed").is_some_and(|c| c["status"] == "Unknown")
}

/// K13, P10: whenever its pod is killed, a drill cannot tell, and leaves nothing. Before its end it says how far it is.
#[test]
fn a_drill_that_is_killed_in_any_phase_cannot_tell_and_leaves_nothing() {
    let story = backed_up("drill-killed", &[]);
    // Each session waits a little before it begins, so that each phase is long enough to be met.
    let slow = "  postgres: {parameters: {post_auth_delay: '2'}}\n";
    for (name, step) in [
        ("server", "StartingServer"),
        ("schema", "LoadingSchema"),
        ("data", "LoadingData"),
        ("indexes", "Indexing"),
        ("verify", "Counted"),
    ] {
        drill(&story, name, &format!("{WITH_KEY}{slow}"));
        await_step(&story, step);
        story.kubectl(
            &[
                &["delete", "pods", "--grace-period=0", "--force"],
                &PODS[..],
            ]
            .concat(),
        );
        let object = ended(&story, name);
        assert!(is_inconclusive(&object), "{name}: {object:#}");
        assert_gone(&story);
    }
    let asking = "  checks: [{name: a, sql: 'select pg_sleep(55) is null'}, {name: b, sql: 'select pg_sleep(56) is null'}]\n";
    drill(&story, "checks", &format!("{WITH_KEY}{asking}"));
    story.await_object(
        DRILL,
        "checks",
        "progress in its status (K15)",
        A_RUN,
        |o| o["status"]["running"]["progress"]["step"] == "Checking",
    );
    story.kubectl(
        &[
            &["delete", "pods", "--grace-period=0", "--force"],
            &PODS[..],
        ]
        .concat(),
    );
    let object = ended(&story, "checks");
    assert!(is_inconclusive(&object), "{object:#}");
    assert_gone(&story);
    story.end();
}

/// A volume of a class of its own goes with the pod, and the drill is as good on it.
#[test]
fn a_drill_on_a_volume_of_a_storage_class_gives_it_back() {
    let story = backed_up("drill-class", &[]);
    let disk = tempfile::tempdir_in("/var/tmp").unwrap();
    let class = format!("{}-disk", story.namespace);
    let node = story.plain(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    // Static: there is no provisioner in this cluster, and none is needed.
    story.apply(&format!(
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {class}}}\nspec:\n  storageClassName: {class}\n  capacity: {{storage: 2Gi}}\n  \
         accessModes: [ReadWriteOnce]\n  persistentVolumeReclaimPolicy: Retain\n  local: {{path: {}}}\n  nodeAffinity: {{required: {{nodeSelectorTerms: \
         [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{node}]}}]}}]}}}}\n",
        disk.path().display(),
    ));
    let storage = format!("  postgres: {{storage: {{size: 1Gi, className: {class}}}}}\n");
    drill(&story, "weekly", &format!("{WITH_KEY}{storage}"));
    assert_said(&ended(&story, "weekly"), "True", "Succeeded");
    assert_gone(&story);
    let volume = story.await_object("persistentvolume", &class, "given back", A_RUN, |o| {
        o["status"]["phase"] == "Released"
    });
    assert!(
        volume["spec"]["claimRef"]["name"].is_string(),
        "it was used: {volume:#}"
    );
    assert!(
        !disk.path().join("data").exists(),
        "nothing of the database stays on it"
    );
    story.plain(&["delete", "persistentvolume", &class]);
    story.end();
}

/// Sends the connections of the story's Service to this address, and waits until the node does.
fn leads_to(story: &Story, address: &str, answers: bool) {
    story.apply(&format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: source, labels: {{kubernetes.io/service-name: source}}}}\n\
         addressType: IPv4\nports: [{{port: 5432}}]\nendpoints: [{{addresses: [{address}]}}]\n"
    ));
    let service = "jsonpath={.spec.clusterIP}";
    let service = story.kubectl(&["get", "service", "source", "-o", service]);
    let service = SocketAddr::new(service.parse().unwrap(), 5432);
    let began = Instant::now();
    while TcpStream::connect_timeout(&service, Duration::from_secs(1)).is_ok() != answers {
        assert!(
            began.elapsed() < A_RUN,
            "{service} does not lead to {address}"
        );
        std::thread::sleep(LOOK);
    }
}

/// Processes of a pod, its sandbox among them, as the machine numbers them.
pub fn processes_of(pod_uid: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let names = processes.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let numbers = names.filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    // Processes come and go meanwhile.
    let groups = |name: &str| std::fs::read_to_string(format!("/proc/{name}/cgroup"));
    let ours = numbers.filter(|name| groups(name).is_ok_and(|groups| groups.contains(pod_uid)));
    ours.collect()
}

/// G30: whether the source can be reached from a drill's pod is told, and is never a verdict.
#[test]
fn g30_a_way_from_a_drill_to_the_source_is_told_and_decides_nothing() {
    demo::installed();
    let story = Story::begin("drill-way");
    // The source under a name of the story's own.
    let address = story.plain(&[
        "-n",
        "demo",
        "get",
        "pod",
        "flights-db-0",
        "-o",
        "jsonpath={.status.podIP}",
    ]);
    story.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: source}\nspec: {ports: [{port: 5432}]}\n",
    );
    leads_to(&story, &address, true);
    // Its certificate is of another name.
    let host = format!("source.{}.svc", story.namespace);
    back_up(&story, &[("host", Some(&host))], "mode: Require, ");
    let isolated = |object: &Value| {
        let told = condition(object, "Isolated").unwrap();
        (told["status"].clone(), told["reason"].clone())
    };
    drill(&story, "open", WITH_KEY);
    let object = ended(&story, "open");
    assert_said(&object, "True", "Succeeded");
    assert_eq!(isolated(&object), ("False".into(), "NotIsolated".into()));
    assert_gone(&story);
    // What is sent there is lost, as a NetworkPolicy would have it: it is an address of nobody.
    leads_to(&story, "192.0.2.1", false);
    drill(&story, "closed", WITH_KEY);
    let object = ended(&story, "closed");
    assert_said(&object, "True", "Succeeded");
    assert_eq!(isolated(&object).0, "True", "{object:#}");
    assert_gone(&story);
    story.end();
}
