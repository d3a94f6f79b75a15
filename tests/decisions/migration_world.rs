//! The small world of one MigrationRun.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::ResourceExt;
use lifeboat::api::backup::BackupBytes;
use lifeboat::api::condition::{Conditions, Truth};
use lifeboat::api::migration_run::{
    MigrationPlan, MigrationStep, PlannedMigration, RunningMigration,
};
use lifeboat::api::restore_drill::{DrillOutcome, Verdict};
use lifeboat::api::{
    Backup, BackupStatus, MigrationApproval, MigrationRun, MigrationRunStatus, Reason,
    RestoreDrillStatus, name,
};
use lifeboat::cluster::decision::{Decision, Effect};
use lifeboat::cluster::seen::{Admission, JobState, SeenJob};
use lifeboat::migration::{decide, validate};
use lifeboat::task::{AppliedResult, DocumentInLog, MigrationResult, RehearsalResult, TaskResult};

use crate::fixtures::{self, at, ended};
use crate::worlds::{SETTINGS, World, after, new_job, now, running};

pub const RUN_UID: &str = "uid-of-index";
pub const PREFIX: &str = "shop.orders/20261121T010000Z-0a1b2c3d4e5f";

/// A run of the policy, created a minute before [`now`], with these fields besides.
pub fn run(name: &str, version: &str, rest: &str) -> MigrationRun {
    serde_saphyr::from_str(&format!(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: MigrationRun
metadata: {{name: {name}, namespace: shop, uid: uid-of-{name}, generation: 1, resourceVersion: '1', creationTimestamp: '2026-11-21T01:59:05Z'}}
spec:
  policyRef: {{name: orders}}
  drillRef: {{name: nightly}}
  credentials: {{secretRef: {{name: migrator}}}}
  requestedBy: ada
  source: {{configMapRef: {{name: files}}}}
  target: {{version: '{version}'}}
  {rest}
"
    ))
    .unwrap()
}

pub const WINDOW: &str = "window: {notAfter: '2026-12-01T00:00:00Z'}";

/// A complete backup whose data is of `data_at`; proven, failed in a drill, or not drilled.
pub fn backup(name: &str, data_at: &str, proven: Truth) -> Backup {
    let mut backup = fixtures::manual(name, data_at);
    let mut conditions = Conditions::new(&[], Some(1), at(data_at));
    conditions.set("Complete", Truth::True, Reason::Succeeded, "complete");
    conditions.set("Ready", Truth::True, Reason::Succeeded, "complete");
    conditions.set("Proven", proven, Reason::Succeeded, "a drill said so");
    backup.status = Some(BackupStatus {
        conditions: conditions.finish(),
        started_at: Some(at(data_at)),
        finished_at: Some(at(data_at)),
        attempt: Some(1),
        prefix: Some(PREFIX.to_owned()),
        bytes: Some(BackupBytes {
            raw: 1_000,
            stored: 300,
        }),
        ..BackupStatus::default()
    });
    backup
}

pub fn document(segments: i64) -> MigrationPlan {
    let file = PlannedMigration {
        version: "7".to_owned(),
        name: "7_orders.sql".to_owned(),
        sha256: "c".repeat(64),
        segments,
    };
    MigrationPlan {
        hash: "a".repeat(64),
        at: now(),
        system_identifier: "7312".to_owned(),
        database: "shop".to_owned(),
        history_at: None,
        history_head: String::new(),
        major: 15,
        segments,
        statements: segments,
        files: if segments == 0 { vec![] } else { vec![file] },
        lines: vec!["7_orders.sql:1 CREATE INDEX".to_owned()],
        findings: Vec::new(),
    }
}

pub fn planned() -> TaskResult {
    let document = DocumentInLog {
        lines: 1,
        sha256: "d".repeat(64),
    };
    said(MigrationResult {
        document: Some(document),
        ..MigrationResult::default()
    })
}

pub fn rehearsed(result: Verdict, evidence: char) -> MigrationResult {
    MigrationResult {
        rehearsal: Some(RehearsalResult {
            result,
            evidence_hash: evidence.to_string().repeat(64),
            key: "migrations/uid-of-index/evidence.json".to_owned(),
            way_back: true,
            locks: vec!["public.orders: SHARE".to_owned()],
        }),
        ..MigrationResult::default()
    }
}

pub fn applied(applied: i64, verified: Option<bool>, begun: bool) -> MigrationResult {
    MigrationResult {
        applied: Some(AppliedResult {
            applied,
            of: 3,
            tries: 2,
            begun,
            partly: false,
            verified,
            differences: Vec::new(),
        }),
        ..MigrationResult::default()
    }
}

pub fn said(migration: MigrationResult) -> TaskResult {
    TaskResult {
        migration: Some(migration),
        ..TaskResult::succeeded("done")
    }
}

pub fn said_but(reason: Reason, migration: MigrationResult) -> TaskResult {
    TaskResult {
        reason,
        ..said(migration)
    }
}

#[derive(Debug, Clone)]
pub struct RunWorld {
    pub seen: decide::Observed,
    /// Names of what was created besides Jobs.
    pub made: Vec<String>,
}

impl RunWorld {
    /// With a proven backup an hour old.
    pub fn of(run: MigrationRun) -> Self {
        let seen = decide::Observed {
            run,
            policy: Some(fixtures::policy()),
            store: Some(fixtures::store()),
            drill: Some(fixtures::drill(
                "nightly",
                "compare: {content: Sample, samplePercent: 5}",
            )),
            gate_drills: Vec::new(),
            backups: vec![backup("orders-1", "2026-11-21T01:00:00Z", Truth::True)],
            approvals: Vec::new(),
            jobs: Vec::new(),
            end: None,
            pods: 0,
            first: None,
            dumping: None,
            admission: Admission::InPlace(at("2026-11-20T00:00:00Z")),
            document: Some(document(3)),
            namespace_terminating: false,
        };
        Self {
            seen,
            made: Vec::new(),
        }
    }

    pub fn new() -> Self {
        Self::of(run("index", "7", WINDOW))
    }

    pub fn running(&self) -> RunningMigration {
        self.status().unwrap().running.clone().unwrap()
    }

    pub fn job(&self) -> String {
        let running = self.running();
        name::migration_job("index", running.step.as_str(), running.attempt)
    }

    /// The Job that is on, in this state.
    pub fn job_is(&mut self, state: JobState) {
        let name = self.job();
        let created = self.seen.jobs.iter().find(|j| j.name == name);
        let created = created.map_or(now(), |j| j.created_at);
        self.seen.jobs.retain(|j| j.name != name);
        self.seen
            .jobs
            .push(fixtures::job(&name, RUN_UID, created, state));
    }

    /// The Job that is on ends so, and all that follows at once.
    pub fn ends(
        &mut self,
        seconds: i64,
        result: Option<TaskResult>,
    ) -> Decision<MigrationRunStatus> {
        self.job_is(running());
        self.look(after(seconds));
        self.job_is(ended(result));
        self.settle(after(seconds))
    }

    /// Planned, with a proven backup, and rehearsed; waits for approval.
    pub fn rehearsed() -> Self {
        Self::new().rehearse()
    }

    pub fn rehearse(mut self) -> Self {
        self.settle(now());
        assert_eq!(self.running().step, MigrationStep::Plan);
        self.ends(10, Some(planned()));
        assert_eq!(self.running().step, MigrationStep::Rehearse);
        self.ends(20, Some(said(rehearsed(Verdict::Passed, 'b'))));
        self
    }

    /// All gates open, its worker in the cluster.
    pub fn applying() -> Self {
        let mut world = Self::rehearsed();
        world.approve("grace");
        world.settle(after(30));
        assert_eq!(world.running().step, MigrationStep::Apply);
        world
    }

    /// Somebody approves what stands in the status, at [`now`], for a day.
    pub fn approve(&mut self, who: &str) -> &mut MigrationApproval {
        let status = self.status().unwrap();
        let evidence = status.rehearsal.as_ref().unwrap().evidence_hash.clone();
        let plan = status.plan.as_ref().unwrap().hash.clone();
        let mut approval: MigrationApproval = serde_saphyr::from_str(&format!(
            "
apiVersion: lifeboat.dev/v1alpha1
kind: MigrationApproval
metadata: {{name: by-{}, namespace: shop, uid: uid-of-approval}}
spec: {{runRef: {{name: index}}, runUid: {RUN_UID}, planHash: {plan}, evidenceHash: {evidence}, approver: '{who}', requestedBy: ada, expires: '2026-11-22T02:00:05Z'}}
",
            who.replace(':', "-")
        ))
        .unwrap();
        approval.metadata.creation_timestamp = Some(Time(now()));
        self.seen.approvals.push(approval);
        self.seen.approvals.last_mut().unwrap()
    }

    pub fn is_deleted(&mut self) {
        self.seen.run.metadata.deletion_timestamp = Some(Time(now()));
    }

    /// The drill that the run made ends so.
    pub fn drill_ends(&mut self, result: Verdict, proves: bool) {
        let drill = self.seen.gate_drills.last_mut().unwrap();
        let outcome = DrillOutcome {
            run: "r".to_owned(),
            due: now(),
            finished_at: now(),
            result,
            reason: if proves { "Succeeded" } else { "Differs" }.to_owned(),
            message: "of the drill".to_owned(),
            proves,
            score: None,
            backup: drill.spec.select.as_ref().and_then(|s| s.backup.clone()),
            prefix: None,
            data_at: None,
            rto: None,
            tables: None,
            mismatches: Vec::new(),
            report_key: None,
        };
        drill.status = Some(RestoreDrillStatus {
            last: Some(outcome),
            ..RestoreDrillStatus::default()
        });
    }
}

impl World for RunWorld {
    const KIND: &str = "MigrationRun";
    type Status = MigrationRunStatus;
    fn decide(&self, now: Timestamp) -> Decision<MigrationRunStatus> {
        let valid = validate::validate(&self.seen.run, &SETTINGS);
        decide::decide(valid.as_ref(), &self.seen, &SETTINGS, now)
    }
    fn status(&self) -> Option<&MigrationRunStatus> {
        self.seen.run.status.as_ref()
    }
    fn set_status(&mut self, status: MigrationRunStatus) {
        self.seen.run.status = Some(status);
    }
    fn meta(&self) -> &ObjectMeta {
        &self.seen.run.metadata
    }
    fn jobs(&self) -> Vec<&SeenJob> {
        self.seen.jobs.iter().collect()
    }
    fn created(&mut self, effect: &Effect, now: Timestamp) {
        match effect {
            Effect::CreateJob { job, .. } => {
                let job = new_job(job, now);
                if self.seen.jobs.iter().all(|j| j.name != job.name) {
                    self.seen.jobs.push(job);
                }
            }
            Effect::CreateBackup { backup, .. } => {
                self.made.push(backup.name_any());
                let mut backup = (**backup).clone();
                backup.metadata.creation_timestamp = Some(Time(now));
                self.seen.backups.push(backup);
            }
            Effect::CreateDrill { drill } => {
                self.made.push(drill.name_any());
                let mut drill = (**drill).clone();
                drill.metadata.uid = Some(format!("uid-of-{}", drill.name_any()));
                self.seen.gate_drills.push(drill);
            }
            Effect::DeleteDrill { uid, .. } => {
                let gone = |d: &lifeboat::api::RestoreDrill| d.uid().as_ref() == Some(uid);
                self.seen.gate_drills.retain(|d| !gone(d));
            }
            Effect::SetFinalizers { finalizers, .. } => {
                self.seen.run.metadata.finalizers = Some(finalizers.clone());
            }
            Effect::DeleteJob { .. }
            | Effect::ApplyNetwork { .. }
            | Effect::DeleteNetwork { .. } => {}
        }
    }
    fn deleted(&mut self, uid: &str) {
        self.seen.jobs.retain(|job| job.uid != uid);
    }
    fn conditions(status: &MigrationRunStatus) -> &[Condition] {
        &status.conditions
    }
}
