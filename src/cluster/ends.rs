//! How pods ended, remembered after they are gone.
//!
//! An evicted or partitioned pod shows its end for about a second before it is deleted (K23): the
//! watch sees it, a cache read later does not. Pure but for its own lock; bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::context::lock;
use super::look::{self, PodState};
use super::seen::JobState;

/// As many as Jobs may stand around within their day of grace; the oldest go first.
const MOST: usize = 4_096;

/// How pods ended, by the uid of their Job.
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
    /// Takes note of a pod that was seen, alive or dying.
    pub fn saw_pod(&self, pod: &Pod) {
        let Some(job_uid) = look::job_uid_of(pod) else {
            return;
        };
        let PodState::Ended(end) = look::pod_state(pod) else {
            return;
        };
        let mut inner = lock(&self.inner);
        // A result, once seen, is never replaced by the lack of one (two pods of one Job: K1).
        let known = inner.ended.get(job_uid);
        if known.is_some_and(|old| has_result(old) && !has_result(&end)) {
            return;
        }
        inner.ended.insert(job_uid.to_owned(), end);
        inner.remember(job_uid);
    }

    /// How the Job's pod ended, if that was seen.
    #[must_use]
    pub fn of(&self, job_uid: &str) -> Option<JobState> {
        lock(&self.inner).ended.get(job_uid).cloned()
    }

    /// Since when the Job is known to be finished: the first call's `now`.
    #[must_use]
    pub fn finished_since(&self, job_uid: &str, now: Timestamp) -> Timestamp {
        let mut inner = lock(&self.inner);
        let since = *inner.finished.entry(job_uid.to_owned()).or_insert(now);
        inner.remember(job_uid);
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

fn has_result(state: &JobState) -> bool {
    matches!(
        state,
        JobState::Ended {
            result: Some(_),
            ..
        }
    )
}
