//! How far running backups, drills and migrations are: read sparingly from the tail of their logs (K15).
//!
//! A read that fails makes progress unknown and nothing more. Never follows a log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, ResourceExt};
use serde::Deserialize;

use super::context::{Context, lock};
use super::look::{self, PodState};
use crate::api::backup::AttemptProgress;
use crate::api::{LABEL_OWNER_UID, LABEL_TASK};
use crate::workload::WORK_CONTAINER;

/// Pause between two rounds.
const ROUND: Duration = Duration::from_secs(15);
/// Rounds between two reads of a backup or drill: a status changes at most once a minute.
const EACH: u64 = 4;
/// No log of a backup or drill is read in its first minute.
const FIRST_READ: Duration = Duration::from_secs(60);
/// A migration is read in every round, and soon: a person waits to see who is in its way.
const FIRST_READ_OF_A_MIGRATION: Duration = Duration::from_secs(5);
/// Pause between two reads: at most five a second.
const BETWEEN: Duration = Duration::from_millis(200);
/// Most bytes of one read.
const LIMIT_BYTES: i64 = 8_192;

/// What the tails said last, by the uid of the pod.
#[derive(Debug, Default)]
pub struct Tails {
    inner: Mutex<HashMap<String, AttemptProgress>>,
}

impl Tails {
    /// What the pod said last.
    #[must_use]
    pub fn of(&self, pod_uid: &str) -> Option<AttemptProgress> {
        lock(&self.inner).get(pod_uid).cloned()
    }

    fn set(&self, pod_uid: &str, progress: Option<AttemptProgress>) -> bool {
        let mut all = lock(&self.inner);
        let old = match progress.clone() {
            Some(progress) => all.insert(pod_uid.to_owned(), progress),
            None => all.remove(pod_uid),
        };
        old != progress
    }

    fn keep_only(&self, pods: &[(Arc<Pod>, String)]) {
        let known = |uid: &String| pods.iter().any(|(_, pod)| pod == uid);
        lock(&self.inner).retain(|uid, _| known(uid));
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "fields")]
    progress: AttemptProgress,
}

#[derive(Deserialize)]
struct Fields {
    fields: Line,
}

/// The newest progress in a tail: a JSON line with a `progress` of step and percent.
#[must_use]
pub fn parse(tail: &str) -> Option<AttemptProgress> {
    let newest = tail.lines().rev().find_map(|line| {
        let direct = serde_json::from_str::<Line>(line).ok();
        direct.or_else(|| serde_json::from_str::<Fields>(line).ok().map(|f| f.fields))
    })?;
    let progress = newest.progress;
    Some(AttemptProgress {
        step: progress
            .step
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(32)
            .collect(),
        percent: progress.percent.map(|percent| percent.clamp(0, 100)),
        blocking: progress.blocking.map(|text| {
            let plain = text.chars().filter(|c| !c.is_control());
            plain.take(300).collect()
        }),
    })
}

/// Reads tails for ever; the first at once, for what runs may have begun under another operator.
pub async fn read_tails(context: Arc<Context>) {
    // When a watch ended there is nothing to read.
    if context.caches.synced().await.is_err() {
        return;
    }
    for number in 0_u64.. {
        round(&context, number.is_multiple_of(EACH)).await;
        tokio::time::sleep(ROUND).await;
    }
}

/// `all`: not only those of migrations.
async fn round(context: &Context, all: bool) {
    let now = context.clock.now();
    let running = running(context, now);
    context.tails.keep_only(&running);
    let due = running.into_iter().filter(|(pod, _)| all || migrates(pod));
    for (pod, uid) in due {
        let api: Api<Pod> =
            Api::namespaced(context.client.clone(), &pod.namespace().unwrap_or_default());
        let params = LogParams {
            container: Some(WORK_CONTAINER.to_owned()),
            tail_lines: Some(3),
            limit_bytes: Some(LIMIT_BYTES),
            ..LogParams::default()
        };
        let name = pod.name_any();
        let tail = context.call("logs", "Pod", api.logs(&name, &params)).await;
        let progress = tail.ok().and_then(|text| parse(&text));
        if context.tails.set(&uid, progress) {
            context.queues.pod_changed(&context.caches, &pod);
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

fn running(context: &Context, now: Timestamp) -> Vec<(Arc<Pod>, String)> {
    let pods = context.caches.pods.state_filter(|pod| {
        let task = pod.labels().get(LABEL_TASK).map(String::as_str);
        matches!(task, Some("backup" | "drill" | "migration"))
            && pod.labels().contains_key(LABEL_OWNER_UID)
    });
    let long_enough = |pod: &Pod| match look::pod_state(pod) {
        PodState::Running(since) => {
            let first = if migrates(pod) {
                FIRST_READ_OF_A_MIGRATION
            } else {
                FIRST_READ
            };
            now.duration_since(since).unsigned_abs() > first
        }
        _ => false,
    };
    pods.into_iter()
        .filter(|pod| long_enough(pod))
        .filter_map(|pod| pod.uid().map(|uid| (pod, uid)))
        .collect()
}

fn migrates(pod: &Pod) -> bool {
    pod.labels()
        .get(LABEL_TASK)
        .is_some_and(|task| task == "migration")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn k15_the_newest_progress_line_counts_and_anything_else_is_ignored() {
        let tail = "{\"progress\":{\"step\":\"Locked\"}}\nnoise\n{\"progress\":{\"step\":\"DumpStarted\",\"percent\":170}}\n{\"other\":1}\n{\"prog";
        let progress = parse(tail).unwrap();
        assert_eq!(progress.step, "DumpStarted");
        assert_eq!(progress.percent, Some(100));
        assert_eq!(parse("no json at all"), None);
        assert_eq!(parse(""), None);
    }
}
