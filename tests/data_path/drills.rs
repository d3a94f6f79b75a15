//! Drills on real servers: what passes, what fails and why, and that the scratch server is gone afterwards.

use std::path::PathBuf;
use std::sync::Arc;

use lifeboat::api::restore_drill::{Check, Compare, DrillMode, Select, Verdict};
use lifeboat::codec::Identities;
use lifeboat::manifest::{Manifest, Proof};
use lifeboat::objects::ObjectStore;
use lifeboat::postgres::Silent;
use lifeboat::work::backup::make;
use lifeboat::work::drill::{Drilled, Place, Plan, run as drill};
use lifeboat::work::pick::Choice;
use rstest::rstest;
use tempfile::TempDir;

use crate::minio;
use crate::pg::{Server, host_bin, run};
use crate::runs::{FIRST, direct, plan};
use crate::whole::Key;

/// Every kind of object.
pub const EVERYTHING: &str = include_str!("everything.sql");
/// Its security labels, which need a provider.
const LABELS: &str = include_str!("labels.sql");

/// Folders of a drill; gone with it.
pub struct Folders {
    volume: TempDir,
    socket: TempDir,
    scratch: TempDir,
}

impl Folders {
    pub fn new() -> Self {
        let make = || {
            tempfile::Builder::new()
                .prefix("lb-drill")
                .tempdir_in("/tmp")
                .unwrap()
        };
        Self {
            volume: make(),
            socket: make(),
            scratch: make(),
        }
    }

    pub fn volume(&self) -> PathBuf {
        PathBuf::from(self.volume.path())
    }

    pub fn socket(&self) -> PathBuf {
        PathBuf::from(self.socket.path())
    }

    pub fn scratch(&self) -> PathBuf {
        PathBuf::from(self.scratch.path())
    }
}

/// A plan to drill the backup below a folder.
pub fn drill_plan(store: Arc<dyn ObjectStore>, at: &str, major: i32, folders: &Folders) -> Plan {
    let now = lifeboat::work::clock::now();
    Plan {
        store,
        identities: None,
        choice: Choice {
            directory: at.to_owned(),
            select: Select::default(),
            decided_at: now,
            due: now,
        },
        run: "weekly-20261121t0300z".to_owned(),
        drill: "weekly".to_owned(),
        namespace: "shop".to_owned(),
        mode: DrillMode::Verify,
        compare: Compare::default(),
        application_role: None,
        checks: Vec::new(),
        check_timeout: lifeboat::postgres::checks::TIMEOUT,
        minimum_score: 0,
        locales: Vec::new(),
        accepted: std::collections::BTreeSet::new(),
        parameters: std::collections::BTreeMap::default(),
        image: String::new(),
        break_glass: None,
        rto_objective: None,
        rpo_objective: None,
        server: Place::Here(PathBuf::from(folders.socket.path())),
        volume: PathBuf::from(folders.volume.path()),
        scratch: PathBuf::from(folders.scratch.path()),
        postgres_folders: vec![host_bin(major)],
    }
}

/// A backup of a database.
pub async fn backed_up(
    server: &Server,
    dbname: &str,
    major: i32,
    minio: &minio::Minio,
    key: Option<&Key>,
) -> Manifest {
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = plan(server.target(dbname), major, direct(minio), FIRST, &scratch);
    plan.recipients = key.map(|key| key.recipients.clone());
    make(&plan, &Silent).await.unwrap()
}

/// Runs a file of statements with psql; the first that fails ends it.
pub fn run_file(server: &Server, dbname: &str, sql: &str) {
    let file = server.dir.path().join("statements.sql");
    std::fs::write(&file, sql).unwrap();
    let mut psql = server.tool("psql");
    psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", dbname, "-f"]);
    run(psql.arg(&file));
}

pub fn shown(proof: &Proof) -> String {
    let brief = Proof {
        tables: Vec::new(),
        ..proof.clone()
    };
    serde_json::to_string_pretty(&brief).unwrap()
}

pub fn check(name: &str, sql: &str) -> Check {
    Check {
        name: name.to_owned(),
        sql: sql.to_owned(),
        expect: None,
        as_of: None,
        required: None,
    }
}

/// P10: no correct backup fails, whatever it holds.
#[rstest]
#[case(15, "UTF8")]
#[case(17, "UTF8")]
#[case(17, "SQL_ASCII")]
#[case(15, "LATIN1")]
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_backup_with_every_kind_of_object_is_proven(
    #[case] major: i32,
    #[case] encoding: &str,
) {
    let source = Server::start(major, &["shared_preload_libraries=lifeboat_label"]);
    let (minio, key) = (minio::start().await, Key::new());
    let more = format!("TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
    source.database("every", &more).await;
    run_file(&source, "every", &[EVERYTHING, LABELS].concat());
    let made = backed_up(&source, "every", major, &minio, Some(&key)).await;
    drop(source);
    let folders = Folders::new();
    let mut plan = drill_plan(direct(&minio), &made.prefix, major, &folders);
    let identity = std::fs::read_to_string(key.file()).unwrap();
    plan.identities = Some(Arc::new(Identities::parse(&identity).unwrap()));
    plan.checks = vec![check("edges", "SELECT count(*) = 3 FROM e.edges")];
    // Of neither language a dump holds anything: one is an extension's, with a label, and one the system's, with privileges.
    plan.accepted = ["language plpgsql".to_owned(), "language sql".to_owned()].into();
    let Drilled { proof, .. } = drill(&plan, &Silent).await.unwrap();
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
    assert!(
        proof.proves && proof.score == Some(100),
        "{}",
        shown(&proof)
    );
    assert!(proof.tables.len() > 20 && proof.tables.iter().all(|t| t.equal));
    assert!(!shown(&proof).contains("never_shown") && !shown(&proof).contains("never shown"));
}
