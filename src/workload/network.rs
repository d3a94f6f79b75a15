//! What the pods of a drill, and of a rehearsal, may reach (K38). NetworkPolicy knows addresses and ports, not names: it keeps a restored
//! database from talking to others, and is no substitute for not holding a credential (P9).

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Resource, ResourceExt};

use super::Settings;
use super::job::owner_of;
use crate::api::migration_run::MigrationStep;
use crate::api::{
    BackupPolicy, BackupStore, LABEL_OWNER_UID, LABEL_STEP, MigrationRun, RestoreDrill, name,
};

/// Where names are resolved; OpenShift's own servers listen on the second.
const DNS: [i32; 2] = [53, 5353];

/// Name of a drill's NetworkPolicy.
#[must_use]
pub fn network_name(drill: &RestoreDrill) -> String {
    let uid = drill.uid().unwrap_or_default();
    format!("lifeboat-drill-{}", name::hash_hex(&[&uid], 12))
}

/// Nobody reaches the drill's pods; they reach names and the store's port, or the proxy's, anywhere. Owned by the drill.
#[must_use]
pub fn drill_network(
    settings: &Settings,
    policy: &BackupPolicy,
    store: &BackupStore,
    drill: &RestoreDrill,
) -> NetworkPolicy {
    let uid = drill.uid().unwrap_or_default();
    isolated(
        ways(settings, policy, store),
        network_name(drill),
        drill,
        [(LABEL_OWNER_UID.to_owned(), uid)].into(),
    )
}

/// Name of the NetworkPolicy of a run's rehearsals.
#[must_use]
pub fn rehearsal_network_name(run: &MigrationRun) -> String {
    let uid = run.uid().unwrap_or_default();
    format!("lifeboat-rehearsal-{}", name::hash_hex(&[&uid], 12))
}

/// As [`drill_network`], for the pods of a run that rehearse: those that plan and apply have to reach the database.
#[must_use]
pub fn rehearsal_network(
    settings: &Settings,
    policy: &BackupPolicy,
    store: &BackupStore,
    run: &MigrationRun,
) -> NetworkPolicy {
    let uid = run.uid().unwrap_or_default();
    let rehearse = MigrationStep::Rehearse.as_str().to_owned();
    let labels = [
        (LABEL_OWNER_UID.to_owned(), uid),
        (LABEL_STEP.to_owned(), rehearse),
    ];
    let ways = ways(settings, policy, store);
    isolated(ways, rehearsal_network_name(run), run, labels.into())
}

/// Ports of the store, and of the proxy before it.
fn ways(settings: &Settings, policy: &BackupPolicy, store: &BackupStore) -> Vec<i32> {
    let env = settings.env(policy.spec.template.as_ref());
    let proxy = env.get("HTTPS_PROXY").map(|proxy| url_port(Some(proxy)));
    let store = url_port(store.spec.s3.endpoint.as_deref());
    let mut ways = vec![store];
    ways.extend(proxy.filter(|port| *port != store));
    ways
}

fn isolated<K: Resource<DynamicType = ()>>(
    ways: Vec<i32>,
    name: String,
    owner: &K,
    pods: BTreeMap<String, String>,
) -> NetworkPolicy {
    let port = |protocol: &str, port: i32| NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(port)),
        end_port: None,
    };
    let mut ports: Vec<NetworkPolicyPort> = DNS
        .iter()
        .flat_map(|dns| [port("UDP", *dns), port("TCP", *dns)])
        .collect();
    ports.extend(ways.into_iter().map(|way| port("TCP", way)));
    let uid = owner.meta().uid.clone().unwrap_or_default();
    let labels = [
        ("app.kubernetes.io/name", "lifeboat"),
        ("app.kubernetes.io/managed-by", "lifeboat"),
        (LABEL_OWNER_UID, uid.as_str()),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: owner.meta().namespace.clone(),
            labels: Some(labels.into()),
            owner_references: Some(vec![owner_of(owner)]),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(pods),
                match_expressions: None,
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: None,
            egress: Some(vec![NetworkPolicyEgressRule {
                ports: Some(ports),
                to: None,
            }]),
        }),
    }
}

/// The port of an endpoint that `validate` let through: `https://host:9000`; without one its scheme's.
fn url_port(endpoint: Option<&str>) -> i32 {
    let Some(endpoint) = endpoint else { return 443 };
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let host = rest.strip_suffix('/').unwrap_or(rest);
    // An IPv6 address has colons of its own, within brackets.
    let named = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'));
    let named = named.and_then(|(_, port)| port.parse().ok());
    named.unwrap_or(if scheme == "http" { 80 } else { 443 })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::url_port;

    #[rstest]
    #[case(None, 443)]
    #[case(Some("https://minio.example:9000"), 9_000)]
    #[case(Some("http://minio.demo.svc:9000/"), 9_000)]
    #[case(Some("https://s3.example"), 443)]
    #[case(Some("http://s3.example"), 80)]
    #[case(Some("https://[fd00::1]"), 443)]
    #[case(Some("https://[fd00::1]:9001"), 9_001)]
    fn the_stores_port_is_its_endpoints(#[case] endpoint: Option<&str>, #[case] port: i32) {
        assert_eq!(url_port(endpoint), port);
    }
}
