//! Looks at objects of the cluster from within this process. Stories look several times a second, and a kubectl started for
//! each look computes for a tenth of a second: a whole core for all of them.

use std::sync::OnceLock;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, LogParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use serde_json::Value;
use tokio::runtime::Runtime;

struct Cluster {
    runtime: Runtime,
    client: Client,
}

/// There is one cluster in a run of the tests.
fn cluster(kubeconfig: &str) -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime.block_on(async {
            let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(file, &options).await;
            Client::try_from(config.expect("a context")).expect("a client")
        });
        Cluster { runtime, client }
    })
}

/// Group, version and plural of what stories call a kind, and whether it lies in a namespace.
fn resource(kind: &str) -> (ApiResource, bool) {
    let (group, version, plural, namespaced) = match kind {
        "namespace" => ("", "v1", "namespaces", false),
        "persistentvolume" => ("", "v1", "persistentvolumes", false),
        "pods" | "secrets" | "configmaps" | "persistentvolumeclaims" => ("", "v1", kind, true),
        "jobs" => ("batch", "v1", kind, true),
        "networkpolicies" => ("networking.k8s.io", "v1", kind, true),
        _ => match kind.split_once('.') {
            Some((plural, group @ "lifeboat.dev")) => (group, "v1alpha1", plural, true),
            _ => panic!("tests/support/looks.rs does not know the kind {kind}"),
        },
    };
    let api_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    (resource, namespaced)
}

fn api(cluster: &Cluster, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let (resource, namespaced) = resource(kind);
    let client = cluster.client.clone();
    match namespaced {
        true => Api::namespaced_with(client, namespace, &resource),
        false => Api::all_with(client, &resource),
    }
}

/// Asks again, a few times, when the connection was lost: the server may close one at any time.
fn asked<T, F: Future<Output = kube::Result<T>>>(
    cluster: &Cluster,
    ask: impl Fn() -> F,
) -> kube::Result<T> {
    let mut lost = 0;
    loop {
        match cluster.runtime.block_on(ask()) {
            Err(e) if !matches!(e, kube::Error::Api(_)) && lost < 5 => lost += 1,
            answer => return answer,
        }
    }
}

/// An object as JSON; `None` if it is not there.
pub fn object(kubeconfig: &str, namespace: &str, kind: &str, name: &str) -> Option<Value> {
    let cluster = cluster(kubeconfig);
    let api = api(cluster, namespace, kind);
    let found = asked(cluster, || api.get_opt(name))
        .unwrap_or_else(|e| panic!("{kind}/{name} in {namespace}: {e}"));
    found.map(|object| serde_json::to_value(object).expect("an object is JSON"))
}

/// The objects with this label.
pub fn labelled(kubeconfig: &str, namespace: &str, kind: &str, label: &str) -> Vec<DynamicObject> {
    let cluster = cluster(kubeconfig);
    let labelled = ListParams::default().labels(label);
    let api = api(cluster, namespace, kind);
    asked(cluster, || api.list(&labelled))
        .unwrap_or_else(|e| panic!("{kind} with {label} in {namespace}: {e}"))
        .items
}

/// What a container of each pod with this label has printed so far, one after the other; of one that has not begun, nothing.
pub fn logs(kubeconfig: &str, namespace: &str, label: &str, container: &str) -> String {
    let cluster = cluster(kubeconfig);
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let params = LogParams {
        container: Some(container.to_owned()),
        ..LogParams::default()
    };
    let read = |pod: DynamicObject| {
        let name = pod.name_any();
        let log = cluster.runtime.block_on(pods.logs(&name, &params));
        log.unwrap_or_default()
    };
    let all = labelled(kubeconfig, namespace, "pods", label);
    all.into_iter().map(read).collect()
}
