//! Documents that are too long for a result: read once, whole, from the log of the pod that wrote them (K14).

use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, ResourceExt};

use super::context::Context;
use super::fault::Fault;
use crate::api::migration_run::MigrationPlan;
use crate::task::DocumentInLog;
use crate::task::migration::{MAX_DOCUMENT, MAX_DOCUMENT_LINE, from_log};
use crate::workload::WORK_CONTAINER;

/// Room for the log's other lines.
const SLACK: usize = 1024 * 1024;

/// The plan that the pod of that uid wrote into its log. `None`: the pod is gone, or the plan is not whole.
///
/// # Errors
/// [`Fault`] when the API server does not answer.
pub async fn plan(
    context: &Context,
    pod_uid: &str,
    said: &DocumentInLog,
) -> Result<Option<MigrationPlan>, Fault> {
    if said.lines > MAX_DOCUMENT / (MAX_DOCUMENT_LINE / 2) {
        return Ok(None);
    }
    let pods = context
        .caches
        .pods
        .state_filter(|pod| pod.uid().as_deref() == Some(pod_uid));
    let Some(pod) = pods.first() else {
        return Ok(None);
    };
    let namespace = pod.namespace().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
    let params = LogParams {
        container: Some(WORK_CONTAINER.to_owned()),
        limit_bytes: i64::try_from(MAX_DOCUMENT + SLACK).ok(),
        ..LogParams::default()
    };
    let name = pod.name_any();
    match context.call("logs", "Pod", api.logs(&name, &params)).await {
        Ok(log) => Ok(from_log(&log, said)),
        // Whatever the API server answers instead, its node may be gone for good: planning again costs less than waiting.
        Err(Fault::Gone { .. } | Fault::Api { .. }) => Ok(None),
        Err(fault) => Err(fault),
    }
}
