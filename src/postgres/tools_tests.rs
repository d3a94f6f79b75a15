//! Programs as machines have them: behind a wrapper, of a client alone, of another major, without zstd.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// Folders with scripts that say a version.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn has(&self, folder: &str, programs: &[&str], version: &str) -> PathBuf {
        let says = |program: &&str| format!("echo '{program} (PostgreSQL) {version}'");
        for program in programs {
            self.script(folder, program, &says(program));
        }
        self.0.path().join(folder)
    }

    fn script(&self, folder: &str, program: &str, does: &str) {
        let folder = self.0.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(program);
        // By a process of its own: what this one has open for writing, a child that another test starts meanwhile holds open too for
        // a moment, and the kernel then refuses to run it (ETXTBSY).
        let mut command = std::process::Command::new("sh");
        command.args([
            "-c",
            "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\" && chmod 755 \"$0\"",
        ]);
        assert!(command.arg(&path).arg(does).status().unwrap().success());
    }
}

const CLIENT: [&str; 3] = ["pg_dump", "pg_restore", "psql"];
const SERVER: [&str; 3] = ["initdb", "postgres", "pg_ctl"];
/// No PostgreSQL of this machine is of these majors.
const OLD: i32 = 7;
const NEW: i32 = 97;

#[test]
fn the_version_is_read_as_distributions_print_it() {
    for (text, version, major) in [
        (
            "pg_dump (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)\n",
            "17.2",
            17,
        ),
        ("pg_dump (PostgreSQL) 15.20\n", "15.20", 15),
        ("pg_dump (PostgreSQL) 18beta1\n", "18beta1", 18),
        ("initdb (PostgreSQL) 19rc1 (Debian 19~rc1-1)\n", "19rc1", 19),
    ] {
        let found = parse_version(text).unwrap();
        assert_eq!(found, version);
        assert_eq!(major_of(&found), Some(major));
    }
    assert_eq!(parse_version("busybox"), None);
}

#[test]
fn folders_of_packages_are_found_the_newest_first() {
    let machine = Machine::new();
    for folder in [
        "usr/lib/postgresql/9/bin",
        "usr/lib/postgresql/17/bin",
        "usr/pgsql-16/bin",
        "usr/libexec/postgresql18",
        "usr/lib/postgresql/contrib",
        "usr/lib/postgresql15/bin",
    ] {
        std::fs::create_dir_all(machine.0.path().join(folder)).unwrap();
    }
    let root = machine.0.path();
    let found = packaged_below(root);
    let found: Vec<&str> = found
        .iter()
        .map(|f| f.strip_prefix(root).unwrap().to_str().unwrap())
        .map(|f| f.trim_end_matches('/'))
        .collect();
    assert_eq!(
        found,
        [
            "usr/libexec/postgresql18",
            "usr/lib/postgresql/17/bin",
            "usr/pgsql-16/bin",
            "usr/lib/postgresql15/bin",
            "usr/lib/postgresql/9/bin"
        ]
    );
}

#[tokio::test]
async fn each_program_is_found_by_itself() {
    let machine = Machine::new();
    // As on Debian: wrappers on PATH, one major there as a client alone, another whole.
    let path = machine.has("usr/bin", &CLIENT, "7.4");
    let server = machine.has("lib/7/bin", &SERVER, "7.4");
    machine.has("lib/7/bin", &["pg_restore"], "7.4");
    let other = machine.has("lib/97/bin", &CLIENT, "97.1");
    let folders = [other.clone(), server.clone(), path.clone()];
    let found = Programs::find(OLD, &folders).await.unwrap();
    assert_eq!(
        (found.pg_dump.clone(), found.version.as_str(), found.major),
        (path.join("pg_dump"), "7.4", OLD)
    );
    assert!(!found.zstd, "too old");
    assert_eq!(
        found.client("pg_restore").await.unwrap(),
        path.join("pg_restore")
    );
    assert_eq!(found.server().await.unwrap(), server);
    assert_eq!(Programs::with_server(OLD, &folders).await.unwrap(), found);
    // The one that was named comes first.
    let named = machine.has("mine", &CLIENT, "7.9");
    let folders = [named.clone(), server, path];
    let found = Programs::find(OLD, &folders).await.unwrap();
    assert_eq!(found.pg_dump, named.join("pg_dump"));
}

#[tokio::test]
async fn a_client_alone_or_another_major_says_which_package_to_install() {
    let machine = Machine::new();
    let client = machine.has("usr/bin", &CLIENT, "97.1");
    let other = machine.has("lib/7/bin", &[CLIENT, SERVER].concat(), "7.4");
    let folders = [client, other];
    let found = Programs::find(NEW, &folders).await.unwrap();
    let error = Programs::with_server(NEW, &folders).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ToolsMissing);
    assert!(
        error.to_string().contains("Debian: postgresql-97)"),
        "{error}"
    );
    let error = found.client("pg_walk").await.unwrap_err();
    assert!(
        error.to_string().contains("postgresql-client-97"),
        "{error}"
    );
    let error = Programs::with_server(98, &folders).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.found_major()),
        (Reason::WrongMajor, Some(98))
    );
    for words in ["postgresql-98", "PostgreSQL 98", "are of 97.1"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_server_whose_initdb_is_a_link_is_where_the_link_leads() {
    let machine = Machine::new();
    let real = machine.has("opt/pg/bin", &[CLIENT, SERVER].concat(), "7.4");
    let links = machine.0.path().join("links");
    std::fs::create_dir(&links).unwrap();
    for program in ["initdb", "pg_dump"] {
        symlink(real.join(program), links.join(program)).unwrap();
    }
    let found = Programs::find(OLD, std::slice::from_ref(&links))
        .await
        .unwrap();
    let server = found.server().await.unwrap();
    assert_eq!(server, std::fs::canonicalize(real).unwrap());
    assert!(Programs::any_server(&[links]).await.is_some());
}

#[tokio::test]
async fn a_pg_dump_without_zstd_is_known() {
    let machine = Machine::new();
    let says = "case \"$*\" in *--version*) echo 'pg_dump (PostgreSQL) 97.1'; exit;; esac; ";
    let refuses = "echo 'pg_dump: error: invalid compression specification: this build does not support compression with ZSTD' >&2; exit 1";
    machine.script("without", "pg_dump", &format!("{says}{refuses}"));
    let jobs =
        "echo 'pg_dump: error: parallel backup only supported by the directory format' >&2; exit 1";
    machine.script("with", "pg_dump", &format!("{says}{jobs}"));
    for (folder, zstd) in [("with", true), ("without", false)] {
        let folder = machine.0.path().join(folder);
        let found = Programs::find(NEW, &[folder]).await.unwrap();
        assert_eq!(found.zstd, zstd);
    }
}

#[tokio::test]
async fn a_missing_tool_is_told_from_one_of_another_major() {
    let empty = tempfile::tempdir().unwrap();
    let error = Programs::find(99, &[empty.path().to_owned()])
        .await
        .unwrap_err();
    assert!(
        matches!(error.reason(), Reason::ToolsMissing | Reason::WrongMajor),
        "{error}"
    );
    assert_eq!(error.found_major(), Some(99));
}
