//! A cluster in memory: objects, late watches, Jobs with fates, an operator that may die anywhere.
//!
//! Each kind has its own watch; what one watch shows is in order, but the watches lag apart from
//! each other. All chance comes from one seed.

#![allow(dead_code)]

#[path = "world_jobs.rs"]
mod jobs;
#[path = "world_watch.rs"]
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use lifeboat::api::{Backup, BackupPolicy, BackupStore, LABEL_POLICY_UID};
use lifeboat::workload::Settings;

use super::fixtures;
pub use jobs::WorldJob;
pub use watch::{Kind, LAG, Shown};

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

    /// Lets the watches show something: some of it, and what is older than their longest lag. When
    /// all is calm a watch shows everything or nothing: as late, in fewer looks.
    pub fn watch(&mut self) -> Shown {
        let oldest = self.now - LAG;
        let calm = self.calm;
        let mut some = || match self.chance.below(3) {
            0 => 0,
            _ if calm => usize::MAX,
            few => usize::try_from(few).unwrap(),
        };
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
