//! A migration beside another tool's history, the report of it, and the way back as a run of its own.

use std::process::Stdio;

use crate::demo::Bucket;
use crate::migrators::{SEATS, Shop, run};

/// What another tool has applied so far.
const THEIRS: &str = "
CREATE SCHEMA supabase_migrations;
CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
INSERT INTO supabase_migrations.schema_migrations VALUES ('20261101090000', ARRAY['CREATE TABLE seats ()'], 'seats');
";
const FILES: [(&str, &str); 2] = [
    (
        "20261201090000_seat_notes.sql",
        "ALTER TABLE seats ADD COLUMN note text;\nCREATE INDEX CONCURRENTLY seats_event ON seats (event);\n",
    ),
    (
        "20261201090000_seat_notes.sql.down",
        "DROP INDEX CONCURRENTLY public.seats_event;\nALTER TABLE public.seats DROP COLUMN note;\n",
    ),
];
const BESIDE: &str = "  history: {baseline: '20261101090000', adapter: Supabase}\n";
/// What the other tool knows: version, name, statements, and the second of them.
const KNOWN: &str = "SELECT string_agg(concat_ws(' ', version, name, array_length(statements, 1), rtrim(statements[2], ';')), ', ' ORDER BY version) \
    FROM supabase_migrations.schema_migrations";

/// Everything but the history, as pg_dump writes it.
fn dumped(shop: &Shop) -> String {
    let dump = [
        "exec",
        "-n",
        "demo",
        "flights-db-0",
        "-c",
        "postgres",
        "--",
        "pg_dump",
        "--exclude-schema=lifeboat",
        "-d",
        &shop.database,
    ];
    let text = shop.story.plain(&dump);
    // One word in it is new each time, so that nothing in the data can end it.
    let lines = text
        .lines()
        .filter(|l| !l.starts_with("\\restrict") && !l.starts_with("\\unrestrict"));
    lines.collect::<Vec<_>>().join("\n")
}

/// `lifeboat report migrationrun`, with every statement of the rehearsal.
fn report(shop: &Shop, run: &str) -> String {
    let bucket = Bucket::open(&shop.story);
    let namespace = &shop.story.namespace;
    let from = format!(
        "s3://backups/{namespace}?endpoint=http://{}&region=us-east-1&addressing=path",
        bucket.address
    );
    let output = bucket
        .command(env!("CARGO_BIN_EXE_lifeboat"))
        .args([
            "report",
            "migrationrun",
            run,
            "-n",
            namespace,
            "--from",
            &from,
        ])
        .env("KUBECONFIG", shop.story.kubeconfig())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// M2, M13: Supabase's history is refused where nobody said how to write it, and is written where somebody did. The way back
/// goes through the same gates, and leads to where it began.
#[test]
fn a_migration_is_written_into_supabases_history_and_taken_back() {
    let shop = Shop::open("migration-back", &format!("{SEATS}{THEIRS}"));
    let before = dumped(&shop);
    shop.files("files", &FILES);
    let target = "20261201090000";
    shop.asks("alone", "files", target, "");
    let held = shop.held("alone", "ForeignMigrator");
    assert!(
        held.to_string()
            .contains("supabase_migrations.schema_migrations"),
        "{held:#}"
    );
    shop.deletes("alone");

    shop.asks("notes", "files", target, BESIDE);
    let waiting = shop.waits("notes");
    assert_eq!(
        waiting["status"]["rehearsal"]["wayBack"], true,
        "{waiting:#}"
    );
    shop.approves(&waiting, "grace");
    shop.done("notes");
    let theirs = "20261101090000 seats 1";
    let ours = "20261201090000 seat_notes 2 CREATE INDEX CONCURRENTLY seats_event ON seats (event)";
    assert_eq!(shop.sql(KNOWN), format!("{theirs}, {ours}"));
    assert_ne!(dumped(&shop), before);
    let text = report(&shop, "notes");
    for part in [
        "Complete",
        "2 of 2",
        r"20261201090000\_seat\_notes.sql:2",
        "ACCESS EXCLUSIVE",
        "The way back was taken",
        "grace",
    ] {
        assert!(text.contains(part), "{part} is not in the report:\n{text}");
    }

    // Whoever asks for the way back does not approve it either.
    let more = "  direction: Down\n  history: {adapter: Supabase}\n";
    let back = run("back", "files", "20261101090000", more);
    let back = back.replace("requestedBy: ada", "requestedBy: grace");
    shop.create("grace", &back).unwrap();
    let waiting = shop.waits("back");
    assert_ne!(
        waiting["status"]["gate"]["backup"], "by-hand",
        "that one is older than what is taken back: {waiting:#}"
    );
    shop.approves(&waiting, "ada");
    shop.done("back");
    assert_eq!(shop.sql(KNOWN), theirs);
    assert_eq!(dumped(&shop), before);
    let (up, down) = ("up 20261201090000", "down 20261201090000");
    let all = format!("{up} 0 undone, {up} 1 undone, {down} 0 done, {down} 1 done");
    assert_eq!(shop.history(), all);
    shop.story.end();
}
