//! Pieces that several kinds share: references, TLS trust, the pod template.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names a Secret in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret, in the namespace of this object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Names another Lifeboat object in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object, in the namespace of this one.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One key of a Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// Name of the Secret or ConfigMap, in the namespace of this object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key whose value is a PEM bundle of certificates, for example `ca.crt`.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Where the certificates of a private authority are. Without it the bundled public roots are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretKeyRef) != has(self.configMapKeyRef)").message("name exactly one of secretKeyRef and configMapKeyRef"))]
pub struct CaRef {
    /// A key of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

impl CaRef {
    /// The key reference, whichever of the two it is.
    #[must_use]
    pub fn key_ref(&self) -> Option<&KeyRef> {
        self.secret_key_ref
            .as_ref()
            .or(self.config_map_key_ref.as_ref())
    }
}

/// What the pods of this object look like, beyond what Lifeboat needs itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Image with the PostgreSQL client tools of the server's major version, for example `postgis/postgis:17-3.5`.
    /// Default: the chart's `workers.postgresImage` with the server's major.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub postgres_image: Option<String>,
    /// Requests and limits of the container `work`. Default: the chart's `workers.resources`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Placement of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Labels added to the pods. Keys under `lifeboat.dev/`, `batch.kubernetes.io/` and `app.kubernetes.io/` are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, !k.startsWith('lifeboat.dev/') && !k.startsWith('batch.kubernetes.io/') && !k.startsWith('app.kubernetes.io/') && size(k) <= 317 && size(self[k]) <= 63)").message("keys under lifeboat.dev/, batch.kubernetes.io/ and app.kubernetes.io/ are Lifeboat's and Kubernetes' own; use a prefix of yours"))]
    pub labels: BTreeMap<String, String>,
    /// Annotations added to the pods. The same keys are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, !k.startsWith('lifeboat.dev/') && !k.startsWith('batch.kubernetes.io/') && !k.startsWith('app.kubernetes.io/') && size(k) <= 317)").message("keys under lifeboat.dev/, batch.kubernetes.io/ and app.kubernetes.io/ are Lifeboat's and Kubernetes' own; use a prefix of yours"))]
    pub annotations: BTreeMap<String, String>,
    /// Environment of the container `work`: `HTTPS_PROXY`, the proxy through which a store over https is reached, and `NO_PROXY`, the
    /// hosts that are reached without; over the chart's `workers.env`. No other name, and no password: whoever can read pods reads it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 2))]
    #[x_kube(validation = Rule::new("self.all(k, k in ['HTTPS_PROXY', 'NO_PROXY'] && size(self[k]) <= 1024)").message("name HTTPS_PROXY and NO_PROXY only, with at most 1024 characters"), validation = Rule::new("!('HTTPS_PROXY' in self) || self['HTTPS_PROXY'].matches('^(https?://[^@/?# ]+/?)?$')").message("HTTPS_PROXY is http://host:port, without a user and a password"))]
    pub env: BTreeMap<String, String>,
    /// Secrets with which the images are pulled, besides the chart's `workers.imagePullSecrets`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub image_pull_secrets: Vec<SecretRef>,
}
