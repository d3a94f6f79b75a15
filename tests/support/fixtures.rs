//! Objects that tests of decisions start from.

#![allow(dead_code)]

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lifeboat::api::restore_drill::{DrilledTables, Rto, Verdict};
use lifeboat::api::{Backup, BackupPolicy, BackupStore, RestoreDrill};
use lifeboat::cluster::seen::{JobState, SeenJob};
use lifeboat::task::{BackupResult, DrillResult, ProbeResult, Retry, TaskResult};
use lifeboat::workload::Settings;

pub const POLICY_UID: &str = "7b7b7b7b-0000-4000-8000-000000000002";
pub const STORE_UID: &str = "5a5a5a5a-0000-4000-8000-000000000001";
pub const POD_UID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn settings() -> Settings {
    serde_saphyr::from_str(
        "
image: registry.example/lifeboat:0.1.0
imagePullPolicy: IfNotPresent
postgresImage: docker.io/library/postgres:{major}
allowedImages: ['docker.io/*', 'registry.example/*']
defaultMajor: 17
approval: None
runAsUser: 65532
fsGroup: 65532
resources:
  requests: {cpu: 100m, memory: 256Mi}
  limits: {cpu: '2', memory: 512Mi}
",
    )
    .unwrap()
}

pub fn store() -> BackupStore {
    serde_saphyr::from_str(&format!(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: BackupStore
metadata: {{name: primary, namespace: shop, uid: {STORE_UID}, generation: 1, resourceVersion: '1', creationTimestamp: '2026-11-20T00:00:00Z'}}
spec:
  s3: {{bucket: backups, endpoint: https://minio.example:9000}}
  credentials: {{writer: {{secretRef: {{name: s3-writer}}}}}}
  encryption: {{recipients: [age17elg29sfl4nawfd6vc7d7wem6ld0nazfchu8d2v6edmfyv459pvsttejuv]}}
"
    ))
    .unwrap()
}

/// Created at midnight, daily at 02:00 without spread.
pub fn policy() -> BackupPolicy {
    serde_saphyr::from_str(&format!(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: BackupPolicy
metadata: {{name: orders, namespace: shop, uid: {POLICY_UID}, generation: 1, resourceVersion: '1', creationTimestamp: '2026-11-20T00:00:00Z'}}
spec:
  database: {{secretRef: {{name: shop-db}}}}
  storeRef: {{name: primary}}
  spread: 0s
  tiers:
    - {{name: daily, cron: '0 2 * * *'}}
"
    ))
    .unwrap()
}

/// A Backup that a person made at `created`.
pub fn manual(name: &str, created: &str) -> Backup {
    let mut backup: Backup = serde_saphyr::from_str(&format!(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {{name: {name}, namespace: shop, uid: uid-of-{name}, generation: 1, resourceVersion: '1'}}
spec: {{policyRef: {{name: orders}}}}
"
    ))
    .unwrap();
    backup.metadata.creation_timestamp = Some(Time(at(created)));
    backup
}

/// The Backup that the policy makes for 02:00.
pub fn scheduled() -> Backup {
    let mut backup: Backup = serde_saphyr::from_str(&format!(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata:
  name: orders-20261121t0200z
  namespace: shop
  uid: uid-of-scheduled
  generation: 1
  resourceVersion: '1'
  labels: {{lifeboat.dev/policy-uid: {POLICY_UID}}}
spec: {{policyRef: {{name: orders}}, tiers: [daily], scheduledTime: '2026-11-21T02:00:00Z', reason: Scheduled}}
"
    ))
    .unwrap();
    backup.metadata.creation_timestamp = Some(Time(at("2026-11-21T02:00:00Z")));
    backup
}

/// A drill of the policy, created an hour before 02:00:05, with these fields besides.
pub fn drill(name: &str, spec: &str) -> RestoreDrill {
    serde_saphyr::from_str(&format!(
        "
apiVersion: lifeboat.dev/v1alpha1
kind: RestoreDrill
metadata: {{name: {name}, namespace: shop, uid: uid-of-{name}, generation: 1, resourceVersion: '1', creationTimestamp: '2026-11-21T01:00:05Z'}}
spec:
  policyRef: {{name: orders}}
  identityRef: {{name: age-key}}
  {spec}
"
    ))
    .unwrap()
}

/// What a worker says of a backup that came back as it was.
pub fn equal() -> DrillResult {
    DrillResult {
        result: Verdict::Passed,
        proves: true,
        score: Some(100),
        backup: Some("orders-20261121t0100z".to_owned()),
        prefix: Some("shop.orders/20261121T010000Z-0a1b2c3d4e5f".to_owned()),
        data_at: Some(at("2026-11-21T01:00:20Z")),
        rto: Some(Rto {
            provision: 20,
            fetch: 30,
            restore: 50,
            verify: 40,
            total: 100,
        }),
        tables: Some(DrilledTables {
            compared: 5,
            equal: 5,
        }),
        isolated: None,
        break_glass: None,
        reported: true,
        mismatches: Vec::new(),
    }
}

pub fn passed() -> TaskResult {
    TaskResult {
        drill: Some(equal()),
        ..TaskResult::succeeded("5 tables came back as they were")
    }
}

pub fn differs() -> TaskResult {
    TaskResult {
        drill: Some(DrillResult {
            result: Verdict::Failed,
            proves: false,
            score: Some(49),
            mismatches: vec!["public.orders: 5 rows, 4 came back".to_owned()],
            ..equal()
        }),
        ..failure(lifeboat::api::Reason::Differs, Retry::Never)
    }
}

pub fn job(name: &str, owner_uid: &str, created: Timestamp, state: JobState) -> SeenJob {
    SeenJob {
        name: name.to_owned(),
        uid: format!("uid-of-{name}"),
        owner_uid: owner_uid.to_owned(),
        created_at: created,
        state,
    }
}

pub fn ended(result: Option<TaskResult>) -> JobState {
    JobState::Ended {
        why: if result.is_some() {
            String::new()
        } else {
            "exit code 137".to_owned()
        },
        result: result.map(Box::new),
        pod_uid: Some(POD_UID.to_owned()),
    }
}

pub fn success() -> TaskResult {
    TaskResult {
        backup: Some(BackupResult {
            pod_uid: POD_UID.to_owned(),
            raw_bytes: 1_000,
            stored_bytes: 300,
            tables: 5,
            rows: 336_776,
            data_at: None,
            lsn: Some("0/16B3748".to_owned()),
            server_version: "17.2".to_owned(),
            database_name: "shop".to_owned(),
        }),
        ..TaskResult::succeeded("5 tables, 336776 rows")
    }
}

pub fn probed() -> TaskResult {
    TaskResult {
        probe: Some(ProbeResult {
            credentials_valid: Some(true),
            writable: Some(true),
            conditional_writes: Some(true),
            list: Some(false),
            delete: Some(false),
        }),
        ..TaskResult::succeeded("the store takes backups")
    }
}

pub fn failure(reason: lifeboat::api::Reason, retry: Retry) -> TaskResult {
    TaskResult::failed(reason, retry, format!("for the test: {reason}"))
}
