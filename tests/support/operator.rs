//! The operator's loop over a [`World`]: observe, validate, decide, act, report, with the pure parts
//! as they are and the others as `cluster/` does them, and a death at every seam.

#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use lifeboat::api::{LABEL_POLICY_UID, name};
use lifeboat::backup::decide::{another_goes_first, attempt_to_watch};
use lifeboat::backup::line::is_finished;
use lifeboat::cluster::decision::{Decision, Effect, Next};
use lifeboat::cluster::seen::SeenJob;
use lifeboat::{backup, policy, store};

use super::world::{Kind, Shown, World, WorldJob};

/// A status has room for so many skipped due times.
const MOST_TOLD: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Store(String),
    Policy(String),
    Backup(String),
}

/// It died, or goes on.
pub enum After {
    Lives,
    Died,
}

#[derive(Default)]
pub struct Operator {
    pub dirty: BTreeSet<Key>,
    pub timers: BTreeMap<Key, Timestamp>,
    /// Jobs that were seen: a deletion wakes the owner too.
    pub known: BTreeMap<String, WorldJob>,
    /// One in so many seams is a death; 0: none.
    pub deaths: u64,
    /// Due times for which a policy (by uid) made a Backup, or told that it was skipped.
    pub answered: BTreeMap<String, BTreeSet<Timestamp>>,
    /// What the written statuses of a policy (by uid) passed over.
    pub passed: BTreeMap<String, Vec<Passed>>,
}

/// One written status decided the due times after `after`, up to and at `until`.
pub struct Passed {
    pub after: Timestamp,
    pub until: Timestamp,
    /// So many of them, the newest before `until`, it has to tell: none that passed by wish while
    /// suspended, else as many as have room beside `until`.
    pub told: usize,
}

impl Operator {
    pub fn wake_all(&mut self, world: &World) {
        self.dirty
            .extend(world.stores.cache.keys().cloned().map(Key::Store));
        self.dirty
            .extend(world.policies.cache.keys().cloned().map(Key::Policy));
        self.dirty
            .extend(world.backups.cache.keys().cloned().map(Key::Backup));
    }

    /// As the watches of the real one wake: an object, who names it, and a Job's owner.
    pub fn wake(&mut self, world: &World, shown: &Shown) {
        let waiting = world.backups.cache.values().filter(|b| !is_finished(b));
        let waiting: Vec<Key> = waiting.map(|b| Key::Backup(b.name_any())).collect();
        if !shown.stores.is_empty() {
            self.dirty
                .extend(shown.stores.iter().cloned().map(Key::Store));
            self.dirty
                .extend(world.policies.cache.keys().cloned().map(Key::Policy));
            self.dirty.extend(waiting.iter().cloned());
        }
        if !shown.policies.is_empty() {
            self.dirty
                .extend(shown.policies.iter().cloned().map(Key::Policy));
            self.dirty
                .extend(world.backups.cache.keys().cloned().map(Key::Backup));
        }
        if !shown.backups.is_empty() {
            self.dirty
                .extend(shown.backups.iter().cloned().map(Key::Backup));
            self.dirty
                .extend(world.policies.cache.keys().cloned().map(Key::Policy));
            self.dirty.extend(waiting);
        }
        for name in &shown.jobs {
            let job = world
                .jobs
                .cache
                .get(name)
                .or_else(|| self.known.get(name))
                .cloned();
            let Some(job) = job else { continue };
            self.dirty.insert(match job.task.as_str() {
                "backup" => Key::Backup(job.owner.clone()),
                "probe" => Key::Store(job.owner.clone()),
                _ => Key::Policy(job.owner.clone()),
            });
            self.known.insert(name.clone(), job);
        }
    }

    pub fn wake_due(&mut self, now: Timestamp) {
        let due = self.timers.iter().filter(|(_, at)| **at <= now);
        let due: Vec<Key> = due.map(|(key, _)| key.clone()).collect();
        for key in due {
            self.timers.remove(&key);
            self.dirty.insert(key);
        }
    }

    fn restart(&mut self, world: &mut World) {
        world.relist();
        self.timers.clear();
        self.dirty.clear();
        self.wake_all(world);
    }

    fn dies(&self, world: &mut World) -> bool {
        self.deaths > 0 && world.chance.one_in(self.deaths)
    }

    /// One look at one object.
    pub fn reconcile(&mut self, world: &mut World, key: &Key) {
        self.dirty.remove(key);
        let outcome = match key {
            Key::Store(name) => self.store(world, name),
            Key::Policy(name) => self.policy(world, name),
            Key::Backup(name) => self.backup(world, name),
        };
        match outcome {
            Ok((After::Lives, Next::At(at))) => {
                self.timers.insert(key.clone(), at);
            }
            Ok((After::Lives, Next::OnChange)) => {
                self.timers.remove(key);
            }
            Ok((After::Died, _)) => self.restart(world),
            // A conflict: look again, a little later.
            Err(()) => {
                self.timers
                    .insert(key.clone(), world.now + SignedDuration::from_secs(2));
            }
        }
    }

    pub fn decide_store(
        world: &World,
        name: &str,
    ) -> Option<(
        store::decide::Observed,
        Decision<lifeboat::api::BackupStoreStatus>,
    )> {
        let store = world.stores.cache.get(name)?.clone();
        let seen = store::decide::Observed {
            probe_job: newest_job(&world.jobs, "probe", &store.uid().unwrap_or_default()),
            written_at: None,
            namespace_terminating: false,
            store,
        };
        let valid = store::validate::validate(&seen.store, &world.settings);
        let decision = store::decide::decide(valid.as_ref(), &seen, &world.settings, world.now);
        Some((seen, decision))
    }

    pub fn decide_policy(
        world: &World,
        name: &str,
    ) -> Option<(
        policy::decide::Observed,
        Decision<lifeboat::api::BackupPolicyStatus>,
    )> {
        let policy = world.policies.cache.get(name)?.clone();
        let backups = world.backups.cache.values();
        let seen = policy::decide::Observed {
            store: world.stores.cache.get(&policy.spec.store_ref.name).cloned(),
            backups: backups
                .filter(|b| b.spec.policy_ref.name == name)
                .cloned()
                .collect(),
            drills: Vec::new(),
            shares_with: None,
            check_job: newest_job(&world.jobs, "check", &policy.uid().unwrap_or_default()),
            namespace_terminating: false,
            policy,
        };
        let valid = policy::validate::validate(&seen.policy, &world.settings);
        let decision = policy::decide::decide(valid.as_ref(), &seen, &world.settings, world.now);
        Some((seen, decision))
    }

    pub fn decide_backup(
        world: &World,
        name: &str,
    ) -> Option<(
        backup::decide::Observed,
        Decision<lifeboat::api::BackupStatus>,
    )> {
        let backup = world.backups.cache.get(name)?.clone();
        let policy = world
            .policies
            .cache
            .get(&backup.spec.policy_ref.name)
            .cloned();
        let job = name::backup_job(name, attempt_to_watch(&backup));
        let job = world.jobs.cache.get(&job).map(|job| job.seen.clone());
        let seen = backup::decide::Observed {
            store: policy
                .as_ref()
                .and_then(|p| world.stores.cache.get(&p.spec.store_ref.name))
                .cloned(),
            job: job.filter(|job| Some(&job.owner_uid) == backup.uid().as_ref()),
            pin_jobs: Vec::new(),
            others_running: another_goes_first(&backup, world.backups.cache.values()),
            migrating: None,
            proof: None,
            namespace_terminating: false,
            policy,
            backup,
        };
        let valid = backup::validate::validate(&seen.backup);
        let decision = backup::decide::decide(valid.as_ref(), &seen, &world.settings, world.now);
        Some((seen, decision))
    }

    fn store(&mut self, world: &mut World, name: &str) -> Result<(After, Next), ()> {
        let Some((seen, decision)) = Self::decide_store(world, name) else {
            return Ok((After::Lives, Next::OnChange));
        };
        if let After::Died = self.act(world, &decision.effects)? {
            return Ok((After::Died, Next::OnChange));
        }
        if seen.store.status.as_ref() != Some(&decision.status) {
            let version = world.version();
            let live =
                world.stores.truth.get_mut(name).filter(|s| {
                    s.metadata.resource_version == seen.store.metadata.resource_version
                });
            let live = live.ok_or(())?;
            live.metadata.resource_version = Some(version);
            live.status = Some(decision.status.clone());
            world.writes += 1;
            world.stores.changed(world.now, name);
        }
        Ok((self.seam(world), decision.next))
    }

    fn policy(&mut self, world: &mut World, name: &str) -> Result<(After, Next), ()> {
        let Some((seen, decision)) = Self::decide_policy(world, name) else {
            return Ok((After::Lives, Next::OnChange));
        };
        if let After::Died = self.act(world, &decision.effects)? {
            return Ok((After::Died, Next::OnChange));
        }
        let old = seen.policy.status.clone().unwrap_or_default();
        if seen.policy.status.as_ref() != Some(&decision.status) {
            assert!(
                decision.status.last_schedule_time >= old.last_schedule_time,
                "K17: lastScheduleTime only grows"
            );
            let version = world.version();
            let live =
                world.policies.truth.get_mut(name).filter(|p| {
                    p.metadata.resource_version == seen.policy.metadata.resource_version
                });
            let live = live.ok_or(())?;
            live.metadata.resource_version = Some(version);
            live.status = Some(decision.status.clone());
            world.writes += 1;
            world.policies.changed(world.now, name);
            let uid = seen.policy.uid().unwrap_or_default();
            let skipped = decision
                .status
                .skipped
                .iter()
                .flat_map(|s| s.times.iter().copied());
            self.answered
                .entry(uid.clone())
                .or_default()
                .extend(skipped.clone());
            let created = seen.policy.metadata.creation_timestamp.as_ref();
            let after = old.last_schedule_time.or(created.map(|t| t.0));
            if let (Some(after), Some(until)) = (after, decision.status.last_schedule_time) {
                let by_wish = old.conditions.iter().any(|c| c.reason == "Suspended");
                let itself = usize::from(skipped.clone().any(|due| due == until));
                let told = if by_wish { 0 } else { MOST_TOLD - itself };
                self.passed
                    .entry(uid)
                    .or_default()
                    .push(Passed { after, until, told });
            }
        }
        Ok((self.seam(world), decision.next))
    }

    fn backup(&mut self, world: &mut World, name: &str) -> Result<(After, Next), ()> {
        let Some((seen, decision)) = Self::decide_backup(world, name) else {
            return Ok((After::Lives, Next::OnChange));
        };
        if let After::Died = self.act(world, &decision.effects)? {
            return Ok((After::Died, Next::OnChange));
        }
        if seen.backup.status.as_ref() != Some(&decision.status) {
            let version = world.version();
            let live =
                world.backups.truth.get_mut(name).filter(|b| {
                    b.metadata.resource_version == seen.backup.metadata.resource_version
                });
            let live = live.ok_or(())?;
            live.metadata.resource_version = Some(version);
            live.status = Some(decision.status.clone());
            world.writes += 1;
            world.backups.changed(world.now, name);
        }
        Ok((self.seam(world), decision.next))
    }

    fn seam(&self, world: &mut World) -> After {
        if self.dies(world) {
            After::Died
        } else {
            After::Lives
        }
    }

    fn act(&mut self, world: &mut World, effects: &[Effect]) -> Result<After, ()> {
        if self.dies(world) {
            return Ok(After::Died);
        }
        for effect in effects {
            match effect {
                Effect::CreateBackup { backup, policy_uid } => {
                    assert_eq!(backup.labels().get(LABEL_POLICY_UID), Some(policy_uid));
                    assert!(backup.owner_references().is_empty(), "K24");
                    if let Some(due) = backup.spec.scheduled_time {
                        self.answered
                            .entry(policy_uid.clone())
                            .or_default()
                            .insert(due);
                    }
                    world.create_backup((**backup).clone());
                }
                Effect::CreateJob { job, owner_version } => {
                    let owner = job.owner_references().first().cloned().ok_or(())?;
                    let live = match owner.kind.as_str() {
                        "Backup" => world
                            .backups
                            .truth
                            .get(&owner.name)
                            .map(|o| o.metadata.clone()),
                        "BackupPolicy" => world
                            .policies
                            .truth
                            .get(&owner.name)
                            .map(|o| o.metadata.clone()),
                        _ => world
                            .stores
                            .truth
                            .get(&owner.name)
                            .map(|o| o.metadata.clone()),
                    };
                    let live = live.ok_or(())?;
                    if live.uid.as_ref() != Some(&owner.uid)
                        || live.resource_version.as_ref() != Some(owner_version)
                    {
                        return Err(());
                    }
                    world.create_job(job);
                }
                Effect::DeleteJob { name, uid, .. } => world.delete_job(name, uid),
                Effect::ApplyNetwork { .. }
                | Effect::DeleteNetwork { .. }
                | Effect::CreateDrill { .. }
                | Effect::DeleteDrill { .. }
                | Effect::SetFinalizers { .. } => {}
            }
            if self.dies(world) {
                return Ok(After::Died);
            }
        }
        Ok(After::Lives)
    }
}

fn newest_job(jobs: &Kind<WorldJob>, task: &str, owner: &str) -> Option<SeenJob> {
    let ours = jobs
        .cache
        .values()
        .filter(|j| j.task == task && j.seen.owner_uid == owner);
    ours.max_by_key(|j| j.seen.created_at)
        .map(|j| j.seen.clone())
}
