//! Archives and places as they go wrong: each has its verdict and its reason (P10), and nothing of it is left.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::api::restore_drill::{DrillMode, Verdict};
use lifeboat::codec::Identities;
use lifeboat::manifest::{Manifest, Proof};
use lifeboat::objects::{Memory, ObjectStore, PutMode, join};
use lifeboat::postgres::{Observer, Silent, Step};
use lifeboat::work::backup::make;
use lifeboat::work::drill::{Drilled, Place, Plan, run as drill};
use rstest::rstest;
use tokio::sync::OnceCell;

use crate::drills::{Folders, check, drill_plan, shown};
use crate::pg::{Server, run};
use crate::runs::{At, FIRST, SECOND, plan};
use crate::sealed::Backup;
use crate::whole::Key;

pub const MAJOR: i32 = 15;
const SHOP: &str = "CREATE ROLE shop_app; CREATE TABLE orders (id int PRIMARY KEY, what text); ALTER TABLE orders OWNER TO shop_app; \
    INSERT INTO orders SELECT n, repeat('x', 200) FROM generate_series(1, 90000) AS n";

/// Backups of one database: as it is, encrypted twice, and what opens those.
struct Made {
    plain: Backup,
    encrypted: Manifest,
    other: Manifest,
    store: Arc<dyn ObjectStore>,
    identity: String,
}

static MADE: OnceCell<Made> = OnceCell::const_new();

async fn made() -> &'static Made {
    MADE.get_or_init(|| async {
        let (source, key) = (Server::start(MAJOR, &[]), Key::new());
        source
            .database("shop", "TEMPLATE template0 LOCALE 'C'")
            .await;
        source.sql("shop", SHOP).await;
        // Nobody logs in as the superuser of a hardened server; a drill does.
        source
            .sql(
                "shop",
                "CREATE ROLE hardened SUPERUSER LOGIN; ALTER ROLE postgres NOLOGIN",
            )
            .await;
        let mut target = source.target("shop");
        target.user = "hardened".to_owned();
        let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
        let scratch = tempfile::tempdir().unwrap();
        let mut all = Vec::new();
        let third = FIRST.replace('0', "5");
        for (pod, encrypted) in [(FIRST, true), (SECOND, true), (third.as_str(), false)] {
            let mut plan = plan(target.clone(), MAJOR, store.clone(), pod, &scratch);
            plan.recipients = encrypted.then(|| key.recipients.clone());
            all.push(make(&plan, &Silent).await.unwrap());
        }
        Made {
            plain: Backup::read(store.as_ref(), &all[2].prefix).await,
            other: all.remove(1),
            encrypted: all.remove(0),
            identity: std::fs::read_to_string(key.file()).unwrap(),
            store,
        }
    })
    .await
}

/// A drill that is about to begin.
pub struct Bench {
    folders: Folders,
    pub plan: Plan,
}

impl Bench {
    fn of(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        let folders = Folders::new();
        let plan = drill_plan(store, prefix, MAJOR, &folders);
        Self { folders, plan }
    }

    /// Of a backup that is not encrypted, changed and sealed again.
    pub async fn plain(change: impl FnOnce(&mut Backup)) -> Self {
        let mut backup = made().await.plain.clone();
        change(&mut backup);
        let sealed = backup.seal();
        Self::of(sealed.store().await, &sealed.manifest.prefix)
    }

    /// Of one that is.
    async fn encrypted() -> Self {
        let made = made().await;
        let mut bench = Self::of(copied(&made.encrypted).await, &made.encrypted.prefix);
        let identities = Identities::parse(&made.identity).unwrap();
        bench.plan.identities = Some(Arc::new(identities));
        bench
    }

    pub async fn drilled(self, observer: &dyn Observer) -> Drilled {
        let drilled = drill(&self.plan, observer).await.unwrap();
        assert_nothing_is_left(&self.folders.volume());
        drilled
    }
}

/// A store of its own with the same objects.
async fn copied(manifest: &Manifest) -> Arc<dyn ObjectStore> {
    let (store, from) = (Memory::new(), &made().await.store);
    let names = manifest.objects.iter().map(|o| o.name.as_str());
    for name in names.chain([lifeboat::manifest::MANIFEST]) {
        let key = join(&manifest.prefix, name);
        let bytes = from.get(&key, 64 * 1024 * 1024).await.unwrap();
        store.put(&key, bytes, PutMode::CreateOnly).await.unwrap();
    }
    Arc::new(store)
}

/// No process of the server, and none of its data.
fn assert_nothing_is_left(volume: &Path) {
    let data = volume.join("data").to_string_lossy().into_owned();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(!words.contains(&data), "{:?}: {words}", process.path());
    }
    let left: Vec<_> = std::fs::read_dir(volume).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

pub fn assert_says(proof: &Proof, result: Verdict, reason: &str, words: &[&str]) {
    let all = shown(proof);
    assert_eq!(
        (proof.result, proof.reason.as_str()),
        (result, reason),
        "{all}"
    );
    assert!(!proof.proves, "{all}");
    for words in words {
        assert!(proof.message.contains(words), "{words} is not in {all}");
    }
}

type Change = fn(&mut Bench);

/// What is missing beside the archive.
#[rstest]
#[case::a_wrong_key(Verdict::Inconclusive, "WrongIdentity", |bench: &mut Bench| {
    let key = std::fs::read_to_string(Key::new().file()).unwrap();
    bench.plan.identities = Some(Arc::new(Identities::parse(&key).unwrap()));
})]
#[case::no_key(Verdict::Inconclusive, "IdentityMissing", |bench: &mut Bench| bench.plan.identities = None)]
#[tokio::test(flavor = "multi_thread")]
async fn p10_without_the_key_nobody_can_tell(
    #[case] result: Verdict,
    #[case] reason: &str,
    #[case] change: Change,
) {
    let mut bench = Bench::encrypted().await;
    change(&mut bench);
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(&proof, result, reason, &[]);
}

/// The archive is not what its manifest says.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_damaged_archive_is_the_backups_fault(
    #[values("dump", "globals", "contents")] object: &str,
    #[values("truncated", "a bit", "of another backup", "missing")] how: &str,
) {
    let bench = Bench::encrypted().await;
    let made = made().await;
    let all = made.encrypted.objects.iter();
    let info = all.clone().find(|o| o.name.starts_with(object)).unwrap();
    let key = join(&made.encrypted.prefix, &info.name);
    let bytes = bench.plan.store.get(&key, 64 * 1024 * 1024).await.unwrap();
    let bytes = match how {
        "truncated" => bytes.slice(..bytes.len() - 100),
        "a bit" => {
            let mut changed = bytes.to_vec();
            changed[bytes.len() / 2] ^= 1;
            Bytes::from(changed)
        }
        "missing" => Bytes::new(),
        _ => {
            let key = join(&made.other.prefix, &info.name);
            made.store.get(&key, 64 * 1024 * 1024).await.unwrap()
        }
    };
    match how {
        "missing" => bench.plan.store.delete(&key).await.unwrap(),
        _ => {
            let put = bench.plan.store.put(&key, bytes, PutMode::Overwrite).await;
            put.unwrap();
        }
    }
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(&proof, Verdict::Failed, "BackupDamaged", &[&info.name]);
    assert_eq!(proof.score, Some(0));
}

/// What the place lacks is no fault of the backup, and its message says what to do.
#[rstest]
#[case::an_extension("ExtensionMissing", &["nobody_has_it", "spec.postgres.image"], |backup: &mut Backup| {
    backup.contents.extensions.push(("nobody_has_it".to_owned(), "1".to_owned()));
})]
#[case::a_locale("LocaleMissing", &["LOCALE = 'X'", "spec.postgres.image"], |backup: &mut Backup| {
    let database = backup.dump.entries.iter_mut().find(|e| e.desc == "DATABASE").unwrap();
    database.definition = Some(database.sql().replace("LOCALE = 'C'", "LOCALE = 'X'"));
    backup.told();
})]
#[case::programs_of_its_major("WrongMajor", &["12"], |backup: &mut Backup| {
    backup.manifest.server.major = 12;
    backup.manifest.server.version = "12.1".to_owned();
    backup.contents.settings.insert("server_version".to_owned(), "12.1".to_owned());
    backup.dump.server_version = Some("12.1".to_owned());
})]
#[tokio::test(flavor = "multi_thread")]
async fn p10_what_the_image_lacks_is_named(
    #[case] reason: &str,
    #[case] words: &[&str],
    #[case] change: fn(&mut Backup),
) {
    let bench = Bench::plain(change).await;
    let drilled = bench.drilled(&Silent).await;
    assert_says(&drilled.proof, Verdict::Inconclusive, reason, words);
    let major = (reason == "WrongMajor").then_some(12);
    assert_eq!(drilled.wrong_major, major, "K20: the next try takes it");
}

/// What is told to the drill, and what it makes of it.
#[rstest]
#[case::a_setting_that_means_nothing(Verdict::Inconclusive, "ServerFailed", &["invalid value for parameter \"work_mem\""], |bench: &mut Bench| {
    bench.plan.parameters.insert("work_mem".to_owned(), "nonsense".to_owned());
})]
#[case::a_role_that_is_not_there(Verdict::Inconclusive, "InvalidSpec", &["spec.applicationRole", "nobody_knows"], |bench: &mut Bench| {
    bench.plan.mode = DrillMode::Disaster;
    bench.plan.application_role = Some("nobody_knows".to_owned());
})]
#[tokio::test(flavor = "multi_thread")]
async fn p10_less_than_the_truth_proves_nothing(
    #[case] result: Verdict,
    #[case] reason: &str,
    #[case] words: &[&str],
    #[case] change: Change,
) {
    let mut bench = Bench::plain(|_| ()).await;
    change(&mut bench);
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(&proof, result, reason, words);
}

/// G17: in a disaster the application's role logs in with a password of the drill's own and asks; and a superuser that
/// could not log in where it came from does.
#[tokio::test(flavor = "multi_thread")]
async fn g17_in_a_disaster_the_application_logs_in_and_asks() {
    let mut bench = Bench::plain(|_| ()).await;
    bench.plan.mode = DrillMode::Disaster;
    bench.plan.application_role = Some("shop_app".to_owned());
    bench.plan.checks = vec![
        check(
            "who",
            "SELECT session_user = 'shop_app' AND current_user = 'shop_app'",
        ),
        check("what", "SELECT count(*) = 90000 FROM orders"),
    ];
    let proof = bench.drilled(&Silent).await.proof;
    assert_eq!(
        (proof.result, proof.proves),
        (Verdict::Passed, true),
        "{}",
        shown(&proof)
    );
    assert_eq!(proof.score, Some(100));
}

/// G29: a check that is no question fails, and nothing is written. All of them at one server, which asks each for itself.
#[tokio::test(flavor = "multi_thread")]
async fn g29_a_check_that_errs_or_writes_fails_and_nothing_is_written() {
    let bad = [
        ("errs", "SELECT 1 / 0 = 0", "division by zero"),
        ("loops", "SELECT pg_sleep(600) IS NULL", "statement timeout"),
        (
            "writes",
            "DELETE FROM orders RETURNING true",
            "read-only transaction",
        ),
        (
            "makes",
            "CREATE TABLE written_1 ()",
            "read-only transaction",
        ),
        ("clock", "SELECT now() > '2000-01-01'", ":dump_time"),
        ("false", "SELECT count(*) = 7 FROM orders", ""),
        ("nothing", "SELECT true WHERE false", "no row"),
        (
            "two",
            "COMMIT; CREATE TABLE written_2 (); SELECT true",
            "multiple commands",
        ),
        ("leaves", "COMMIT", "no row"),
    ];
    let mut bench = Bench::plain(|_| ()).await;
    bench.plan.check_timeout = Duration::from_secs(1);
    bench.plan.checks = bad.iter().map(|(name, sql, _)| check(name, sql)).collect();
    let whole = "SELECT count(*) = 90000 AND to_regclass('written_1') IS NULL AND to_regclass('written_2') IS NULL FROM orders";
    bench.plan.checks.push(check("whole", whole));
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(&proof, Verdict::Failed, "CheckFailed", &["errs"]);
    for ((name, _, words), answer) in bad.iter().zip(&proof.checks) {
        let said = answer.error.clone().unwrap_or_default();
        assert!(!answer.passed && said.contains(words), "{name}: {answer:?}");
    }
    let last = proof.checks.last().unwrap();
    assert!(last.passed, "{last:?}");
}

/// Each alone makes the drill fail.
#[rstest]
#[case("SELECT 1 / 0 = 0")]
#[case("SELECT false")]
#[case("COMMIT; DROP TABLE orders")]
#[tokio::test(flavor = "multi_thread")]
async fn g29_one_check_alone_makes_a_drill_fail(#[case] sql: &str) {
    let mut bench = Bench::plain(|_| ()).await;
    bench.plan.checks = vec![check("alone", sql)];
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(&proof, Verdict::Failed, "CheckFailed", &["alone"]);
}

/// The server dies while it loads: its last words are told.
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_server_that_dies_under_the_load_says_nothing_of_the_backup() {
    let bench = Bench::plain(|_| ()).await;
    let pid_file = bench.folders.volume().join("data/postmaster.pid");
    let kill = At::new(Step::LoadingData, || {
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        run(Command::new("kill").args(["-QUIT", pid.lines().next().unwrap()]));
        async {}
    });
    let proof = bench.drilled(&kill).await.proof;
    assert!(kill.seen());
    assert_says(&proof, Verdict::Inconclusive, "ServerFailed", &[]);
}

/// A dump that cannot even lie in the volume is not fetched.
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_dump_larger_than_the_volume_is_not_fetched() {
    let mut sealed = made().await.plain.seal();
    let dump = sealed
        .manifest
        .objects
        .iter_mut()
        .find(|o| o.name.starts_with("dump"));
    dump.unwrap().bytes = i64::MAX / 2;
    let all = sealed.manifest.objects.iter().map(|o| o.bytes);
    sealed.manifest.counts.stored_bytes = all.sum();
    let bench = Bench::of(sealed.store().await, &sealed.manifest.prefix);
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(
        &proof,
        Verdict::Inconclusive,
        "NoRoom",
        &["spec.postgres.storage.size"],
    );
}

/// A disk of a size, in memory; gone with the test.
struct Disk(std::path::PathBuf);

impl Disk {
    fn new(at: &Path, mebibytes: u32) -> Self {
        let size = format!("size={mebibytes}m,mode=0755");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at));
        Self(at.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// A volume that is too small for the server, for the dump, for the database. Only root may mount one.
#[rstest]
#[case::for_the_server(20)]
#[case::for_the_database(48)]
#[case::for_its_rows(72)]
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_volume_that_is_too_small_says_nothing_of_the_backup(#[case] mebibytes: u32) {
    let bench = Bench::plain(|_| ()).await;
    let volume = bench.folders.volume();
    let root = run(Command::new("id").arg("-u")).trim() == "0";
    let disk = root.then(|| Disk::new(&volume, mebibytes));
    if disk.is_none() {
        // Without it the volume has room: then it must pass.
        let proof = bench.drilled(&Silent).await.proof;
        assert!(proof.proves, "{}", shown(&proof));
        return;
    }
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(&proof, Verdict::Inconclusive, "NoRoom", &[]);
}

/// A server that is there already comes back as it was, and is not taken where it is in use.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_lent_comes_back_as_it_was() {
    let server = Server::start(MAJOR, &[]);
    let socket = server.dir.path().join(".s.PGSQL.5432");
    let real = server.dir.path().join(format!(".s.PGSQL.{}", server.port));
    std::os::unix::fs::symlink(real, socket).unwrap();
    let state = || {
        let sql = "SELECT array(SELECT datname FROM pg_database ORDER BY 1), array(SELECT rolname || rolcanlogin FROM pg_roles ORDER BY 1), \
                   array(SELECT setconfig FROM pg_db_role_setting), shobj_description(10, 'pg_authid')";
        run(server.tool("psql").args(["-XAtd", "postgres", "-c", sql]))
    };
    let before = state();
    for _ in 0..2 {
        let mut bench = Bench::plain(|backup| {
            backup.globals += "COMMENT ON ROLE \"postgres\" IS 'was here';\nALTER ROLE \"postgres\" SET \"work_mem\" TO '1MB';\n";
        })
        .await;
        bench.plan.server = Place::Running(server.dir.path().to_owned());
        let proof = bench.drilled(&Silent).await.proof;
        assert_says(&proof, Verdict::Failed, "Differs", &["was here"]);
        assert_eq!(state(), before);
    }
    for sql in ["CREATE DATABASE shop", "CREATE ROLE somebody"] {
        server.sql("postgres", sql).await;
        let mut bench = Bench::plain(|_| ()).await;
        bench.plan.server = Place::Running(server.dir.path().to_owned());
        let taken = state();
        let proof = bench.drilled(&Silent).await.proof;
        assert_says(&proof, Verdict::Inconclusive, "InvalidSpec", &["in use"]);
        assert_eq!(state(), taken);
        server.sql("postgres", "DROP DATABASE IF EXISTS shop").await;
    }
}
