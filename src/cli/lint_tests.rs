//! `lifeboat lint` on files in a folder.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(parts: &[&str]) -> Args {
    Line::try_parse_from(std::iter::once(&"lint").chain(parts))
        .unwrap()
        .args
}

fn report(files: &[(&str, &str)]) -> Report {
    let files: Vec<File> = files
        .iter()
        .map(|(name, sql)| File::read(name, sql.as_bytes()))
        .collect();
    lint(&files, &Context::default(), &[])
}

#[test]
fn a_finding_shows_place_line_reason_and_the_safe_way() {
    let shown = text(
        &report(&[("db/1_a.sql", "SELECT 1;\n  CREATE INDEX i ON orders (a);\n")]),
        false,
    );
    let want = "\
db/1_a.sql:2:3: LB101 block: an index built while writes wait
  |   CREATE INDEX i ON orders (a);
  |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  writes to orders wait until the index is built
  instead: CREATE INDEX CONCURRENTLY, with a name
  or acknowledge: {rule: LB101, object: 'orders', reason: …}

refused: 2 statements in 1 file: 1 block, 0 acknowledged, 0 warn, 0 info
`lifeboat lint --explain LB101` says more
";
    assert_eq!(shown, want);
}

#[test]
fn a_file_steers_no_terminal() {
    let shown = text(&report(&[("1_a.sql", "DROP TABLE \"\x1b[2Jx\";")]), false);
    assert!(!shown.contains('\x1b'), "{shown:?}");
    assert!(text(&report(&[("1_a.sql", "SELECT 1")]), true).contains("\x1b[1;32mpassed"));
}

#[test]
fn a_folder_is_read_in_order_and_acknowledgements_hold() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("10_b.sql", "ALTER TABLE orders DROP COLUMN legacy;");
    write("9_a.sql", "SELECT 1;");
    write("9_a.sql.down", "SELECT 2;");
    write("notes.txt", "no SQL");
    write(
        "ack.yaml",
        "- {rule: LB202, object: public.orders.legacy, reason: unused since v41}\n",
    );
    write(
        "bad.yaml",
        "acknowledge: [{rule: LB202, reason: because}]\n",
    );
    let path = folder.path().display().to_string();
    let (files, _) = inputs(&args(&[&path])).unwrap();
    let names: Vec<&str> = files
        .iter()
        .map(|f| f.name.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(names, ["9_a.sql", "9_a.sql.down", "10_b.sql"]);
    assert_eq!(run(&args(&[&path])), ExitCode::from(FAILED));
    let taken = args(&[
        &path,
        "--acknowledge",
        &format!("{path}/ack.yaml"),
        "--format",
        "json",
    ]);
    assert_eq!(run(&taken), ExitCode::SUCCESS);
    let bad = inputs(&args(&[
        &path,
        "--acknowledge",
        &format!("{path}/bad.yaml"),
    ]))
    .unwrap_err();
    assert!(
        bad.to_string()
            .contains("entry 1 (LB202) needs an object or a file"),
        "{bad}"
    );
    assert_eq!(
        run(&args(&[&format!("{path}/none.sql")])),
        ExitCode::from(USAGE)
    );
}

#[test]
fn a_page_is_printed_without_files() {
    assert_eq!(run(&args(&["--explain", "lb403"])), ExitCode::SUCCESS);
    assert!(Line::try_parse_from(["lint"]).is_err());
    assert!(Line::try_parse_from(["lint", "--explain", "LB999"]).is_err());
}

#[test]
fn a_secret_is_found_and_not_printed() {
    let sql = "CREATE ROLE x LOGIN PASSWORD 'hunter22'; -- ü\n";
    let files = [File::read("1_a.sql", sql.as_bytes())];
    let found = lint(&files, &Context::default(), &[]);
    let shown = text(&found, false);
    assert!(shown.contains("LB408"), "{shown}");
    assert!(shown.contains("PASSWORD **********; -- ü"), "{shown}");
    let json = serde_json::to_string(&document(&files, &found)).unwrap();
    for shown in [shown, json] {
        assert!(!shown.contains("hunter"), "{shown}");
    }
    // Two in one statement, and one in a file that cannot be read.
    for sql in [
        "CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'app', password 'hunter1', sslpassword 'hunter2');",
        "CREATE ROLE x LOGIN PASSWORD 'hunter22' VALID UNTL 'x';",
        "CREATE ROLE x LOGIN PASSWORD 'hunter22;",
        "CREATE ROLE x LOGIN PASSWORD '1$hunter22' VALID UNTL 'x';",
    ] {
        let files = [File::read("1_a.sql", sql.as_bytes())];
        let found = lint(&files, &Context::default(), &[]);
        let json = serde_json::to_string(&document(&files, &found)).unwrap();
        let shown = text(&found, false);
        assert!(
            found.blocks() && !shown.contains("hunter") && !json.contains("hunter"),
            "{shown}{json}"
        );
    }
}

#[test]
fn what_no_run_would_take_is_told_by_its_name() {
    let found = report(&[
        ("db/1_a.sql", "SELECT 1"),
        ("db/1_b.sql", "SELECT 1"),
        ("db/1_b.sql.down", "SELECT 1"),
        ("other/01_a.sql", "SELECT 1"),
        ("seed.sql", "SELECT 1"),
    ]);
    let told: Vec<_> = found
        .findings
        .iter()
        .map(|f| (f.file.as_str(), f.level))
        .collect();
    assert_eq!(
        told,
        [("db/1_b.sql", Level::Block), ("seed.sql", Level::Warn)]
    );
    assert!(
        found.findings[0].message.contains("db/1_a.sql"),
        "{found:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("1_a.sql")).unwrap();
    let folder = folder.path().to_str().unwrap();
    let error = inputs(&args(&[folder])).unwrap_err().to_string();
    assert!(error.contains("1_a.sql"), "{error}");
}
