//! Migrations on the real cluster: asked for by one person, approved by another, applied behind a proven backup to a database
//! with traffic; and one that holds.

use std::io::Write;
use std::process::Child;

use crate::A_RUN;
use crate::migrators::{BASELINE, Shop, run};

/// What the examples change.
const BEFORE: &str = include_str!("../../examples/migrations/before/database.sql");

/// Readers and writers of one table, until it is dropped.
struct Traffic(Child);

impl Traffic {
    fn begin(shop: &Shop) -> Self {
        let mut child = shop.psql();
        let text = "UPDATE orders SET quantity = quantity WHERE id = (SELECT min(id::text)::uuid FROM orders);\n\
            SELECT count(*) FROM orders \\watch 0.1\n";
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        child.stdout = None;
        Self(child)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn examples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/migrations");
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let named = entries.map(|e| (e.file_name().into_string().unwrap(), e.path()));
    let files = named.filter(|(name, _)| name.contains(".sql"));
    files
        .map(|(name, path)| (name, std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// Its role is the server's, and may be there from an earlier run of this story.
fn before() -> String {
    const ROLE: &str = "CREATE ROLE authenticated NOLOGIN;";
    assert!(BEFORE.contains(ROLE));
    let perhaps =
        format!("DO $$ BEGIN IF to_regrole('authenticated') IS NULL THEN {ROLE} END IF; END $$;");
    BEFORE.replace(ROLE, &perhaps)
}

/// Issue E1: the examples, behind a proven backup, approved by a second person, with traffic on the database.
#[test]
fn a_migration_is_approved_by_another_and_applied_behind_a_proven_backup() {
    let shop = Shop::open("migration", &before());
    shop.files("examples", &examples());
    // Refused at the door, and before anything is done.
    let forged = run("forged", "examples", "20261105110000", "")
        .replace("requestedBy: ada", "requestedBy: grace");
    let refused = shop.create("ada", &forged).unwrap_err();
    assert!(refused.contains("requestedBy"), "{refused}");
    shop.asks("no-baseline", "examples", "20261105110000", "");
    shop.held("no-baseline", "BaselineMissing");
    shop.deletes("no-baseline");

    let checks = "  checks:\n    post:\n    - {name: index, index: public.orders_event}\n    \
        - {name: tasks, sql: 'SELECT count(*) FROM tasks', equals: 'SELECT sum(jsonb_array_length(tasks)) FROM projects'}\n";
    let more = format!("{BASELINE}{checks}");
    shop.asks("examples", "examples", "20261105110000", &more);
    let waiting = shop.waits("examples");
    let backup = &waiting["status"]["gate"]["backup"];
    assert_eq!(backup, "by-hand", "{waiting:#}");
    let lines = waiting["status"]["plan"]["lines"].as_array().unwrap();
    assert!(lines.len() > 20, "{waiting:#}");
    let traffic = Traffic::begin(&shop);
    shop.approves(&waiting, "grace");
    let done = shop.done("examples");
    drop(traffic);
    let by = "SELECT count(*) FROM lifeboat.migration_history WHERE approved_by = '{grace}' AND state = 'done'";
    let applied = done["status"]["execution"]["applied"].as_i64().unwrap();
    assert_eq!(shop.sql(by), (applied + 1).to_string(), "and the baseline");

    // M13: what only production has makes the check fail: it holds, and says what stands and what a restore would lose.
    let more = "  checks:\n    post: [{name: none-big, sql: 'SELECT NOT EXISTS (SELECT FROM venues WHERE capacity > 1000000)'}]\n";
    let mut all = examples();
    all.push((
        "20261106090000_notes.sql".to_owned(),
        "ALTER TABLE venues ADD COLUMN note text".to_owned(),
    ));
    shop.files("more", &all);
    shop.asks("holds", "more", "20261106090000", more);
    let waiting = shop.waits("holds");
    shop.sql("INSERT INTO venues (name, capacity) VALUES ('new', 2000000)");
    shop.approves(&waiting, "grace");
    let held = shop.held("holds", "CheckFailed");
    let way = held["status"]["wayBack"].as_str().unwrap_or_default();
    assert!(way.contains("loses every write since"), "{held:#}");
    assert_eq!(held["status"]["execution"]["applied"], 1, "{held:#}");
    shop.story
        .await_none("jobs", "lifeboat.dev/task=migration", A_RUN);
    shop.story.end();
}
