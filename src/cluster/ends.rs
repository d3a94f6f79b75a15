//! How pods ended, remembered after they are gone.
//!
//! An evicted or partitioned pod shows its end for about a second before it is deleted (K23): the
//! watch sees it, a cache read later does not. Pure but for its own lock; bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::context::lock;
use super::look::{self, PodState};
use super::seen::JobState;
use crate::api::{LABEL_OWNER_UID, LABEL_TASK};

/// As many as Jobs may stand around within their day of grace; the oldest go first.
const MOST: usize = 4_096;

/// How pods ended, by namespace and uid of their Job.
#[derive(Debug, Default)]
pub struct Ends {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ended: HashMap<String, JobState>,
    finished: HashMap<String, Timestamp>,
    order: VecDeque<String>,
}

impl Ends {
    /// Takes note of a pod that was seen, alive or dying. One that has not all the labels that the operator gives is nobody's.
    pub fn saw_pod(&self, pod: &Pod) {
        let labels = pod.labels();
        let Some(job_uid) = look::job_uid_of(pod) else {
            return;
        };
        if ![LABEL_TASK, LABEL_OWNER_UID]
            .iter()
            .all(|key| labels.contains_key(*key))
        {
            return;
        }
        let key = key(pod.namespace().as_deref(), job_uid);
        let PodState::Ended(end) = look::pod_state(pod) else {
            return;
        };
        let mut inner = lock(&self.inner);
        // A result, once seen, is never replaced by the lack of one (two pods of one Job: K1).
        let known = inner.ended.get(&key);
        if known.is_some_and(|old| has_result(old) && !has_result(&end)) {
            return;
        }
        inner.ended.insert(key.clone(), end);
        inner.remember(&key);
    }

    /// How the Job's pod ended, if that was seen.
    #[must_use]
    pub fn of(&self, namespace: Option<&str>, job_uid: &str) -> Option<JobState> {
        lock(&self.inner)
            .ended
            .get(&key(namespace, job_uid))
            .cloned()
    }

    /// Since when the Job is known to be finished: the first call's `now`.
    #[must_use]
    pub fn finished_since(
        &self,
        namespace: Option<&str>,
        job_uid: &str,
        now: Timestamp,
    ) -> Timestamp {
        let key = key(namespace, job_uid);
        let mut inner = lock(&self.inner);
        let since = *inner.finished.entry(key.clone()).or_insert(now);
        inner.remember(&key);
        since
    }
}

impl Inner {
    fn remember(&mut self, job_uid: &str) {
        if !self.order.iter().any(|known| known == job_uid) {
            self.order.push_back(job_uid.to_owned());
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.ended.remove(&oldest);
                self.finished.remove(&oldest);
            }
        }
    }
}

/// A uid alone may be written into another namespace.
fn key(namespace: Option<&str>, job_uid: &str) -> String {
    format!("{}/{job_uid}", namespace.unwrap_or_default())
}

fn has_result(state: &JobState) -> bool {
    matches!(
        state,
        JobState::Ended {
            result: Some(_),
            ..
        }
    )
}
