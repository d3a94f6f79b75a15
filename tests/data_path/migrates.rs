//! A migration from its files to the history: planned, rehearsed on a proven backup, applied, held against the rehearsal (M7, M8, M24).

use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;
use lifeboat::api::Reason;
use lifeboat::api::backup_policy::{DatabaseKeys, TlsMode};
use lifeboat::api::migration_run::MigrationRunSpec;
use lifeboat::manifest::Evidence;
use lifeboat::objects::{Depth, ObjectStore};
use lifeboat::postgres::Silent;
use lifeboat::postgres::migrate::{Acting, Worker};
use lifeboat::task::{
    AppliedResult, ApplyTask, DatabaseTask, MigrationTask, SettleTask, StepTask, TASK_VERSION,
    Task, TaskResult, Work,
};
use lifeboat::work::drill::{Place as ServerPlace, run as drill};
use lifeboat::work::migration::{Login, Rehearsal, Wanted, documents, rehearse};
use lifeboat::work::{Place, proof, run};
use rstest::rstest;
use tempfile::TempDir;

use crate::drills::{Folders, backed_up, drill_plan};
use crate::minio::{self, PASSWORD, USER};
use crate::pg::{Server, host_bin};
use crate::runs::{FIRST, SECOND, direct};
use crate::s3_server::secret;

pub const UID: &str = "7b7b7b7b-0000-4000-8000-000000000009";
const MAJOR: i32 = 15;
const SHOP: &str = "\
    CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE shop TO app; GRANT ALL ON SCHEMA public TO app; SET ROLE app; \
    CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL); INSERT INTO orders SELECT g, g FROM generate_series(1, 50) AS g; \
    RESET ROLE";
/// Two files, of which the second makes an index outside transactions.
pub const FILES: &[(&str, &str)] = &[
    ("1_note.sql", "ALTER TABLE orders ADD COLUMN note text"),
    ("1_note.sql.down", "ALTER TABLE orders DROP COLUMN note"),
    (
        "2_index.sql",
        "CREATE INDEX CONCURRENTLY orders_total ON orders (total)",
    ),
    ("2_index.sql.down", "DROP INDEX CONCURRENTLY orders_total"),
];

/// Production, a proven backup of it, and the folders that a pod would have.
pub struct Shop {
    pub server: Server,
    minio: minio::Minio,
    dir: TempDir,
    pub at: String,
    pub spec: MigrationRunSpec,
}

fn spec() -> MigrationRunSpec {
    serde_saphyr::from_str(
        "
policyRef: {name: shop}
drillRef: {name: weekly}
credentials: {secretRef: {name: migrator}}
requestedBy: bob
source: {configMapRef: {name: files}}
target: {version: '2'}
history: {baseline: '0'}
window: {notAfter: '2099-01-01T00:00:00Z'}
checks:
  pre: [{name: has-orders, sql: SELECT count(*) > 0 FROM orders}]
  post:
    - {name: index, index: public.orders_total}
    - {name: as-many, sql: SELECT count(*) FROM orders, maxDriftPercent: 10}
",
    )
    .unwrap()
}

impl Shop {
    pub async fn new(files: &[(&str, &str)]) -> Self {
        Self::with(files, "SELECT 1").await
    }

    /// With more done before the backup.
    pub async fn with(files: &[(&str, &str)], more: &str) -> Self {
        let server = Server::start(MAJOR, &[]);
        server.database("shop", "TEMPLATE template0").await;
        server.sql("shop", SHOP).await;
        server.sql("shop", more).await;
        let minio = minio::start().await;
        let made = backed_up(&server, "shop", MAJOR, &minio, None).await;
        let shop = Self {
            server,
            minio,
            dir: tempfile::tempdir().unwrap(),
            at: made.prefix,
            spec: spec(),
        };
        let target = shop.server.target("shop");
        for (name, user) in [("database", target.user.as_str()), ("login", "app")] {
            std::fs::create_dir(shop.folder(name)).unwrap();
            let keys = [
                ("host", target.host.as_str()),
                ("port", &target.port.to_string()),
                ("user", user),
                ("password", "unused"),
                ("dbname", "shop"),
            ];
            secret(&shop.folder(name), &keys);
        }
        std::fs::create_dir(shop.folder("source")).unwrap();
        for (name, text) in files {
            std::fs::write(shop.folder("source").join(name), text).unwrap();
        }
        shop
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn store(&self) -> Arc<dyn ObjectStore> {
        direct(&self.minio)
    }

    pub async fn prove(&self) {
        let folders = Folders::new();
        let plan = drill_plan(self.store(), &self.at, MAJOR, &folders);
        let drilled = drill(&plan, &Silent).await.unwrap();
        assert!(drilled.proof.proves);
        proof::write(plan.store.as_ref(), &drilled.at, &drilled.proof)
            .await
            .unwrap();
    }

    fn task(&self, step: StepTask) -> MigrationTask {
        let dir = |name: &str| self.folder(name).to_str().unwrap().to_owned();
        MigrationTask {
            namespace: "shop".to_owned(),
            run: "add-note".to_owned(),
            run_uid: UID.to_owned(),
            spec: self.spec.clone(),
            database: DatabaseTask {
                secret_name: "shop-db".to_owned(),
                dir: dir("database"),
                keys: DatabaseKeys::default(),
                host: None,
                port: None,
                name: None,
                user: None,
                tls_mode: Some(TlsMode::Disable),
                ca: None,
            },
            login_secret: "migrator".to_owned(),
            login_dir: dir("login"),
            source_dir: dir("source"),
            store: self.minio.task(USER, PASSWORD),
            step,
        }
    }

    pub async fn step(&self, step: StepTask, pod: &str) -> TaskResult {
        let scratch = tempfile::tempdir().unwrap();
        let place = Place {
            scratch: scratch.path().to_owned(),
            postgres_folders: vec![host_bin(MAJOR)],
            pod_uid: pod.to_owned(),
        };
        let task = Task {
            version: TASK_VERSION,
            deadline_seconds: 600,
            work: Work::Migration(Box::new(self.task(step))),
        };
        let text = task.to_env().unwrap();
        run(Task::from_env(&text).unwrap(), &place).await
    }

    /// Hash of the one plan in the store.
    pub async fn planned(&self) -> String {
        let result = self.step(StepTask::Plan, FIRST).await;
        assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
        let store = self.store();
        let page = store.list("migrations/plans/", Depth::All, None).await;
        let keys = page.unwrap().objects;
        let name = keys.last().unwrap().key.rsplit('/').next().unwrap();
        name.trim_end_matches(".json").to_owned()
    }

    /// As the Job does it, with a server of its own.
    pub async fn rehearsed(&self, hash: &str) -> Evidence {
        let store = self.store();
        let frozen = documents::plan(store.as_ref(), hash, &self.spec)
            .await
            .unwrap();
        let folders = Folders::new();
        let rehearsal = Rehearsal {
            files: documents::files(store.as_ref(), &frozen).await.unwrap(),
            store: store.clone(),
            identities: None,
            at: self.at.clone(),
            wanted: Wanted::Frozen(frozen.plan),
            login: Login {
                name: frozen.login,
                roles: frozen.roles,
            },
            rights: frozen.rights,
            rights_at: frozen.at,
            surroundings: frozen.surroundings,
            acting: Acting {
                role: None,
                search_path: "public".to_owned(),
            },
            worker: Worker {
                run_uid: UID.to_owned(),
                run: "shop/add-note".to_owned(),
                attempt: FIRST.to_owned(),
                plan_hash: hash.to_owned(),
                approved_by: Vec::new(),
                backup: "shop-1".to_owned(),
            },
            baseline: Some("0".to_owned()),
            supabase: false,
            checks: self.spec.checks.clone().unwrap(),
            parameters: std::collections::BTreeMap::new(),
            locales: Vec::new(),
            image: String::new(),
            server: ServerPlace::Here(folders.socket()),
            volume: folders.volume(),
            scratch: folders.scratch(),
            postgres_folders: vec![host_bin(MAJOR)],
        };
        let evidence = rehearse(&rehearsal, &Silent).await.unwrap();
        let key = documents::evidence_key(UID, "one");
        documents::keep_evidence(store.as_ref(), &key, &evidence)
            .await
            .unwrap();
        evidence
    }

    pub fn apply(&self, hash: &str, evidence: &Evidence) -> ApplyTask {
        ApplyTask {
            plan_hash: hash.to_owned(),
            evidence_hash: evidence.hash(),
            evidence_key: documents::evidence_key(UID, "one"),
            backup: "shop-1".to_owned(),
            prefix: self.at.clone(),
            max_age_seconds: 3_600,
            approved_by: vec!["alice".to_owned()],
            closes_at: lifeboat::work::clock::now() + SignedDuration::from_hours(1),
            yields_at: None,
        }
    }

    pub async fn columns(&self) -> i64 {
        self.count("SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped")
            .await
    }

    async fn count(&self, sql: &str) -> i64 {
        let session = self.server.session("shop").await;
        session.client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

pub fn applied(result: &TaskResult) -> &AppliedResult {
    let migration = result.migration.as_ref();
    let applied = migration.and_then(|m| m.applied.as_ref());
    applied.unwrap_or_else(|| panic!("{result:?}"))
}

/// M7, M8, M24: from files to a history, and every gate on the way.
#[tokio::test(flavor = "multi_thread")]
async fn m7_a_migration_is_applied_behind_one_and_the_same_backup() {
    let shop = Shop::new(FILES).await;
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    let passed = lifeboat::api::restore_drill::Verdict::Passed;
    assert_eq!(seen.result, passed, "{seen:#?}");
    assert_eq!(seen.checks.len(), 3);
    let step = shop.apply(&hash, &seen);
    let pods = std::sync::atomic::AtomicU32::new(0);
    // No pod begins twice.
    let pod = || {
        let n = pods.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("{n:08}-0000-4000-8000-000000000000")
    };
    let refused = async |step: ApplyTask, says: &str| {
        let result = shop.step(StepTask::Apply(Box::new(step)), &pod()).await;
        assert_eq!(shop.columns().await, 2, "nothing is touched");
        assert!(result.message.contains(says), "{}", result.message);
        result.reason
    };
    let expired = Reason::GateExpired;
    assert_eq!(refused(step.clone(), "no drill has proven").await, expired);
    shop.prove().await;
    let old = ApplyTask {
        max_age_seconds: 0,
        ..step.clone()
    };
    assert_eq!(refused(old, "spec.gate.maxAge").await, expired);
    let other = ApplyTask {
        evidence_hash: "0".repeat(64),
        ..step.clone()
    };
    assert_eq!(
        refused(other, "not the rehearsal that was approved").await,
        expired
    );
    let gone = ApplyTask {
        prefix: "shop.shop/gone".to_owned(),
        ..step.clone()
    };
    assert_eq!(refused(gone, "there is no backup").await, expired);
    let late = ApplyTask {
        closes_at: lifeboat::work::clock::now() - SignedDuration::from_secs(1),
        ..step.clone()
    };
    assert_eq!(refused(late, "window").await, Reason::WindowClosed);
    // Production is not what it was any more.
    shop.server
        .sql(
            "shop",
            "CREATE INDEX by_hand ON orders (id); ALTER TABLE orders ALTER total DROP NOT NULL",
        )
        .await;
    let changed = refused(step.clone(), "production is not as it was").await;
    assert_eq!(changed, Reason::NotAsRehearsed);
    shop.server
        .sql(
            "shop",
            "DROP INDEX by_hand; ALTER TABLE orders ALTER total SET NOT NULL",
        )
        .await;
    shop.server
        .sql("shop", "CREATE TABLE elsewhere (id int)")
        .await;

    let result = shop
        .step(StepTask::Apply(Box::new(step.clone())), &pod())
        .await;
    assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
    let done = applied(&result);
    assert_eq!((done.applied, done.of, done.verified), (2, 2, Some(true)));
    assert_eq!(shop.columns().await, 3);
    let by = "SELECT count(*) FROM lifeboat.migration_history WHERE approved_by = '{alice}' AND backup = 'shop-1' AND state = 'done'";
    assert_eq!(shop.count(by).await, 3, "two segments and the baseline");
    // Another pod of the same run finds nothing to do; one that settles says what stands.
    let again = shop.step(StepTask::Apply(Box::new(step)), &pod()).await;
    assert_eq!(again.reason, Reason::Succeeded, "{}", again.message);
    let settle = SettleTask {
        plan_hash: hash,
        evidence_key: None,
        evidence_hash: None,
    };
    let settled = shop.step(StepTask::Settle(Box::new(settle)), SECOND).await;
    assert_eq!(applied(&settled).applied, 2, "{}", settled.message);
    assert!(!applied(&settled).begun);
}

/// M13: what is applied stands, and the run says that it is not what was wanted.
#[tokio::test(flavor = "multi_thread")]
async fn m8_a_check_that_fails_on_production_alone_holds_the_run() {
    let mut shop = Shop::new(FILES).await;
    let mut checks = shop.spec.checks.clone().unwrap();
    checks.post[0].index = None;
    checks.post[0].sql = Some("SELECT NOT EXISTS (SELECT FROM orders WHERE id = 1000)".to_owned());
    shop.spec.checks = Some(checks);
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    shop.prove().await;
    // Newer than the backup.
    shop.server
        .sql("shop", "INSERT INTO orders VALUES (1000, 1)")
        .await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let result = shop.step(step, FIRST).await;
    assert_eq!(result.reason, Reason::CheckFailed, "{}", result.message);
    let done = applied(&result);
    assert_eq!((done.applied, done.of, done.verified), (2, 2, Some(false)));
    assert_eq!(shop.columns().await, 3);
}

/// A statement that only production's newer rows refuse: what is applied is told.
#[tokio::test(flavor = "multi_thread")]
async fn m22_rows_that_are_newer_than_the_backup_are_an_expected_end() {
    let files = [
        FILES[0],
        FILES[1],
        (
            "2_unique.sql",
            "CREATE UNIQUE INDEX CONCURRENTLY orders_total ON orders (total)",
        ),
        ("2_unique.sql.down", "DROP INDEX CONCURRENTLY orders_total"),
    ];
    let shop = Shop::new(&files).await;
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    shop.prove().await;
    shop.server
        .sql("shop", "INSERT INTO orders VALUES (1000, 1)")
        .await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let result = shop.step(step, FIRST).await;
    assert_eq!(result.reason, Reason::StatementFailed, "{}", result.message);
    assert!(
        result.message.contains("SQLSTATE 23505"),
        "{}",
        result.message
    );
    assert_eq!((applied(&result).applied, applied(&result).of), (1, 2));
    assert!(!applied(&result).begun);
    let left = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(shop.count(left).await, 0, "nothing invalid is left");
}

/// What is refused before anything is kept or touched.
#[rstest]
#[case::no_files(&[], Reason::SourceMissing, "ConfigMap files")]
#[case::a_syntax_error_in_the_third(
    &[("1_a.sql", "SELECT 1"), ("2_b.sql", "SELECT 1"), ("3_c.sql", "CREATE TABEL x (id int)")],
    Reason::InvalidSpec, "3_c.sql"
)]
#[case::what_the_lint_stops(&[("2_a.sql", "ALTER TABLE orders DROP COLUMN total")],  Reason::LintBlocked, "spec.lint.acknowledge: [{rule: LB")]
#[case::too_much(&[("2_a.sql", "")], Reason::InvalidSpec, "KiB")]
#[case::a_target_that_nobody_has(&[("1_a.sql", "SELECT 1")], Reason::InvalidSpec, "spec.target.version")]
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_plan_that_cannot_be_made_says_why(
    #[case] files: &[(&str, &str)],
    #[case] reason: Reason,
    #[case] says: &str,
) {
    let mut shop = Shop::new(files).await;
    if reason == Reason::InvalidSpec && files.len() == 3 {
        "3".clone_into(&mut shop.spec.target.version);
    }
    if says == "KiB" {
        let seeds = "SELECT 1;\n".repeat(500_000);
        std::fs::write(shop.folder("source").join("2_a.sql"), seeds).unwrap();
    }
    let result = shop.step(StepTask::Plan, FIRST).await;
    assert_eq!(result.reason, reason, "{}", result.message);
    assert!(result.message.contains(says), "{}", result.message);
    let page = shop.store().list("migrations/", Depth::All, None).await;
    assert!(page.unwrap().objects.is_empty());
}
