//! Which Jobs the operator made itself. Labels alone say nothing: whoever may create Jobs may write them.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::WORK_CONTAINER;
use crate::api::{LABEL_OWNER_UID, LABEL_TASK, TASK_SHA256};
use crate::task::TASK_ENV;

/// The document that the worker of a pod is given; `None` where there is none, or an empty one.
#[must_use]
pub fn task_document(spec: &PodSpec) -> Option<&str> {
    let work = spec.containers.iter().find(|c| c.name == WORK_CONTAINER)?;
    let mut variables = work.env.iter().flatten();
    let task = variables.find(|variable| variable.name == TASK_ENV)?;
    task.value.as_deref().filter(|text| !text.is_empty())
}

/// SHA-256 of a document, hex, as the annotation has it.
#[must_use]
pub fn task_hash(document: &str) -> String {
    let digest = Sha256::digest(document.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the operator made this Job for that task of that object: it is controlled by it, is labelled so, and has the task that its annotation was made of.
/// Where the chart's admission policies hold, the API server lets nobody else write these labels.
#[must_use]
pub fn is_ours(job: &Job, task: &str, owner_uid: &str) -> bool {
    let owners = job.metadata.owner_references.iter().flatten();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    let controlled = controllers.any(|owner| owner.uid == owner_uid);
    let label = |key: &str| job.labels().get(key).map(String::as_str);
    let labelled = label(LABEL_OWNER_UID) == Some(owner_uid) && label(LABEL_TASK) == Some(task);
    let spec = job
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let hash = spec.and_then(task_document).map(task_hash);
    controlled && labelled && hash.is_some() && job.annotations().get(TASK_SHA256) == hash.as_ref()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn job() -> Job {
        let hash = task_hash("{}");
        let job = json!({
            "metadata": {
                "labels": {LABEL_OWNER_UID: "u", LABEL_TASK: "backup"}, "annotations": {TASK_SHA256: hash},
                "ownerReferences": [{"apiVersion": "a", "kind": "Backup", "name": "b", "uid": "u", "controller": true}],
            },
            "spec": {"template": {"spec": {"containers": [{"name": "work", "env": [{"name": TASK_ENV, "value": "{}"}]}]}}},
        });
        serde_json::from_value(job).unwrap()
    }

    fn work(job: &mut Job) -> &mut k8s_openapi::api::core::v1::Container {
        let spec = job.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
        &mut spec.containers[0]
    }

    fn owner(job: &mut Job) -> &mut OwnerReference {
        &mut job.metadata.owner_references.as_mut().unwrap()[0]
    }

    #[test]
    fn a_job_of_ours_is_ours_and_of_no_other_object() {
        assert!(is_ours(&job(), "backup", "u"));
        assert!(!is_ours(&job(), "backup", "v"));
        assert!(!is_ours(&job(), "drill", "u"));
    }

    #[rstest]
    #[case::no_owner(|j: &mut Job| j.metadata.owner_references = None)]
    #[case::another_owner(|j: &mut Job| owner(j).uid = "v".to_owned())]
    #[case::no_controller(|j: &mut Job| owner(j).controller = None)]
    #[case::another_label(|j: &mut Job| { j.labels_mut().insert(LABEL_OWNER_UID.to_owned(), "v".to_owned()); })]
    #[case::no_task_label(|j: &mut Job| { j.labels_mut().remove(LABEL_TASK); })]
    #[case::no_hash(|j: &mut Job| { j.annotations_mut().clear(); })]
    #[case::another_task(|j: &mut Job| work(j).env.as_mut().unwrap()[0].value = Some("{\"a\":1}".to_owned()))]
    #[case::no_task(|j: &mut Job| work(j).env = None)]
    #[case::another_container(|j: &mut Job| work(j).name = "job".to_owned())]
    fn a_job_that_is_not_as_it_was_made_is_not_ours(#[case] change: fn(&mut Job)) {
        let mut job = job();
        change(&mut job);
        assert!(!is_ours(&job, "backup", "u"));
    }
}
