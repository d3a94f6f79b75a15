//! The backup that stands behind a run (M7): complete, proven, and fresh enough. Pure.
//!
//! A round takes the newest proven backup that is fresh; else it has the newest fresh one drilled; else it has one made first.
//! A round stands in the status before anything is made for it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::backups::{data_at, gate_of, is_proven, is_whole, proven};
use super::decide::Case;
use super::hold::Ready;
use crate::api::backup::{BackupReason, BackupSpec};
use crate::api::condition::{BACKUP_PROVEN, FAILED, PROVEN, READY, STALLED, find, is_true};
use crate::api::migration_run::{MigrationAttempts, MigrationGateStatus};
use crate::api::restore_drill::{BreakGlass, RestoreDrillSpec, Select, Verdict};
use crate::api::shared::LocalRef;
use crate::api::{
    Backup, LABEL_OWNER_UID, LABEL_POLICY_UID, MigrationRunStatus, Reason, RestoreDrill, name,
};
use crate::cluster::decision::{Decision, Effect, Next};
use crate::schedule::{START_LOOK, later};
use crate::workload::owner_of;

/// Rounds of one run: more would not help, for the backup is too old before all is done.
const MAX_ROUNDS: i32 = 5;
/// From the decision to the first statement.
const TO_BEGIN: Duration = Duration::from_secs(120);
/// A Backup says that it is proven so long after its drill at the latest, or the drill was of another one.
const TO_SAY: Duration = Duration::from_secs(300);

type Answer = Result<MigrationRunStatus, Box<Decision<MigrationRunStatus>>>;

impl Case<'_> {
    /// The status with a gate that is proven and leaves time for rehearsing; else what to do for it.
    pub(super) fn gate(&self, old: MigrationRunStatus, ready: &Ready<'_>) -> Answer {
        let Some(gate) = old.gate.clone() else {
            return self.choose(old, ready);
        };
        let backup = self.backup(&gate.backup);
        if let Some(other) = backup.filter(|b| b.spec.policy_ref != self.seen.run.spec.policy_ref) {
            let why = format!(
                "Backup `{}` exists and is not of BackupPolicy `{}`: delete it",
                other.name_any(),
                self.seen.run.spec.policy_ref.name
            );
            return Err(Box::new(self.hold(old, Reason::NameCollision, &why)));
        }
        if backup.is_some_and(is_proven) {
            let status = MigrationRunStatus {
                gate: backup.map(|b| proven(&gate, b)),
                ..old
            };
            return match self.is_fresh(&status, ready, ready.run.max_age / 4) {
                true => Ok(status),
                false => self.choose(status, ready),
            };
        }
        match (gate.proven, &gate.drill) {
            // It was proven, and it is no more, or is gone.
            (true, _) => self.choose(old, ready),
            (false, None) => Err(Box::new(self.backed_up(old, &gate, backup, ready))),
            (false, Some(_)) if backup.is_none() => self.choose(old, ready),
            (false, Some(drill)) => {
                let drill = drill.clone();
                Err(Box::new(self.drilled(old, &gate.backup, &drill, ready)))
            }
        }
    }

    /// Whether the gate still stands for the first statement.
    pub(super) fn stands(&self, old: &MigrationRunStatus, ready: &Ready<'_>) -> bool {
        let gate = old.gate.as_ref();
        let backup = gate.and_then(|g| self.backup(&g.backup));
        // Less than what a backup leaves when it is chosen, or none would ever stand.
        let margin = TO_BEGIN.min(ready.run.max_age / 8);
        backup.is_some_and(is_proven) && self.is_fresh(old, ready, margin)
    }

    /// Begins another round: the rehearsal that is there is of another backup then.
    pub(super) fn renew(
        &self,
        old: MigrationRunStatus,
        ready: &Ready<'_>,
    ) -> Decision<MigrationRunStatus> {
        match self.choose(old, ready) {
            Ok(status) => self.under(status, Reason::Pending, "another backup is rehearsed on"),
            Err(decision) => *decision,
        }
    }

    fn backup(&self, name: &str) -> Option<&Backup> {
        self.seen.backups.iter().find(|b| b.name_any() == name)
    }

    fn is_fresh(&self, status: &MigrationRunStatus, ready: &Ready<'_>, margin: Duration) -> bool {
        let data_at = status.gate.as_ref().and_then(|g| g.data_at);
        data_at.is_some_and(|at| self.leaves(at, ready.run.max_age, margin))
            && data_at > self.changed_at(status)
    }

    /// When the history was written last, or the database changed by hand as the spec says. A backup from before that lacks it:
    /// what is rehearsed there is not what will happen.
    fn changed_at(&self, status: &MigrationRunStatus) -> Option<Timestamp> {
        let by_hand = self.seen.run.spec.gate.as_ref().and_then(|g| g.data_after);
        let migrated = status.plan.as_ref().and_then(|p| p.history_at);
        migrated.max(by_hand)
    }

    fn leaves(&self, data_at: Timestamp, max_age: Duration, margin: Duration) -> bool {
        data_at <= self.now && later(self.now, margin) < later(data_at, max_age)
    }

    /// A new round: writes down which backup, and what has to be made.
    fn choose(&self, old: MigrationRunStatus, ready: &Ready<'_>) -> Answer {
        let attempts = Self::attempts(&old);
        let round = attempts.gate.saturating_add(1);
        if round > MAX_ROUNDS {
            let why = format!(
                "{MAX_ROUNDS} backups grew older than spec.gate.maxAge, or were gone, before the first statement: allow more with spec.gate.maxAge"
            );
            return Err(Box::new(self.fail(
                old,
                Some(BACKUP_PROVEN),
                Reason::GateExpired,
                &why,
            )));
        }
        let fresh = |b: &&Backup| {
            let margin = ready.run.max_age / 4;
            is_whole(b) && data_at(b).is_some_and(|at| self.leaves(at, ready.run.max_age, margin))
        };
        let last = self.changed_at(&old);
        if let Some(at) = last.filter(|at| *at > self.now) {
            let why = format!(
                "before {at} no backup is younger than spec.gate.dataAfter, or than the last migration by the database's clock"
            );
            return Err(Box::new(self.waits(old, at, Reason::Pending, &why)));
        }
        let younger = |b: &&Backup| data_at(b) > last;
        let ours = |b: &&Backup| {
            b.spec.policy_ref == self.seen.run.spec.policy_ref
                && old.refused_backup != Some(b.name_any())
        };
        let backups = || {
            self.seen
                .backups
                .iter()
                .filter(ours)
                .filter(fresh)
                .filter(younger)
        };
        let newest =
            |a: &&Backup, b: &&Backup| (data_at(a), a.name_any()).cmp(&(data_at(b), b.name_any()));
        let good = backups().filter(|b| is_proven(b)).max_by(newest);
        let failed = |b: &&Backup| {
            let conditions = b.status.as_ref().map(|s| s.conditions.as_slice());
            let proven = conditions.and_then(|c| find(c, PROVEN));
            proven.is_some_and(|c| c.status == "False")
        };
        let asked = name::gate(&self.seen.run.name_any(), round);
        let unknown = backups().filter(|b| !failed(b)).max_by(newest);
        let (gate, why) = match (good, unknown) {
            (Some(backup), _) => {
                let gate = gate_of(backup);
                (
                    MigrationGateStatus {
                        proven: true,
                        ..gate
                    },
                    "it is proven".to_owned(),
                )
            }
            (None, Some(backup)) => {
                let why = format!("RestoreDrill `{asked}` is to prove it");
                let gate = gate_of(backup);
                (
                    MigrationGateStatus {
                        drill: Some(asked),
                        ..gate
                    },
                    why,
                )
            }
            (None, None) => {
                let gate = MigrationGateStatus {
                    backup: asked,
                    prefix: None,
                    data_at: None,
                    drill: None,
                    proven: false,
                };
                (
                    gate,
                    "it is to be made: no other is fresh enough".to_owned(),
                )
            }
        };
        let why = format!("Backup `{}`: {why}", gate.backup);
        let is_proven = gate.proven;
        let status = MigrationRunStatus {
            gate: Some(gate),
            attempts: Some(MigrationAttempts {
                gate: round,
                ..attempts
            }),
            ..old
        };
        match is_proven {
            true => Ok(status),
            false => Err(Box::new(self.soon(status, Vec::new(), &why))),
        }
    }

    /// Has the backup made, and then drilled.
    fn backed_up(
        &self,
        old: MigrationRunStatus,
        gate: &MigrationGateStatus,
        backup: Option<&Backup>,
        ready: &Ready<'_>,
    ) -> Decision<MigrationRunStatus> {
        let name = &gate.backup;
        let Some(backup) = backup else {
            let policy_uid = ready.policy.uid().unwrap_or_default();
            let effect = Effect::CreateBackup {
                backup: Box::new(self.new_backup(name, &policy_uid)),
                policy_uid,
            };
            return self.soon(old, vec![effect], &format!("Backup `{name}` is being made"));
        };
        if is_whole(backup) {
            let drill = name::gate(&self.seen.run.name_any(), Self::attempts(&old).gate);
            let why = format!("Backup `{name}` is made, RestoreDrill `{drill}` is to prove it");
            let gate = MigrationGateStatus {
                drill: Some(drill),
                ..gate_of(backup)
            };
            let status = MigrationRunStatus {
                gate: Some(gate),
                ..old
            };
            return self.soon(status, Vec::new(), &why);
        }
        let conditions = backup.status.as_ref().map(|s| s.conditions.as_slice());
        let conditions = conditions.unwrap_or_default();
        let ready = find(conditions, READY);
        let said = ready.map_or("it has not begun", |c| c.message.as_str());
        if is_true(conditions, FAILED) {
            let reason = ready.and_then(|c| Reason::parse(&c.reason));
            let why = format!("Backup `{name}` failed: {said}");
            let reason = reason.unwrap_or(Reason::Unknown);
            return self.fail(old, Some(BACKUP_PROVEN), reason, &why);
        }
        self.under(
            old,
            Reason::Running,
            &format!("waits for Backup `{name}`: {said}"),
        )
    }

    /// Has the backup drilled. Its own condition says in the end whether it is proven.
    fn drilled(
        &self,
        old: MigrationRunStatus,
        backup: &str,
        name: &str,
        ready: &Ready<'_>,
    ) -> Decision<MigrationRunStatus> {
        let Some(drill) = self.seen.gate_drills.iter().find(|d| d.name_any() == name) else {
            let drill = Box::new(self.new_drill(ready.drill, name, backup));
            let why = format!("RestoreDrill `{name}` is to prove Backup `{backup}`");
            return self.soon(old, vec![Effect::CreateDrill { drill }], &why);
        };
        if !self.is_ours(drill) {
            let why =
                format!("RestoreDrill `{name}` exists and is not of this run: delete or rename it");
            return self.hold(old, Reason::NameCollision, &why);
        }
        let status = drill.status.clone().unwrap_or_default();
        if let Some(last) = &status.last {
            let said = format!(
                "RestoreDrill `{name}` of Backup `{backup}`: {}",
                last.message
            );
            let until = later(last.finished_at, TO_SAY);
            let reason = match last.result {
                Verdict::Passed if last.proves && self.now < until => {
                    let why = format!("{said}; the Backup is about to say so");
                    return self.waits(old, until, Reason::Running, &why);
                }
                Verdict::Passed => Reason::DrillInconclusive,
                Verdict::Failed => Reason::DrillFailed,
                Verdict::Inconclusive => {
                    Reason::parse(&last.reason).unwrap_or(Reason::DrillInconclusive)
                }
            };
            return self.fail(old, Some(BACKUP_PROVEN), reason, &said);
        }
        let conditions = &status.conditions;
        let said = find(conditions, READY).map_or("it has not begun", |c| c.message.as_str());
        let why = format!("waits for RestoreDrill `{name}` of Backup `{backup}`: {said}");
        let stalled = find(conditions, STALLED).filter(|c| c.status == "True");
        match stalled.and_then(|c| Reason::parse(&c.reason)) {
            Some(reason) => self.hold(old, reason, &why),
            None => self.under(old, Reason::Running, &why),
        }
    }

    fn soon(
        &self,
        status: MigrationRunStatus,
        effects: Vec<Effect>,
        why: &str,
    ) -> Decision<MigrationRunStatus> {
        Decision {
            effects,
            next: Next::At(later(self.now, START_LOOK)),
            ..self.under(status, Reason::Running, why)
        }
    }

    /// As a person would make one, so that it stands in line with all others of the policy.
    fn new_backup(&self, name: &str, policy_uid: &str) -> Backup {
        let labels = [
            (LABEL_POLICY_UID, policy_uid.to_owned()),
            (LABEL_OWNER_UID, self.seen.run.uid().unwrap_or_default()),
        ];
        Backup {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: self.seen.run.namespace(),
                labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
                ..ObjectMeta::default()
            },
            spec: BackupSpec {
                policy_ref: LocalRef {
                    name: self.seen.run.spec.policy_ref.name.clone(),
                },
                tiers: Vec::new(),
                scheduled_time: None,
                reason: BackupReason::PreMigration,
                pin: None,
            },
            status: None,
        }
    }

    /// The named drill, once, of this backup, and everything of it: with less nothing is proven.
    fn new_drill(&self, like: &RestoreDrill, name: &str, backup: &str) -> RestoreDrill {
        let uid = self.seen.run.uid().unwrap_or_default();
        RestoreDrill {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: self.seen.run.namespace(),
                labels: Some([(LABEL_OWNER_UID.to_owned(), uid)].into()),
                owner_references: Some(vec![owner_of(&self.seen.run)]),
                ..ObjectMeta::default()
            },
            spec: RestoreDrillSpec {
                schedule: None,
                select: Some(Select {
                    backup: Some(backup.to_owned()),
                    ..Select::default()
                }),
                compare: None,
                suspend: None,
                history: None,
                // It says nothing of this backup that the drill itself does not, and a migration waits.
                break_glass: Some(BreakGlass::Never),
                ..like.spec.clone()
            },
            status: None,
        }
    }
}
