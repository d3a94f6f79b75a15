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
    fn location(&self) -> String {
        format!("file://{}", self.place.path().display())
    }

    fn uri(&self, dbname: &str) -> String {
        format!(
            "postgresql:///{dbname}?host={}&port={}&user=postgres&sslmode=disable",
            self.server.dir.path().display(),
            self.server.port
        )
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
        let (uri, to) = (self.uri(dbname), self.location());
        let words = [
            "backup",
            "--database",
            &uri,
            "--to",
            &to,
            "--recipient",
            &public,
            "--json",
        ];
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
    let shell = Shell {
        server: Server::start(17, &[]),
        place: tempfile::tempdir().unwrap(),
        key: Key::new(),
    };
    shell.server.database("every", "").await;
    run_file(&shell.server, "every", EVERYTHING);
    let backup = shell.backup("every");

    let recent = [
        "--check",
        "SELECT count(*) = 3 FROM e.edges",
        "--keep-proof",
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
    // The newest of a directory, and a question that is answered otherwise.
    let other = ["--check", "SELECT count(*) = 4 FROM e.edges", "--json"];
    let failed = shell.with_key("drill", "local.every", &other);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    let proof: serde_json::Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(proof["reason"], "CheckFailed", "{proof:#}");

    // Into another database of the same server: its roles are there already.
    shell.server.database("again", "TEMPLATE template0").await;
    let into = shell.uri("again");
    let restored = shell.with_key("restore", &backup, &["--into", &into]);
    assert!(restored.status.success(), "{}", said(&restored));
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
