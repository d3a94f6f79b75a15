//! A cluster in memory: objects, late watches, Jobs with fates, an operator that may die anywhere.
//!
//! Each kind has its own watch; what one watch shows is in order, but the watches lag apart from
//! each other. All chance comes from one seed.

#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use lifeboat::api::{
    Backup, BackupPolicy, BackupStore, LABEL_OWNER_UID, LABEL_POLICY_UID, LABEL_TASK, Reason,
};
use lifeboat::cluster::seen::{JobState, SeenJob};
use lifeboat::task::{Retry, Task, TaskResult, Work};
use lifeboat::workload::{START_DEADLINE, Settings};

use super::fixtures;

/// SplitMix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

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

/// One kind: what is true, and what its watch has shown.
pub struct Kind<T> {
    pub truth: BTreeMap<String, T>,
    pub cache: BTreeMap<String, T>,
    late: VecDeque<(Timestamp, String, Option<T>)>,
}

impl<T: Clone> Kind<T> {
    fn new() -> Self {
        Self {
            truth: BTreeMap::new(),
            cache: BTreeMap::new(),
            late: VecDeque::new(),
        }
    }

    pub fn changed(&mut self, now: Timestamp, name: &str) {
        let object = self.truth.get(name).cloned();
        self.late.push_back((now, name.to_owned(), object));
    }

    /// Shows some of what happened; at least what is older than `oldest`.
    fn deliver(&mut self, some: usize, oldest: Timestamp) -> BTreeSet<String> {
        let mut shown = BTreeSet::new();
        let mut count = 0;
        while let Some((when, ..)) = self.late.front() {
            if count >= some && *when > oldest {
                break;
            }
            if let Some((_, name, object)) = self.late.pop_front() {
                match object {
                    Some(object) => self.cache.insert(name.clone(), object),
                    None => self.cache.remove(&name),
                };
                shown.insert(name);
            }
            count += 1;
        }
        shown
    }

    pub fn relist(&mut self) {
        self.late.clear();
        self.cache = self.truth.clone();
    }

    pub fn is_current(&self) -> bool {
        self.late.is_empty()
    }
}

/// What the watches showed: names by kind.
#[derive(Default)]
pub struct Shown {
    pub stores: BTreeSet<String>,
    pub policies: BTreeSet<String>,
    pub backups: BTreeSet<String>,
    pub jobs: BTreeSet<String>,
}

/// Longest lag of a watch.
pub const LAG: SignedDuration = SignedDuration::from_secs(15);

pub struct World {
    pub chance: Chance,
    pub now: Timestamp,
    pub settings: Settings,
    pub stores: Kind<BackupStore>,
    pub policies: Kind<BackupPolicy>,
    pub backups: Kind<Backup>,
    pub jobs: Kind<WorldJob>,
    pub writes: usize,
    /// Manifests by due time of one policy.
    pub manifests: BTreeMap<(String, Timestamp), usize>,
    /// Due times that ended without a result.
    pub lost: BTreeSet<String>,
    /// Major of the server.
    pub major: i32,
    /// Everything works, from the end of a walk on.
    pub calm: bool,
    version: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let major = if chance.one_in(3) { 15 } else { 17 };
        let mut world = Self {
            chance,
            now: fixtures::at("2026-11-20T00:00:00Z"),
            settings: fixtures::settings(),
            stores: Kind::new(),
            policies: Kind::new(),
            backups: Kind::new(),
            jobs: Kind::new(),
            writes: 0,
            manifests: BTreeMap::new(),
            lost: BTreeSet::new(),
            major,
            calm: false,
            version: 1,
        };
        world
            .stores
            .truth
            .insert("primary".to_owned(), fixtures::store());
        world.stores.relist();
        world
    }

    pub fn version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Creation times have whole seconds and never coincide.
    pub fn create_policy(&mut self, mut policy: BackupPolicy) {
        self.advance(SignedDuration::from_secs(1));
        policy.metadata.uid = Some(format!("policy-{}", self.version()));
        policy.metadata.resource_version = Some(self.version());
        policy.metadata.creation_timestamp = Some(Time(self.now));
        let name = policy.name_any();
        self.policies.truth.insert(name.clone(), policy);
        self.policies.changed(self.now, &name);
    }

    pub fn create_backup(&mut self, mut backup: Backup) {
        if self.backups.truth.contains_key(&backup.name_any()) {
            return;
        }
        self.advance(SignedDuration::from_secs(1));
        backup.metadata.uid = Some(format!("backup-{}", self.version()));
        backup.metadata.resource_version = Some(self.version());
        backup.metadata.generation = Some(1);
        backup.metadata.creation_timestamp = Some(Time(self.now));
        if let Some(due) = backup.spec.scheduled_time {
            assert!(due <= self.now, "a due time in the future was started");
            let twin = self.backups.truth.values().find(|b| {
                b.spec.scheduled_time == Some(due)
                    && b.labels().get(LABEL_POLICY_UID) == backup.labels().get(LABEL_POLICY_UID)
            });
            assert!(twin.is_none(), "P6: two Backups of one due time {due}");
        }
        self.writes += 1;
        let name = backup.name_any();
        self.backups.truth.insert(name.clone(), backup);
        self.backups.changed(self.now, &name);
    }

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
        let (due, expected) = match &document.work {
            Work::Backup(task) => (Some(task.due), task.expected_major),
            _ => (None, None),
        };
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

    /// A policy goes, and with it what it controls: its checks, not its Backups (K24).
    pub fn delete_policy(&mut self, name: &str) {
        let uid = self.policies.truth.remove(name).and_then(|p| p.uid());
        self.policies.changed(self.now, name);
        let of = |job: &WorldJob| Some(&job.seen.owner_uid) == uid.as_ref();
        let gone: Vec<String> = self
            .jobs
            .truth
            .iter()
            .filter(|(_, j)| of(j))
            .map(|(n, _)| n.clone())
            .collect();
        for job in gone {
            self.jobs.truth.remove(&job);
            self.jobs.changed(self.now, &job);
        }
    }

    /// A store comes or goes; with it its probes.
    pub fn toggle_store(&mut self) {
        let version = self.version();
        match self.stores.truth.remove("primary") {
            None => {
                let mut store = fixtures::store();
                store.metadata.uid = Some(format!("store-{version}"));
                store.metadata.resource_version = Some(version);
                self.stores.truth.insert("primary".to_owned(), store);
            }
            Some(_) => {
                let probes = self.jobs.truth.iter().filter(|(_, j)| j.task == "probe");
                let probes: Vec<String> = probes.map(|(n, _)| n.clone()).collect();
                for job in probes {
                    self.jobs.truth.remove(&job);
                    self.jobs.changed(self.now, &job);
                }
            }
        }
        self.stores.changed(self.now, "primary");
    }

    pub fn later(&mut self, most: u64) {
        let seconds = i64::try_from(1 + self.chance.below(most)).unwrap();
        self.advance(SignedDuration::from_secs(seconds));
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

    /// Lets the watches show something: some of it, and what is older than their longest lag.
    pub fn watch(&mut self) -> Shown {
        let oldest = self.now - LAG;
        let mut some = || usize::try_from(self.chance.below(3)).unwrap();
        let (a, b, c, d) = (some(), some(), some(), some());
        Shown {
            stores: self.stores.deliver(a, oldest),
            policies: self.policies.deliver(b, oldest),
            backups: self.backups.deliver(c, oldest),
            jobs: self.jobs.deliver(d, oldest),
        }
    }

    pub fn relist(&mut self) {
        self.stores.relist();
        self.policies.relist();
        self.backups.relist();
        self.jobs.relist();
    }
}

fn task_of(job: &Job) -> Task {
    let pod = job
        .spec
        .as_ref()
        .and_then(|s| s.template.spec.as_ref())
        .unwrap();
    let work = pod.containers.iter().find(|c| c.name == "work").unwrap();
    let env = work
        .env
        .iter()
        .flatten()
        .find(|e| e.name == "LIFEBOAT_TASK")
        .unwrap();
    Task::from_env(env.value.as_deref().unwrap()).unwrap()
}
