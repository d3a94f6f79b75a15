//! The small world of one object: what is seen of it, what is decided, and what the cluster makes of it.

use std::sync::LazyLock;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::ResourceExt;
use lifeboat::api::Reason;
use lifeboat::api::condition::find;
use lifeboat::api::{
    BackupPolicyStatus, BackupStatus, BackupStoreStatus, LABEL_OWNER_UID, RestoreDrillStatus, name,
};
use lifeboat::backup::decide::attempt_to_watch;
use lifeboat::cluster::decision::{Decision, Effect};
use lifeboat::cluster::seen::{JobState, SeenJob};
use lifeboat::workload::Settings;
use lifeboat::{backup, drill, policy, store};

use crate::fixtures::{self, at};

pub static SETTINGS: LazyLock<Settings> = LazyLock::new(fixtures::settings);

pub const NOW: &str = "2026-11-21T02:00:05Z";

pub fn now() -> Timestamp {
    at(NOW)
}

pub fn after(seconds: i64) -> Timestamp {
    now() + jiff::SignedDuration::from_secs(seconds)
}

/// An object in its world.
pub trait World: Clone + std::fmt::Debug {
    const KIND: &str;
    type Status: Clone + PartialEq + std::fmt::Debug + serde::Serialize;
    fn decide(&self, now: Timestamp) -> Decision<Self::Status>;
    fn status(&self) -> Option<&Self::Status>;
    fn set_status(&mut self, status: Self::Status);
    fn meta(&self) -> &ObjectMeta;
    fn jobs(&self) -> Vec<&SeenJob>;
    fn created(&mut self, effect: &Effect, now: Timestamp);
    fn deleted(&mut self, uid: &str);
    fn conditions(status: &Self::Status) -> &[Condition];

    /// Effects first, then the status: as `act` and `report` do.
    fn carry_out(&mut self, decision: &Decision<Self::Status>, now: Timestamp) {
        for effect in &decision.effects {
            match effect {
                Effect::DeleteJob { uid, .. } => self.deleted(uid),
                Effect::ApplyNetwork { .. } | Effect::DeleteNetwork { .. } => {}
                other => self.created(other, now),
            }
        }
        self.set_status(decision.status.clone());
    }

    /// Decides and carries out until nothing changes. Answers the last decision.
    fn settle(&mut self, now: Timestamp) -> Decision<Self::Status> {
        for _ in 0..8 {
            let decision = self.decide(now);
            if decision.effects.is_empty() && self.status() == Some(&decision.status) {
                return decision;
            }
            self.carry_out(&decision, now);
        }
        panic!("it does not settle: {self:?}");
    }

    /// One look that is carried out.
    fn look(&mut self, now: Timestamp) -> Decision<Self::Status> {
        let decision = self.decide(now);
        self.carry_out(&decision, now);
        decision
    }
}

/// A Job that was just created: no pod yet.
pub fn new_job(job: &k8s_openapi::api::batch::v1::Job, now: Timestamp) -> SeenJob {
    let owner = job.labels().get(LABEL_OWNER_UID).cloned();
    let state = JobState::Waiting {
        reason: Reason::Starting,
        why: "its pod is starting".to_owned(),
    };
    fixtures::job(&job.name_any(), &owner.unwrap_or_default(), now, state)
}

#[derive(Debug, Clone)]
pub struct StoreWorld(pub store::decide::Observed);

impl StoreWorld {
    pub fn new() -> Self {
        Self(store::decide::Observed {
            store: fixtures::store(),
            probe_job: None,
            written_at: None,
            namespace_terminating: false,
        })
    }
}

impl World for StoreWorld {
    const KIND: &str = "BackupStore";
    type Status = BackupStoreStatus;
    fn decide(&self, now: Timestamp) -> Decision<BackupStoreStatus> {
        let valid = store::validate::validate(&self.0.store, &SETTINGS);
        store::decide::decide(valid.as_ref(), &self.0, &SETTINGS, now)
    }
    fn status(&self) -> Option<&BackupStoreStatus> {
        self.0.store.status.as_ref()
    }
    fn set_status(&mut self, status: BackupStoreStatus) {
        self.0.store.status = Some(status);
    }
    fn meta(&self) -> &ObjectMeta {
        &self.0.store.metadata
    }
    fn jobs(&self) -> Vec<&SeenJob> {
        self.0.probe_job.iter().collect()
    }
    fn created(&mut self, effect: &Effect, now: Timestamp) {
        if let Effect::CreateJob { job, .. } = effect {
            self.0.probe_job = Some(new_job(job, now));
        }
    }
    fn deleted(&mut self, uid: &str) {
        self.0.probe_job.take_if(|job| job.uid == uid);
    }
    fn conditions(status: &BackupStoreStatus) -> &[Condition] {
        &status.conditions
    }
}

#[derive(Debug, Clone)]
pub struct PolicyWorld(pub policy::decide::Observed);

impl PolicyWorld {
    pub fn new() -> Self {
        Self(policy::decide::Observed {
            policy: fixtures::policy(),
            store: Some(fixtures::store()),
            backups: Vec::new(),
            drills: Vec::new(),
            shares_with: None,
            check_job: None,
            namespace_terminating: false,
        })
    }
}

impl World for PolicyWorld {
    const KIND: &str = "BackupPolicy";
    type Status = BackupPolicyStatus;
    fn decide(&self, now: Timestamp) -> Decision<BackupPolicyStatus> {
        let valid = policy::validate::validate(&self.0.policy, &SETTINGS);
        policy::decide::decide(valid.as_ref(), &self.0, &SETTINGS, now)
    }
    fn status(&self) -> Option<&BackupPolicyStatus> {
        self.0.policy.status.as_ref()
    }
    fn set_status(&mut self, status: BackupPolicyStatus) {
        self.0.policy.status = Some(status);
    }
    fn meta(&self) -> &ObjectMeta {
        &self.0.policy.metadata
    }
    fn jobs(&self) -> Vec<&SeenJob> {
        self.0.check_job.iter().collect()
    }
    fn created(&mut self, effect: &Effect, now: Timestamp) {
        match effect {
            Effect::CreateJob { job, .. } => self.0.check_job = Some(new_job(job, now)),
            Effect::CreateBackup { backup, .. } => {
                let mut backup = (**backup).clone();
                backup.metadata.uid = Some(format!("uid-of-{}", backup.name_any()));
                backup.metadata.creation_timestamp = Some(Time(now));
                self.0.backups.push(backup);
            }
            Effect::DeleteJob { .. }
            | Effect::ApplyNetwork { .. }
            | Effect::DeleteNetwork { .. }
            | Effect::CreateDrill { .. }
            | Effect::DeleteDrill { .. }
            | Effect::SetFinalizers { .. } => {}
        }
    }
    fn deleted(&mut self, uid: &str) {
        self.0.check_job.take_if(|job| job.uid == uid);
    }
    fn conditions(status: &BackupPolicyStatus) -> &[Condition] {
        &status.conditions
    }
}

/// A Backup, and its Jobs that stand in the cluster.
#[derive(Debug, Clone)]
pub struct BackupWorld {
    pub seen: backup::decide::Observed,
    pub all: Vec<SeenJob>,
}

impl BackupWorld {
    pub fn of(backup: lifeboat::api::Backup) -> Self {
        Self {
            seen: backup::decide::Observed {
                backup,
                policy: Some(fixtures::policy()),
                store: Some(fixtures::store()),
                job: None,
                pin_jobs: Vec::new(),
                others_running: false,
                migrating: None,
                proof: None,
                namespace_terminating: false,
            },
            all: Vec::new(),
        }
    }

    pub fn scheduled() -> Self {
        Self::of(fixtures::scheduled())
    }

    pub fn policy(&mut self) -> &mut lifeboat::api::BackupPolicy {
        self.seen.policy.as_mut().unwrap()
    }

    /// The Job of the attempt that is on, in this state.
    pub fn job_is(&mut self, state: JobState) {
        let backup = self.seen.backup.name_any();
        let job = name::backup_job(&backup, attempt_to_watch(&self.seen.backup));
        let uid = self.seen.backup.uid().unwrap();
        let created = self.all.iter().find(|j| j.name == job);
        let created = created.map_or(now(), |j| j.created_at);
        self.all.retain(|j| j.name != job);
        self.all.push(fixtures::job(&job, &uid, created, state));
        self.observe();
    }

    fn observe(&mut self) {
        let backup = self.seen.backup.name_any();
        let job = name::backup_job(&backup, attempt_to_watch(&self.seen.backup));
        self.seen.job = self.all.iter().find(|j| j.name == job).cloned();
        let pins = self.all.iter();
        let pins = pins.filter(|j| j.name.starts_with(&format!("{backup}-p")));
        self.seen.pin_jobs = pins.cloned().collect();
    }
}

impl World for BackupWorld {
    const KIND: &str = "Backup";
    type Status = BackupStatus;
    fn decide(&self, now: Timestamp) -> Decision<BackupStatus> {
        let valid = backup::validate::validate(&self.seen.backup);
        backup::decide::decide(valid.as_ref(), &self.seen, &SETTINGS, now)
    }
    fn status(&self) -> Option<&BackupStatus> {
        self.seen.backup.status.as_ref()
    }
    fn set_status(&mut self, status: BackupStatus) {
        self.seen.backup.status = Some(status);
        self.observe();
    }
    fn meta(&self) -> &ObjectMeta {
        &self.seen.backup.metadata
    }
    fn jobs(&self) -> Vec<&SeenJob> {
        self.all.iter().collect()
    }
    fn created(&mut self, effect: &Effect, now: Timestamp) {
        if let Effect::CreateJob { job, .. } = effect {
            self.all.push(new_job(job, now));
        }
        self.observe();
    }
    fn deleted(&mut self, uid: &str) {
        self.all.retain(|job| job.uid != uid);
        self.observe();
    }
    fn conditions(status: &BackupStatus) -> &[Condition] {
        &status.conditions
    }
}

/// A drill, and its Jobs that stand in the cluster.
#[derive(Debug, Clone)]
pub struct DrillWorld(pub drill::decide::Observed);

impl DrillWorld {
    pub fn of(drill: lifeboat::api::RestoreDrill) -> Self {
        Self(drill::decide::Observed {
            drill,
            policy: Some(fixtures::policy()),
            store: Some(fixtures::store()),
            backup: None,
            has_backup: true,
            jobs: Vec::new(),
            first: None,
            namespace_terminating: false,
        })
    }

    /// Created an hour before [`NOW`], drills at 02:00 every day.
    pub fn scheduled() -> Self {
        Self::of(fixtures::drill("nightly", "schedule: {cron: '0 2 * * *'}"))
    }

    pub fn once() -> Self {
        Self::of(fixtures::drill("once", "deadline: 4h"))
    }

    /// The Job of the attempt that is on, in this state.
    pub fn job_is(&mut self, state: JobState) {
        let run = self.status().and_then(|s| s.running.clone()).unwrap();
        let name = name::drill_job(&run.run, run.attempt);
        let uid = self.0.drill.uid().unwrap();
        let created = self.0.jobs.iter().find(|j| j.name == name);
        let created = created.map_or(now(), |j| j.created_at);
        self.0.jobs.retain(|j| j.name != name);
        self.0.jobs.push(fixtures::job(&name, &uid, created, state));
    }
}

impl World for DrillWorld {
    const KIND: &str = "RestoreDrill";
    type Status = RestoreDrillStatus;
    fn decide(&self, now: Timestamp) -> Decision<RestoreDrillStatus> {
        let valid = drill::validate::validate(&self.0.drill, &SETTINGS);
        drill::decide::decide(valid.as_ref(), &self.0, &SETTINGS, now)
    }
    fn status(&self) -> Option<&RestoreDrillStatus> {
        self.0.drill.status.as_ref()
    }
    fn set_status(&mut self, status: RestoreDrillStatus) {
        self.0.drill.status = Some(status);
    }
    fn meta(&self) -> &ObjectMeta {
        &self.0.drill.metadata
    }
    fn jobs(&self) -> Vec<&SeenJob> {
        self.0.jobs.iter().collect()
    }
    fn created(&mut self, effect: &Effect, now: Timestamp) {
        if let Effect::CreateJob { job, .. } = effect {
            self.0.jobs.push(new_job(job, now));
        }
    }
    fn deleted(&mut self, uid: &str) {
        self.0.jobs.retain(|job| job.uid != uid);
    }
    fn conditions(status: &RestoreDrillStatus) -> &[Condition] {
        &status.conditions
    }
}

/// `create Job x`, `delete Job x`, `create Backup x`.
pub fn effects<S>(decision: &Decision<S>) -> Vec<String> {
    let told = decision.effects.iter().map(|effect| match effect {
        Effect::CreateBackup { backup, .. } => format!("create Backup {}", backup.name_any()),
        Effect::CreateJob { job, .. } => format!("create Job {}", job.name_any()),
        Effect::DeleteJob { name, .. } => format!("delete Job {name}"),
        Effect::ApplyNetwork { policy } => format!("apply NetworkPolicy {}", policy.name_any()),
        Effect::DeleteNetwork { name, .. } => format!("delete NetworkPolicy {name}"),
        Effect::CreateDrill { drill } => format!("create RestoreDrill {}", drill.name_any()),
        Effect::DeleteDrill { name, .. } => format!("delete RestoreDrill {name}"),
        Effect::SetFinalizers { finalizers, .. } => format!("finalizers {finalizers:?}"),
    });
    told.collect()
}

/// The same, of Jobs and Backups only.
pub fn of_jobs<S>(decision: &Decision<S>) -> Vec<String> {
    let mut all = effects(decision);
    all.retain(|effect| !effect.contains("NetworkPolicy"));
    all
}

/// `True/Succeeded`.
pub fn told(conditions: &[Condition], type_: &str) -> String {
    find(conditions, type_).map_or("absent".to_owned(), |c| {
        format!("{}/{}", c.status, c.reason)
    })
}

/// Ready, Reconciling, Stalled.
pub fn kstatus(conditions: &[Condition]) -> [String; 3] {
    ["Ready", "Reconciling", "Stalled"].map(|type_| told(conditions, type_))
}

pub fn waiting() -> JobState {
    JobState::Waiting {
        reason: Reason::Starting,
        why: "ImagePullBackOff".to_owned(),
    }
}

pub fn running() -> JobState {
    JobState::Running {
        since: now(),
        pod_uid: fixtures::POD_UID.to_owned(),
    }
}
