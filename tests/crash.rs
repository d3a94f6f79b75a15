//! Random walks through a cluster in memory, in which the operator dies at every seam and watches
//! lag. What must hold on every walk: one due time has one Backup (P6), one policy one Job at a
//! time, no attempt after a lost result, no due time lost beyond the catch-up rule (K17), every
//! attempt ends (P4), and a world that settles is not written any more.
//!
//! `LIFEBOAT_WALKS=20000 cargo test --test crash` walks further; `LIFEBOAT_SEED=7` walks one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/operator.rs"]
mod operator;
#[path = "support/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use lifeboat::api::backup_policy::Tier;
use lifeboat::api::{Backup, BackupPolicy, BackupPolicyStatus, REQUESTED_AT};
use lifeboat::backup::line::is_finished;
use lifeboat::policy::decide::Observed;
use lifeboat::policy::due::{Answer, owing};
use lifeboat::policy::validate::validate;
use lifeboat::schedule::{earlier, later};
use operator::Operator;
use world::World;

const STEPS: usize = 120;

struct Walk {
    world: World,
    operator: Operator,
    /// Time that went by without the operator's loop.
    absent: SignedDuration,
    born: BTreeMap<String, (Timestamp, SignedDuration)>,
}

fn policy(world: &mut World, name: &str) -> BackupPolicy {
    let mut policy = fixtures::policy();
    policy.metadata.name = Some(name.to_owned());
    policy.metadata.generation = Some(1);
    let tier = |name: &str, cron: &str| Tier {
        name: name.to_owned(),
        cron: cron.to_owned(),
    };
    policy.spec.tiers = vec![tier("hourly", "5 * * * *")];
    if world.chance.one_in(2) {
        policy.spec.tiers.push(tier("often", "*/20 */3 * * *"));
    }
    policy.spec.spread = Some(if world.chance.one_in(2) { "0s" } else { "4m" }.to_owned());
    policy.spec.deadline = Some(if world.chance.one_in(2) { "10m" } else { "45m" }.to_owned());
    policy.spec.attempts = Some(i32::try_from(1 + world.chance.below(3)).unwrap());
    policy
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let first = policy(&mut world, "orders");
        world.create_policy(first);
        let mut operator = Operator {
            deaths: 15,
            ..Operator::default()
        };
        operator.wake_all(&world);
        Self {
            world,
            operator,
            absent: SignedDuration::ZERO,
            born: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        match self.world.chance.below(100) {
            0..=5 => self.person(),
            6 => {
                let hours = i64::try_from(1 + self.world.chance.below(12)).unwrap();
                let gone = SignedDuration::from_hours(hours);
                self.absent += gone;
                self.pass(gone);
            }
            7..=12 => {
                let gone =
                    SignedDuration::from_secs(i64::try_from(self.world.chance.below(900)).unwrap());
                self.absent += gone;
                self.pass(gone);
            }
            13..=30 => {
                let some =
                    SignedDuration::from_secs(i64::try_from(self.world.chance.below(20)).unwrap());
                self.absent += some;
                self.pass(some);
            }
            31..=45 => self.await_timer(),
            _ => self.look(),
        }
    }

    fn pass(&mut self, by: SignedDuration) {
        self.world.advance(by);
        self.watch();
        self.check_ends();
    }

    fn watch(&mut self) {
        let shown = self.world.watch();
        self.operator.wake(&self.world, &shown);
        self.operator.wake_due(self.world.now);
    }

    /// Reconciles something that asks for it.
    fn look(&mut self) {
        self.watch();
        let count = u64::try_from(self.operator.dirty.len()).unwrap();
        let index = usize::try_from(self.world.chance.below(count)).unwrap();
        let Some(key) = self.operator.dirty.iter().nth(index).cloned() else {
            return self.await_timer();
        };
        self.operator.reconcile(&mut self.world, &key);
        let now = self.world.now;
        for name in self.world.jobs.truth.keys() {
            self.born.entry(name.clone()).or_insert((now, self.absent));
        }
    }

    fn await_timer(&mut self) {
        let next = self.operator.timers.values().min().copied();
        let wait = next.map_or(SignedDuration::from_secs(60), |at| {
            at.duration_since(self.world.now)
        });
        let wait = wait.clamp(SignedDuration::from_secs(1), SignedDuration::from_secs(60));
        self.absent += if self.operator.dirty.is_empty() {
            SignedDuration::ZERO
        } else {
            wait
        };
        self.pass(wait);
    }

    /// P4: every attempt is over in time, the operator's own absence not counted.
    fn check_ends(&mut self) {
        for job in self
            .world
            .jobs
            .truth
            .values()
            .filter(|j| j.alive() && j.task == "backup")
        {
            let Some((born, absent)) = self.born.get(&job.seen.name) else {
                continue;
            };
            let bound = SignedDuration::from_mins(15 + 30) + job.deadline + (self.absent - *absent);
            let age = self.world.now.duration_since(*born);
            assert!(
                age <= bound,
                "P4: {} is {age:?} old, deadline {:?}: {:?}",
                job.seen.name,
                job.deadline,
                job.seen.state
            );
        }
    }

    fn person(&mut self) {
        let version = self.world.version();
        let what = self.world.chance.below(9);
        let world = &mut self.world;
        let policy = world.policies.truth.get_mut("orders");
        match (what, policy) {
            (0 | 1, Some(policy)) => {
                policy
                    .annotations_mut()
                    .insert(REQUESTED_AT.to_owned(), version.clone());
                policy.metadata.resource_version = Some(version);
            }
            (2, Some(policy)) => {
                policy.spec.suspend = Some(!policy.spec.suspend.unwrap_or_default());
                policy.metadata.generation = policy.metadata.generation.map(|g| g + 1);
                policy.metadata.resource_version = Some(version);
            }
            (3, Some(policy)) => {
                let invalid = policy.spec.time_zone.is_none();
                policy.spec.time_zone = invalid.then(|| "Mars/Olympus".to_owned());
                policy.metadata.generation = policy.metadata.generation.map(|g| g + 1);
                policy.metadata.resource_version = Some(version);
            }
            (4, Some(_)) if world.chance.one_in(3) => {
                world.delete_policy("orders");
            }
            (_, None) => {
                let again = self::policy(world, "orders");
                world.create_policy(again);
            }
            (5, _) => world.toggle_store(),
            _ => {
                let now = world.now.to_string();
                world.create_backup(fixtures::manual(&format!("manual-{version}"), &now));
            }
        }
        self.world.policies.changed(self.world.now, "orders");
    }

    /// Everything works again, nobody dies, and time goes by: the operator does what is left.
    fn calm(&mut self) {
        self.operator.deaths = 0;
        self.world.calm = true;
        let version = self.world.version();
        if !self.world.stores.truth.contains_key("primary") {
            self.world.toggle_store();
        }
        match self.world.policies.truth.get_mut("orders") {
            Some(policy) => {
                policy.spec.suspend = None;
                policy.spec.time_zone = None;
                policy.metadata.generation = policy.metadata.generation.map(|g| g + 1);
                policy.metadata.resource_version = Some(version);
            }
            None => {
                let again = policy(&mut self.world, "orders");
                self.world.create_policy(again);
            }
        }
        self.world.policies.changed(self.world.now, "orders");
        // Long enough for a due time of every policy.
        let until = self.world.now + SignedDuration::from_mins(70);
        for _ in 0..20_000 {
            let settled = self.operator.dirty.is_empty() && self.current();
            if settled && self.world.now >= until && self.all_over() {
                return;
            }
            match settled || self.operator.dirty.is_empty() {
                true => self.await_timer(),
                false => self.look(),
            }
        }
        panic!(
            "it never settles: {:?} {:?}",
            self.operator.dirty, self.operator.timers
        );
    }

    fn current(&self) -> bool {
        let w = &self.world;
        w.stores.is_current()
            && w.policies.is_current()
            && w.backups.is_current()
            && w.jobs.is_current()
    }

    fn all_over(&self) -> bool {
        let w = &self.world;
        w.jobs.truth.is_empty() && w.backups.truth.values().all(is_finished)
    }

    /// Looking again, as the clock goes on to the next timer, changes nothing.
    fn at_rest(&mut self) {
        let next = self.operator.timers.values().min().copied();
        let most = SignedDuration::from_mins(10);
        let quiet = next.map_or(most, |at| at.duration_since(self.world.now).min(most));
        for _ in 0..4 {
            let writes = self.world.writes;
            self.operator.wake_all(&self.world);
            for key in std::mem::take(&mut self.operator.dirty) {
                self.operator.reconcile(&mut self.world, &key);
                assert_eq!(
                    self.world.writes, writes,
                    "a settled world was written: {key:?}"
                );
            }
            self.world.now += quiet / 5;
        }
    }

    /// K17, K29: every due time has a Backup, or its policy told that it was skipped, or it passed
    /// while suspended, or a status had no room for more (it has for the newest 50).
    fn no_due_time_is_lost(&self) {
        for policy in self.world.policies.truth.values() {
            let valid = validate(policy, &self.world.settings).unwrap();
            let created = valid.created.unwrap();
            let uid = policy.uid().unwrap();
            let end = earlier(self.world.now, valid.spread);
            let next = |after| valid.tiers.next(&valid.zone, after).first().map(|d| d.at);
            let dues: Vec<Timestamp> = std::iter::successors(next(created), |due| next(*due))
                .take_while(|due| *due <= end)
                .collect();
            let answered = self
                .operator
                .answered
                .get(&uid)
                .cloned()
                .unwrap_or_default();
            let mut excused: BTreeSet<Timestamp> = BTreeSet::new();
            for passed in self.operator.passed.get(&uid).into_iter().flatten() {
                let over = dues.iter().rev();
                let over = over.filter(|due| **due > passed.after && **due < passed.until);
                excused.extend(over.skip(passed.told));
            }
            for due in dues {
                assert!(
                    answered.contains(&due) || excused.contains(&due),
                    "the due time {due} (starts {}) was lost; created {created}, newest decided {:?}",
                    later(due, valid.spread),
                    policy.status.as_ref().and_then(|s| s.last_schedule_time),
                );
            }
        }
    }
}

fn walk(seed: u64) {
    let mut walk = Walk::new(seed);
    for _ in 0..STEPS {
        walk.step();
    }
    walk.calm();
    walk.at_rest();
    walk.no_due_time_is_lost();
    for ((policy, due), count) in &walk.world.manifests {
        assert!(*count <= 1, "P6: {count} backups of {policy} for {due}");
    }
}

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test's own knobs")]
    let text = std::env::var(name).ok()?;
    text.parse().ok()
}

#[test]
fn no_walk_breaks_a_promise() {
    if let Some(seed) = number("LIFEBOAT_SEED") {
        return walk(seed);
    }
    let walks = number("LIFEBOAT_WALKS").unwrap_or(1_000);
    let threads = 4;
    let failed: Vec<String> = std::thread::scope(|scope| {
        let spawn = |thread| {
            scope.spawn(move || {
                (thread..walks).step_by(threads).find_map(|seed| {
                    let result = std::panic::catch_unwind(|| walk(seed));
                    result.err().map(|_| format!("seed {seed}"))
                })
            })
        };
        let all: Vec<_> = (0..4).map(spawn).collect();
        all.into_iter().filter_map(|t| t.join().unwrap()).collect()
    });
    assert!(
        failed.is_empty(),
        "walks that broke: {failed:?}; rerun one with LIFEBOAT_SEED"
    );
}

/// A Backup whose creation no status has noted, as a crash or a conflict leaves it.
#[test]
fn an_unnoted_backup_is_adopted_and_what_was_missed_is_told() {
    let mut policy = fixtures::policy();
    let mut look = |backup: Backup, suspend, last| {
        policy.spec.suspend = Some(suspend);
        let seen = Observed {
            policy: policy.clone(),
            store: None,
            backups: vec![backup],
            drills: Vec::new(),
            shares_with: None,
            check_job: None,
            namespace_terminating: false,
        };
        let valid = validate(&seen.policy, &fixtures::settings()).unwrap();
        let now = fixtures::at("2026-11-21T02:00:30Z");
        let status = BackupPolicyStatus {
            last_schedule_time: last,
            ..BackupPolicyStatus::default()
        };
        owing(&valid, &seen, &status, now)
    };
    let due = fixtures::at("2026-11-21T02:00:00Z");
    for suspend in [false, true] {
        let owing = look(fixtures::scheduled(), suspend, None);
        assert_eq!(owing.answer, Answer::Adopt(due));
        assert_eq!(owing.missed, [fixtures::at("2026-11-20T02:00:00Z")]);
    }
    let wrong = Some(fixtures::at("2030-01-01T00:00:00Z"));
    let owing = look(fixtures::scheduled(), false, wrong);
    assert_eq!((owing.answer, owing.missed), (Answer::Nothing, vec![]));
    let mut other = fixtures::scheduled();
    other.labels_mut().clear();
    let owing = look(other, false, None);
    assert!(matches!(owing.answer, Answer::Collide(at, _) if at.at == due));
}
