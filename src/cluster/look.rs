//! From a Job and its pods to a [`SeenJob`]. Pure.
//!
//! `Complete` on a Job proves nothing (seen: `OOMKilled` with exit code 0, Job Complete): what counts
//! is how the container `work` ended and what it wrote (K14, K23).

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::ResourceExt;

use super::ends::Ends;
use super::seen::{JobState, SeenJob};
use crate::api::{LABEL_OWNER_UID, Reason};
use crate::task::TaskResult;
use crate::workload::WORK_CONTAINER;

/// A finished Job whose pod was never seen waits this long for the pods' watch to catch up.
pub const POD_WATCH_LAG: Duration = Duration::from_secs(10);
/// Longest text about a pod.
const MAX_WHY: usize = 300;

/// How far one pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodState {
    /// `work` has not started.
    Waiting(Reason, String),
    /// `work` runs, or its node is silent.
    Running(Timestamp),
    /// `work` has ended, or never will start.
    Ended(JobState),
}

/// Uid of the Job that controls a pod.
#[must_use]
pub fn job_uid_of(pod: &Pod) -> Option<&str> {
    let owners = pod.metadata.owner_references.as_deref()?;
    let job = owners
        .iter()
        .find(|o| o.kind == "Job" && o.controller == Some(true))?;
    Some(job.uid.as_str())
}

/// What is to be seen of a Job, given its pods and what is remembered of those that are gone.
#[must_use]
pub fn seen_job(job: &Job, pods: &[&Pod], ends: &Ends, now: Timestamp) -> SeenJob {
    let uid = job.uid().unwrap_or_default();
    SeenJob {
        name: job.name_any(),
        owner_uid: job
            .labels()
            .get(LABEL_OWNER_UID)
            .cloned()
            .unwrap_or_default(),
        created_at: job.creation_timestamp().map_or(now, |time| time.0),
        state: job_state(job, &uid, pods, ends, now),
        uid,
    }
}

fn job_state(job: &Job, uid: &str, pods: &[&Pod], ends: &Ends, now: Timestamp) -> JobState {
    let states: Vec<(&Pod, PodState)> = pods.iter().map(|pod| (*pod, pod_state(pod))).collect();
    // A pod that lives holds the Job open, whatever its sibling did (K1, K2).
    for (pod, state) in &states {
        match state {
            PodState::Running(since) => {
                return JobState::Running {
                    since: *since,
                    pod_uid: pod.uid().unwrap_or_default(),
                };
            }
            PodState::Waiting(reason, why) => {
                return JobState::Waiting {
                    reason: *reason,
                    why: why.clone(),
                };
            }
            PodState::Ended(_) => {}
        }
    }
    let ended = states.into_iter().filter_map(|(_, state)| match state {
        PodState::Ended(end) => Some(end),
        _ => None,
    });
    let best = ended
        .chain(ends.of(job.metadata.namespace.as_deref(), uid))
        .max_by_key(|end| {
            matches!(
                end,
                JobState::Ended {
                    result: Some(_),
                    ..
                }
            )
        });
    let finish = finished(job);
    if let Some(end) = best {
        // Seen only in memory, and the Job still makes another pod: wait for that one.
        if !pods.is_empty() || finish.is_some() {
            return end;
        }
    }
    match finish {
        Some(why) => {
            let since = ends.finished_since(job.metadata.namespace.as_deref(), uid, now);
            if now.duration_since(since).unsigned_abs() < POD_WATCH_LAG {
                return JobState::Waiting {
                    reason: Reason::Starting,
                    why: format!("the Job ended ({why}); its pod was not seen yet"),
                };
            }
            JobState::Ended {
                result: None,
                pod_uid: None,
                why,
            }
        }
        None => JobState::Waiting {
            reason: Reason::Starting,
            why: "no pod was created yet".to_owned(),
        },
    }
}

/// Why the Job is finished, if it is. `FailureTarget` counts as failing, not as failed: its pods
/// may still live.
#[must_use]
pub fn finished(job: &Job) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    let condition = conditions
        .iter()
        .find(|c| c.status == "True" && (c.type_ == "Complete" || c.type_ == "Failed"))?;
    let reason = condition.reason.as_deref().unwrap_or(&condition.type_);
    let message = condition.message.as_deref().unwrap_or_default();
    Some(text(reason, message))
}

/// How far a pod is, judged by the container `work` alone.
#[must_use]
pub fn pod_state(pod: &Pod) -> PodState {
    let default = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&default);
    let pod_uid = pod.metadata.uid.clone();
    let work = work_status(status);
    let state = work.and_then(|c| c.state.as_ref());
    if let Some(ended) = state.and_then(|s| s.terminated.as_ref()) {
        let message = ended.message.as_deref().unwrap_or_default();
        let result = TaskResult::from_message(message).map(Box::new);
        let reason = match ended.reason.as_deref() {
            Some(reason) if reason != "Error" && reason != "Completed" => reason.to_owned(),
            _ => String::new(),
        };
        let code = format!("exit code {}", ended.exit_code);
        let disruption = disruption(status);
        let why = [reason, code, disruption]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        return PodState::Ended(JobState::Ended {
            result,
            pod_uid,
            why,
        });
    }
    if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        return PodState::Ended(JobState::Ended {
            result: None,
            pod_uid,
            why: why_never_started(status),
        });
    }
    if let Some(running) = state.and_then(|s| s.running.as_ref()) {
        let since = running.started_at.as_ref().map(|time| time.0);
        let since = since.or(status.start_time.as_ref().map(|time| time.0));
        return PodState::Running(since.unwrap_or(Timestamp::UNIX_EPOCH));
    }
    let (reason, why) = why_waiting(status);
    PodState::Waiting(reason, why)
}

fn work_status(status: &PodStatus) -> Option<&ContainerStatus> {
    let all = status.container_statuses.as_deref()?;
    all.iter().find(|c| c.name == WORK_CONTAINER)
}

/// Why a pod is at its end though `work` never ran: evicted, its deadline, its init container.
fn why_never_started(status: &PodStatus) -> String {
    if let Some(reason) = status.reason.as_deref() {
        return text(reason, status.message.as_deref().unwrap_or_default());
    }
    let init = status
        .init_container_statuses
        .as_deref()
        .unwrap_or_default();
    for container in init {
        let ended = container.state.as_ref().and_then(|s| s.terminated.as_ref());
        if let Some(ended) = ended.filter(|end| end.exit_code != 0) {
            let message = ended.message.as_deref().unwrap_or_default();
            let what = format!("container {} exit code {}", container.name, ended.exit_code);
            return text(&what, message);
        }
    }
    match disruption(status) {
        why if why.is_empty() => "the pod ended before its container work started".to_owned(),
        why => why,
    }
}

fn disruption(status: &PodStatus) -> String {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let target = conditions
        .iter()
        .find(|c| c.type_ == "DisruptionTarget" && c.status == "True");
    target.map_or_else(String::new, |c| {
        let reason = c.reason.as_deref().unwrap_or("DisruptionTarget");
        text(reason, c.message.as_deref().unwrap_or_default())
    })
}

/// What the kubelet says of an image that it cannot get.
const PULLING: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "ImageInspectError",
    "SignatureValidationFailed",
];

/// What keeps a pod from starting, as far as it tells: an image, a node, a container.
fn why_waiting(status: &PodStatus) -> (Reason, String) {
    let init = status.init_container_statuses.iter().flatten();
    for container in init.chain(status.container_statuses.iter().flatten()) {
        let waiting = container.state.as_ref().and_then(|s| s.waiting.as_ref());
        let reason = waiting.and_then(|w| w.reason.as_deref());
        if let Some(reason) =
            reason.filter(|r| *r != "PodInitializing" && *r != "ContainerCreating")
        {
            let message = waiting
                .and_then(|w| w.message.as_deref())
                .unwrap_or_default();
            if PULLING.contains(&reason) {
                // A Job has two images: which of them it is must be said (K10).
                let what = format!(
                    "image {} of container {}: {reason}",
                    container.image, container.name
                );
                return (Reason::ImagePullFailed, text(&what, message));
            }
            let why = text(&format!("container {}: {reason}", container.name), message);
            return (Reason::Starting, why);
        }
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unscheduled = conditions
        .iter()
        .find(|c| c.type_ == "PodScheduled" && c.status == "False");
    let why = unscheduled.map_or_else(
        || "its pod is starting".to_owned(),
        |c| {
            let reason = c.reason.as_deref().unwrap_or("Unschedulable");
            text(reason, c.message.as_deref().unwrap_or_default())
        },
    );
    (Reason::Starting, why)
}

/// `reason: message`, sanitised and bounded: it comes from outside (K14).
fn text(reason: &str, message: &str) -> String {
    let joined = match message.trim() {
        "" => reason.to_owned(),
        message => format!("{reason}: {message}"),
    };
    joined
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_WHY)
        .collect()
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
