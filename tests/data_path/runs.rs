//! A run under test: its plan, where it is stopped, and what it left in the store.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lifeboat::api::backup::BackupReason;
use lifeboat::codec::Limits;
use lifeboat::manifest::{MANIFEST, MAX_MANIFEST_BYTES, Manifest};
use lifeboat::objects::{Depth, ObjectStore, S3, join};
use lifeboat::postgres::content::LineKey;
use lifeboat::postgres::{LockPatience, Observer, Step, Target};
use lifeboat::task::StoreTask;
use lifeboat::work::backup::{Identity, Plan};
use tempfile::TempDir;

use crate::minio::{Minio, PASSWORD, USER};
use crate::pg::{Server, host_bin};

/// Uid of the pod of a first attempt, and of a second.
pub const FIRST: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
pub const SECOND: &str = "1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
/// As the server shows our sessions.
pub const APPLICATION: &str = "lifeboat/data-path";
/// The smallest that S3 takes.
pub const PART: usize = 5 * 1024 * 1024;

/// Parts small enough that a small dump has several.
pub const SMALL_PARTS: Limits = Limits {
    part_bytes: PART,
    parts_per_object: 100,
    parts_in_flight: 2,
};

pub fn identity(pod_uid: &str) -> Identity {
    Identity {
        backup: "shop-20261121t020000z".into(),
        namespace: "shop".into(),
        policy: "shop".into(),
        policy_uid: "9f8e7d6c-0000-4000-8000-000000000000".into(),
        directory: "shop.shop".into(),
        pod_uid: pod_uid.into(),
        tiers: vec!["daily".into()],
        reason: BackupReason::Scheduled,
        due: "2026-11-21T02:00:00Z".parse().unwrap(),
    }
}

/// A plan without encryption; `scratch` lives as long as the run.
pub fn plan(
    target: Target,
    major: i32,
    store: Arc<dyn ObjectStore>,
    pod_uid: &str,
    scratch: &TempDir,
) -> Plan {
    Plan {
        target,
        store,
        recipients: None,
        identity: identity(pod_uid),
        line_key: Some(LineKey::new([7; 32])),
        limits: SMALL_PARTS,
        scratch: PathBuf::from(scratch.path()),
        postgres_folders: vec![host_bin(major)],
        patience: LockPatience::default(),
        application_name: APPLICATION.into(),
    }
}

pub fn store(task: &StoreTask) -> Arc<S3> {
    // A test that waits for a call's end does not wait for minutes.
    let patience = std::time::Duration::from_secs(12);
    Arc::new(S3::from_task(task).unwrap().patient(patience))
}

/// MinIO without anything between.
pub fn direct(minio: &Minio) -> Arc<S3> {
    store(&minio.task(USER, PASSWORD))
}

/// The server over TCP, perhaps through a proxy.
pub fn tcp(server: &Server, dbname: &str, port: u16) -> Target {
    Target {
        host: "127.0.0.1".into(),
        port,
        ..server.target(dbname)
    }
}

/// The manifest of a run, if it left one; every object that it names is there, and whole.
pub async fn manifest(store: &dyn ObjectStore, prefix: &str) -> Option<Manifest> {
    let limit = u64::try_from(MAX_MANIFEST_BYTES).unwrap();
    let bytes = match store.get(&join(prefix, MANIFEST), limit).await {
        Ok(bytes) => bytes,
        Err(error) => {
            assert!(error.is_missing(), "{error}");
            return None;
        }
    };
    let manifest = Manifest::parse(&bytes).unwrap();
    for object in &manifest.objects {
        let bytes = store.head(&join(prefix, &object.name)).await.unwrap();
        assert_eq!(
            bytes.map(|b| i64::try_from(b).unwrap()),
            Some(object.bytes),
            "P1: {} is named and not whole",
            object.name
        );
    }
    Some(manifest)
}

/// Names of what lies under a prefix.
pub async fn names(store: &dyn ObjectStore, prefix: &str) -> Vec<String> {
    let head = format!("{prefix}/");
    let page = store.list(&head, Depth::All, None).await.unwrap();
    let keys = page.objects.into_iter();
    keys.map(|o| o.key[head.len()..].to_owned()).collect()
}

/// Fills a table with bytes that do not compress; as COPY writes them they are twice as many.
pub async fn fill(server: &Server, dbname: &str, mebibytes: u32) {
    let rows = mebibytes * 128;
    server
        .sql(
            dbname,
            &format!(
                "CREATE TABLE noise AS SELECT i, (SELECT string_agg(sha512((i * 1000 + j)::text::bytea), NULL) \
                 FROM generate_series(1, 128) AS j) AS bytes FROM generate_series(1, {rows}) AS i"
            ),
        )
        .await;
}

/// Asks until the answer is `true`, at most half a minute.
pub async fn until(server: &Server, what: &str, sql: &str) {
    let session = server.session("postgres").await;
    let asking = async {
        loop {
            let row = session.client.query_one(sql, &[]).await.unwrap();
            if row.get::<_, bool>(0) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(30), asking).await;
    assert!(asked.is_ok(), "{what}: not within 30 s");
}

/// Does something the first time a step is reached; the run waits for it.
pub struct At<F> {
    step: Step,
    seen: AtomicBool,
    deed: F,
}

impl<F> At<F> {
    pub fn new(step: Step, deed: F) -> Self {
        Self {
            step,
            seen: AtomicBool::new(false),
            deed,
        }
    }

    pub fn seen(&self) -> bool {
        self.seen.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl<F, D> Observer for At<F>
where
    F: Fn() -> D + Send + Sync,
    D: Future<Output = ()> + Send,
{
    async fn reached(&self, step: Step) {
        if step == self.step && !self.seen.swap(true, Ordering::SeqCst) {
            (self.deed)().await;
        }
    }
}
