//! Jobs of the [`World`]: what becomes of their pods, and what must hold when one begins or goes.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Container;
use kube::ResourceExt;
use lifeboat::api::{LABEL_OWNER_UID, LABEL_TASK, Reason};
use lifeboat::cluster::seen::{JobState, SeenJob};
use lifeboat::task::{Retry, Task, TaskResult, Work};
use lifeboat::workload::START_DEADLINE;

use super::World;
use crate::fixtures;

/// What will become of a Job's pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    Ends(Option<Box<TaskResult>>),
    NeverStarts,
    /// Its node is lost: it shows as running until it is deleted.
    Lost,
}

#[derive(Debug, Clone)]
pub struct WorldJob {
    pub seen: SeenJob,
    pub task: String,
    pub owner: String,
    pub policy: String,
    pub due: Option<Timestamp>,
    starts: Timestamp,
    ends: Timestamp,
    fate: Fate,
    commits: bool,
    pub deadline: SignedDuration,
}

impl WorldJob {
    pub fn alive(&self) -> bool {
        !matches!(self.seen.state, JobState::Ended { .. })
    }
}

impl World {
    pub fn create_job(&mut self, job: &Job) {
        let name = job.name_any();
        if self.jobs.truth.contains_key(&name) {
            return;
        }
        let label = |key: &str| job.labels().get(key).cloned().unwrap_or_default();
        let owner = job
            .owner_references()
            .first()
            .map(|o| o.name.clone())
            .unwrap_or_default();
        let task = label(LABEL_TASK);
        let document = task_of(job);
        let backup = self.backups.truth.get(&owner).filter(|_| task == "backup");
        let policy = backup.map_or(owner.clone(), |b| b.spec.policy_ref.name.clone());
        if task == "backup" {
            let other = self
                .jobs
                .truth
                .values()
                .find(|j| j.task == "backup" && j.policy == policy && j.alive());
            assert!(
                other.is_none(),
                "two Jobs at once for one policy: {name} beside {:?}",
                other.map(|j| &j.seen)
            );
            assert!(
                !self.lost.contains(&owner),
                "another attempt after a lost result: {name}"
            );
        }
        let due = match &document.work {
            Work::Backup(task) => Some(task.due),
            _ => None,
        };
        let expected = major_of(job);
        let starts = self.now
            + SignedDuration::from_secs(i64::try_from(1 + self.chance.below(300)).unwrap());
        let deadline = SignedDuration::from_secs(i64::try_from(document.deadline_seconds).unwrap());
        let takes = 30
            + self
                .chance
                .below(document.deadline_seconds.saturating_sub(30).max(1));
        let takes = if self.calm { 30 } else { takes };
        let (fate, commits, takes) = self.fate(&task, expected, takes, deadline);
        let seen = SeenJob {
            uid: format!("job-{}", self.version()),
            owner_uid: label(LABEL_OWNER_UID),
            created_at: self.now,
            state: JobState::Waiting {
                reason: Reason::Starting,
                why: "ContainerCreating".to_owned(),
            },
            name: name.clone(),
        };
        let made = WorldJob {
            seen,
            task,
            owner,
            policy,
            due,
            starts,
            ends: starts + takes,
            fate,
            commits,
            deadline,
        };
        self.writes += 1;
        self.jobs.truth.insert(name.clone(), made);
        self.jobs.changed(self.now, &name);
    }

    fn fate(
        &mut self,
        task: &str,
        expected: Option<i32>,
        takes: u64,
        deadline: SignedDuration,
    ) -> (Fate, bool, SignedDuration) {
        let takes = SignedDuration::from_secs(i64::try_from(takes).unwrap());
        let ends = |result: TaskResult| Fate::Ends(Some(Box::new(result)));
        let good = match task {
            "backup" => fixtures::success(),
            "probe" => fixtures::probed(),
            _ => TaskResult {
                found_major: Some(self.major),
                ..TaskResult::succeeded("reached")
            },
        };
        if task == "backup" && expected.is_some_and(|major| major != self.major) {
            let wrong = fixtures::failure(Reason::WrongMajor, Retry::Later);
            return (
                ends(TaskResult {
                    found_major: Some(self.major),
                    ..wrong
                }),
                false,
                takes,
            );
        }
        if self.calm {
            return (ends(good), true, takes);
        }
        match self.chance.below(12) {
            0 | 1 => (
                ends(fixtures::failure(Reason::StoreUnreachable, Retry::Later)),
                false,
                takes,
            ),
            2 => (
                ends(fixtures::failure(
                    Reason::AuthenticationFailed,
                    Retry::Never,
                )),
                false,
                takes,
            ),
            3 => (Fate::Ends(None), self.chance.one_in(2), takes),
            4 => (Fate::NeverStarts, false, takes),
            5 => (Fate::Lost, false, takes),
            // It hangs until the kubelet ends it.
            6 => (
                Fate::Ends(None),
                false,
                deadline + SignedDuration::from_secs(120),
            ),
            _ => (ends(good), true, takes),
        }
    }

    pub fn delete_job(&mut self, name: &str, uid: &str) {
        if self
            .jobs
            .truth
            .get(name)
            .is_some_and(|job| job.seen.uid == uid)
        {
            let job = self.jobs.truth.remove(name);
            if let Some(job) = job.filter(|j| j.task == "backup") {
                let recorded = self.backups.truth.get(&job.owner).is_none_or(|b| {
                    let status = b.status.clone().unwrap_or_default();
                    status.next_attempt_at.is_some()
                        || status.finished_at.is_some()
                        || status.given_up.is_some()
                        || status.attempt == status.earlier_attempts
                });
                assert!(
                    recorded,
                    "K16: {name} was deleted before its end was written down"
                );
            }
            self.writes += 1;
            self.jobs.changed(self.now, name);
        }
    }

    /// Time goes on, and what happens to pods meanwhile happens.
    pub fn advance(&mut self, by: SignedDuration) {
        self.now += by;
        let now = self.now;
        let mut changed = Vec::new();
        let net =
            SignedDuration::try_from(START_DEADLINE).unwrap() + SignedDuration::from_secs(300);
        for job in self.jobs.truth.values_mut().filter(|job| job.alive()) {
            let state = match &job.fate {
                Fate::NeverStarts if now >= job.seen.created_at + net + job.deadline => {
                    JobState::Ended {
                        result: None,
                        pod_uid: None,
                        why: "DeadlineExceeded".to_owned(),
                    }
                }
                Fate::NeverStarts => continue,
                Fate::Ends(result) if now >= job.ends => {
                    if job.commits
                        && let Some(due) = job.due
                    {
                        *self.manifests.entry((job.policy.clone(), due)).or_default() += 1;
                    }
                    if result.is_none() && job.task == "backup" {
                        self.lost.insert(job.owner.clone());
                    }
                    JobState::Ended {
                        why: "exit code 1".to_owned(),
                        pod_uid: Some(fixtures::POD_UID.to_owned()),
                        result: result.clone(),
                    }
                }
                _ if now >= job.starts => JobState::Running {
                    since: job.starts,
                    pod_uid: fixtures::POD_UID.to_owned(),
                },
                _ => continue,
            };
            if state != job.seen.state {
                job.seen.state = state;
                changed.push(job.seen.name.clone());
            }
        }
        for name in changed {
            self.jobs.changed(now, &name);
        }
    }
}

fn worker(job: &Job) -> &Container {
    let template = &job.spec.as_ref().unwrap().template;
    let containers = &template.spec.as_ref().unwrap().containers;
    containers.iter().find(|c| c.name == "work").unwrap()
}

/// Of the image that the operator chose by it.
fn major_of(job: &Job) -> Option<i32> {
    let image = worker(job).image.as_deref().unwrap();
    image.rsplit_once(':')?.1.parse().ok()
}

fn task_of(job: &Job) -> Task {
    let env = worker(job)
        .env
        .iter()
        .flatten()
        .find(|e| e.name == "LIFEBOAT_TASK")
        .unwrap();
    Task::from_env(env.value.as_deref().unwrap()).unwrap()
}
