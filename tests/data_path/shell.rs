//! The commands as a person types them at 3 a.m.: back up, prove, restore.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::drills::{EVERYTHING, run_file};
use crate::pg::Server;
use crate::whole::Key;

/// A server, a folder of backups, a key, and the commands.
struct Shell {
    server: Server,
    place: tempfile::TempDir,
    key: Key,
}

impl Shell {
    fn new() -> Self {
        Self {
            server: Server::start(17, &[]),
            place: tempfile::tempdir().unwrap(),
            key: Key::new(),
        }
    }

    fn location(&self) -> String {
        format!("file://{}", self.place.path().display())
    }

    fn uri(&self, dbname: &str) -> String {
        uri(&self.server, dbname)
    }

    fn lifeboat(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(args)
            .arg("--postgres-bin")
            .arg(&self.server.bin)
            .output()
            .unwrap()
    }

    /// Folder of a new backup.
    fn backup(&self, dbname: &str) -> String {
        let public = self.key.recipients.to_strings().remove(0);
        self.backup_with(dbname, &["--recipient", &public])
    }

    fn backup_with(&self, dbname: &str, encryption: &[&str]) -> String {
        let (uri, to) = (self.uri(dbname), self.location());
        let mut words = vec!["backup", "--database", &uri, "--to", &to, "--json"];
        words.extend(encryption);
        let made = self.lifeboat(&words);
        assert!(made.status.success(), "{}", said(&made));
        let manifest: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        manifest["prefix"].as_str().unwrap().to_owned()
    }

    fn with_key(&self, command: &str, backup: &str, more: &[&str]) -> Output {
        let (from, key) = (self.location(), self.key.file());
        let mut words = vec![
            command,
            "--from",
            &from,
            backup,
            "--identity",
            key.to_str().unwrap(),
        ];
        words.extend(more);
        self.lifeboat(&words)
    }
}

fn uri(server: &Server, dbname: &str) -> String {
    format!(
        "postgresql:///{dbname}?host={}&port={}&user=postgres&sslmode=disable",
        server.dir.path().display(),
        server.port
    )
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Folders that commands leave behind.
fn leftovers() -> Vec<PathBuf> {
    let here = std::env::temp_dir().read_dir().unwrap();
    let ours = here.map(|entry| entry.unwrap().path());
    ours.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("lifeboat-") && path.join("data").exists()
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_a_person_proves_a_backup_and_restores_it_at_a_shell() {
    let shell = Shell::new();
    shell.server.database("every", "").await;
    run_file(&shell.server, "every", EVERYTHING);
    let backup = shell.backup("every");

    let recent = [
        "--check",
        "SELECT count(*) = 3 FROM e.edges",
        "--keep-proof",
        "--accept-lost",
        "language sql",
    ];
    let proven = shell.with_key("drill", &backup, &recent);
    assert!(proven.status.success(), "{}", said(&proven));
    assert!(
        said(&proven).contains("Passed, score 100"),
        "{}",
        said(&proven)
    );
    assert!(
        said(&proven).contains("proven: rows, content"),
        "{}",
        said(&proven)
    );
    assert_eq!(leftovers(), Vec::<PathBuf>::new());
    let from = shell.location();
    let words = ["report", "--from", &from, &backup, "--format", "markdown"];
    let report = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(words)
        .output()
        .unwrap();
    assert!(report.status.success(), "{}", said(&report));
    assert!(said(&report).contains("Passed"), "{}", said(&report));
    let listed = || {
        let words = ["list", "--from", &from];
        let list = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(words)
            .output();
        said(&list.unwrap())
    };
    assert!(
        listed().contains("Passed (Partial)") || listed().contains("Proven"),
        "{}",
        listed()
    );
    // The newest of a directory, and a question that is answered otherwise.
    let other = [
        "--check",
        "SELECT count(*) = 4 FROM e.edges",
        "--json",
        "--keep-proof",
    ];
    let failed = shell.with_key("drill", "local.every", &other);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    let proof: serde_json::Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(proof["reason"], "CheckFailed", "{proof:#}");
    assert!(listed().contains("Failed (CheckFailed)"), "{}", listed());

    // Into another database of the same server: its roles are there already.
    shell.server.database("again", "TEMPLATE template0").await;
    let into = shell.uri("again");
    let words = ["--into", &into, "--accept-lost", "language sql"];
    let restored = shell.with_key("restore", "local.every", &words);
    assert!(restored.status.success(), "{}", said(&restored));
    let newest = format!("the newest backup of local.every: {backup}");
    assert!(said(&restored).contains(&newest), "{}", said(&restored));
    assert!(
        said(&restored).contains("restored and equal"),
        "{}",
        said(&restored)
    );
    // A second time it is not empty, and nothing is touched.
    let refused = shell.with_key("restore", &backup, &["--into", &into]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(
        said(&refused).contains("DatabaseNotEmpty"),
        "{}",
        said(&refused)
    );
    shell
        .server
        .database("latin", "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        .await;
    let latin = shell.uri("latin");
    let refused = shell.with_key("restore", &backup, &["--into", &latin]);
    assert!(
        said(&refused).contains("--encoding=UTF8"),
        "{}",
        said(&refused)
    );
}

/// Into a server that has some of the roles: what stays by design is no failure of the restore. Verified alone nobody knows who
/// made a role, so it differs, and what mends it is said and does.
#[tokio::test(flavor = "multi_thread")]
async fn g17_a_person_restores_into_a_server_that_has_roles_already() {
    let shell = Shell::new();
    shell.server.database("shop", "").await;
    let sql = "CREATE ROLE admins; CREATE ROLE app LOGIN; CREATE ROLE newcomer; GRANT admins TO app, newcomer; \
        ALTER ROLE app SET work_mem = '5MB'; CREATE TABLE t (a int); INSERT INTO t VALUES (1); GRANT SELECT ON t TO app, newcomer";
    shell.server.sql("shop", sql).await;
    let backup = shell.backup("shop");
    let other = Server::start(17, &[]);
    other.database("shop", "TEMPLATE template0").await;
    let there = "CREATE ROLE admins; CREATE ROLE app LOGIN CREATEDB VALID UNTIL '2031-01-01'; ALTER ROLE app SET statement_timeout = 7";
    other.sql("postgres", there).await;
    let into = uri(&other, "shop");
    let restored = shell.with_key("restore", &backup, &["--into", &into]);
    let told = said(&restored);
    assert!(restored.status.success(), "{told}");
    let note = "note: role app was there before and stays as it is: it lacks ";
    assert!(
        told.contains(note) && told.contains("and has besides "),
        "{told}"
    );
    let differs = shell.with_key("verify", &backup, &["--database", &into]);
    assert_eq!(differs.status.code(), Some(1), "{}", said(&differs));
    let told = said(&differs);
    let remedy = "remedy: to mend role app: ";
    let mends = told.lines().find_map(|line| line.strip_prefix(remedy));
    other.sql("postgres", mends.unwrap()).await;
    let equal = shell.with_key("verify", &backup, &["--database", &into]);
    assert!(equal.status.success(), "{}", said(&equal));
}

/// No scratch server is there to ask: whoever has read both texts accepts them, for as long as they stay as they are.
#[tokio::test(flavor = "multi_thread")]
async fn g23_a_person_accepts_a_definition_that_is_printed_otherwise() {
    let shell = Shell::new();
    shell.server.database("shop", "").await;
    let sql = "CREATE TABLE t (a int); CREATE VIEW \"it's\" AS SELECT a FROM t WHERE a > 7";
    shell.server.sql("shop", sql).await;
    let backup = shell.backup("shop");
    let view = |condition: &str| {
        format!("CREATE OR REPLACE VIEW \"it's\" AS SELECT a FROM t WHERE {condition}")
    };
    shell.server.sql("shop", &view("7 < a")).await;
    let database = shell.uri("shop");
    let verify = |more: &[&str]| {
        let words = [&["--database", &database], more].concat();
        shell.with_key("verify", &backup, &words)
    };
    let differs = verify(&[]);
    let told = said(&differs);
    assert_eq!(differs.status.code(), Some(1), "{told}");
    assert!(told.contains("7 < a") && told.contains("a > 7"), "{told}");
    // As a shell reads it.
    let quoted = "--accept 'VIEW public.it'\\''s=";
    let (_, rest) = told.split_once(quoted).unwrap();
    let accept = format!("VIEW public.it's={}", &rest[..16]);
    let accepted = verify(&["--accept", &accept]);
    assert!(accepted.status.success(), "{}", said(&accepted));
    assert!(
        said(&accepted).contains("which is accepted"),
        "{}",
        said(&accepted)
    );
    shell.server.sql("shop", &view("8 < a")).await;
    let changed = verify(&["--accept", &accept]);
    assert_eq!(changed.status.code(), Some(1), "{}", said(&changed));
    let nonsense = verify(&["--accept", "VIEW public.v"]);
    assert!(
        said(&nonsense).contains("write NAME=FINGERPRINT"),
        "{}",
        said(&nonsense)
    );
}

/// What stands in a backup of a database with every kind of object, for people.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_looks_into_a_backup_that_is_not_encrypted() {
    let shell = Shell::new();
    shell.server.database("every", "").await;
    // Before the rest: that lets nobody write in the end.
    let more = "CREATE TABLE twice (a int); INSERT INTO twice VALUES (1), (1); \
        CREATE EXTENSION lifeboat_kinds; INSERT INTO kinds.queue VALUES (1, 'x')";
    shell.server.sql("every", more).await;
    let session = shell.server.session("every").await;
    let invalid = "CREATE UNIQUE INDEX CONCURRENTLY broken ON public.twice (a)";
    assert!(session.client.batch_execute(invalid).await.is_err());
    run_file(&shell.server, "every", EVERYTHING);
    let (uri, from) = (shell.uri("every"), shell.location());
    let words = ["backup", "--database", &uri, "--to", &from, "--unencrypted"];
    let made = shell.lifeboat(&words);
    assert!(made.status.success(), "{}", said(&made));
    let left = " left out: `lifeboat inspect` says which and why";
    assert!(said(&made).contains(left), "{}", said(&made));
    let backup = shell.backup_with("every", &["--unencrypted"]);
    let look = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["inspect", "--from", &from, &backup])
        .output()
        .unwrap();
    let told = said(&look);
    assert!(look.status.success(), "{told}");
    assert!(!told.contains("--identity"), "{told}");
    let line = |head: &str| {
        let mut lines = told.lines();
        let line = lines.find(|line| line.starts_with(head));
        line.unwrap_or_else(|| panic!("{head}: {told}"))
    };
    assert!(line("index public.broken ").contains("the index is not valid"));
    assert!(line("e.far").contains("not counted"), "{told}");
    assert!(line("Made by ").contains(", pg_dump 17."), "{told}");
    let queue = told.matches("kinds.queue").count();
    assert_eq!(queue, 1, "among what was left out only: {told}");
    assert!(!told.lines().any(|line| line.starts_with('.')), "{told}");
    assert!(!told.split_whitespace().any(|word| word == "-1"), "{told}");
}

/// A folder that was named and has no programs is a mistake, and not passed over.
#[test]
fn a_folder_without_programs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap().to_owned();
    let drill = |bin: &str| {
        let words = [
            "drill",
            "--from",
            &format!("file://{place}"),
            "shop",
            "--postgres-bin",
            bin,
        ];
        Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(words)
            .output()
            .unwrap()
    };
    let empty = drill(&place);
    assert_eq!(empty.status.code(), Some(1));
    assert!(
        said(&empty).contains(&format!("there is no pg_dump in {place}")),
        "{}",
        said(&empty)
    );
    let missing = format!("{place}/none");
    assert!(said(&drill(&missing)).contains(&format!("there is no folder {missing}")));
    let help = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["drill", "--help"])
        .output()
        .unwrap();
    let help = said(&help).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("It must hold pg_dump"), "{help}");
}
