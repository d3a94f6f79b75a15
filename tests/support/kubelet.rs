//! What the Job controller, the scheduler and a kubelet do, for a server that has none: one pod a
//! Job, which at once has written a result.

#![allow(dead_code)]

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

/// Who makes pods of Jobs, in most clusters.
const JOB_CONTROLLER: &str = "system:serviceaccount:kube-system:job-controller";

/// How the pods of a kind of task end: the document, or none.
pub type Script = fn(task: &str) -> Option<String>;

/// Everything succeeds.
pub fn all_well(task: &str) -> Option<String> {
    let extra = match task {
        "probe" => {
            json!({"probe": {"credentialsValid": true, "writable": true, "conditionalWrites": true, "list": true, "delete": true}})
        }
        "check" => {
            json!({"foundMajor": 17, "database": {"major": 17, "bytes": 1000, "provider": "None", "extensions": ["plpgsql 1.0"]}})
        }
        // Of the Backup `now`, at the time when the pod ends.
        "drill" => {
            json!({"drill": {"result": "Passed", "proves": true, "score": 100, "backup": "now", "dataAt": now(), "reported": true}})
        }
        "rehearse" => {
            json!({"migration": {"rehearsal": {"result": "Passed", "evidenceHash": "b".repeat(64), "key": "migrations/x/evidence.json", "wayBack": true}}})
        }
        "apply" => {
            json!({"migration": {"applied": {"applied": 1, "of": 1, "tries": 1, "verified": true}}})
        }
        _ => {
            json!({"foundMajor": 17, "backup": {"podUid": "0a1b2c3d4e5f", "rawBytes": 10, "storedBytes": 5, "tables": 1, "rows": 2, "serverVersion": "17.2", "databaseName": "shop"}})
        }
    };
    let mut result =
        json!({"message": "done", "version": 1, "reason": "Succeeded", "retry": "Never"});
    let (to, from) = (result.as_object_mut().unwrap(), extra.as_object().unwrap());
    to.extend(from.clone());
    Some(result.to_string())
}

/// Runs the Jobs of a namespace for ever.
pub async fn run(client: Client, namespace: String, script: Script) {
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    loop {
        for job in jobs.list(&Default::default()).await.unwrap().items {
            let done = job
                .status
                .as_ref()
                .is_some_and(|s| s.completion_time.is_some());
            if !done && job.metadata.deletion_timestamp.is_none() {
                finish(&client, &namespace, &job, script).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One pod of the Job, as it is when it has ended.
async fn finish(client: &Client, namespace: &str, job: &Job, script: Script) {
    let pods = job.spec.as_ref().and_then(|s| s.template.metadata.as_ref());
    let labels = pods.and_then(|m| m.labels.as_ref()).unwrap();
    // Of a migration its step.
    let task = labels.get("lifeboat.dev/step");
    let task = task.or(labels.get("lifeboat.dev/task"));
    let task = task.cloned().unwrap_or_default();
    let pod = create_pod(client, namespace, job).await;
    let result = script(&task);
    let state = json!({"terminated": {"exitCode": i32::from(result.is_none()), "message": result.unwrap_or_default(), "startedAt": now(), "finishedAt": now()}});
    set_work(client, namespace, &pod, "Succeeded", state).await;
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let conditions = json!([
        {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": now()},
        {"type": "Complete", "status": "True", "lastTransitionTime": now()},
    ]);
    let status = json!({"status": {"startTime": now(), "completionTime": now(), "succeeded": 1, "conditions": conditions}});
    let patched = jobs
        .patch_status(
            &job.name_any(),
            &PatchParams::default(),
            &Patch::Merge(&status),
        )
        .await;
    // It may be deleted already; anything else is a mistake of this test.
    if let Err(error) = patched {
        assert!(error.to_string().contains("not found"), "{error}");
    }
}

/// The pod of a Job, pending.
pub async fn create_pod(client: &Client, namespace: &str, job: &Job) -> String {
    let template = job.spec.clone().unwrap().template;
    let name = format!("{}-{}", job.name_any(), &job.uid().unwrap()[..5]);
    let pod = Pod {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            owner_references: job.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..template.metadata.unwrap_or_default()
        },
        spec: template.spec,
        status: None,
    };
    let bytes = serde_json::to_vec(&pod).unwrap();
    let request = Request::new(Pod::url_path(&(), Some(namespace)));
    let mut request = request.create(&PostParams::default(), bytes).unwrap();
    // The chart's admission policy lets nobody else make pods of these labels.
    let headers = request.headers_mut();
    headers.insert("impersonate-user", JOB_CONTROLLER.parse().unwrap());
    if let Err(error) = client.request::<Pod>(request).await {
        assert!(error.to_string().contains("already exists"), "{error}");
    }
    name
}

/// Sets the state of the container `work`.
pub async fn set_work(
    client: &Client,
    namespace: &str,
    pod: &str,
    phase: &str,
    state: serde_json::Value,
) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let status = json!({"status": {"phase": phase, "containerStatuses": [
        {"name": "work", "image": "i", "imageID": "i", "ready": false, "restartCount": 0, "state": state},
    ]}});
    pods.patch_status(pod, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
}

pub fn now() -> String {
    use lifeboat::cluster::Clock;
    lifeboat::cluster::SystemClock.now().to_string()
}
