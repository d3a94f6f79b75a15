//! What surrounds statements in production, held against what surrounded them in the rehearsal (M9, M22). Pure.

use std::collections::BTreeMap;

use crate::plan::{Plan, PlannedStatement};
use crate::postgres::migrate::EventTrigger;

/// Statements that fire no event trigger by themselves.
const SILENT: [&str; 11] = [
    "INSERT", "UPDATE", "DELETE", "MERGE", "VACUUM", "ANALYZE", "SET", "RESET", "LOCK", "SHOW",
    "NOTIFY",
];
/// Statements that run code, which may be of any command.
const CODE: [&str; 4] = ["DO", "CALL", "SELECT", "EXECUTE"];
/// Most names in a sentence.
const MOST: usize = 10;

/// Event triggers that a statement could fire and that were not there, or were others, when the plan was rehearsed: named with
/// their events. `None`: there are none.
pub(super) fn unmet(
    production: &[EventTrigger],
    rehearsed: &[EventTrigger],
    plan: &Plan,
) -> Option<String> {
    let fires = |trigger: &&EventTrigger| {
        let segments = plan.files.iter().flat_map(|f| &f.segments);
        let mut statements = segments.flat_map(|s| &s.statements);
        statements.any(|statement| could_fire(statement, trigger))
    };
    let other = production.iter().filter(|t| !rehearsed.contains(t));
    let names: Vec<String> = other
        .filter(fires)
        .map(|t| format!("{} ({})", t.name, t.event))
        .collect();
    let more = match names.len().saturating_sub(MOST) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let named: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

fn could_fire(statement: &PlannedStatement, trigger: &EventTrigger) -> bool {
    let verb = statement.verb.as_str();
    // Every session of the worker logs in, whatever it does then.
    if trigger.event == "login" {
        return true;
    }
    if SILENT.contains(&verb) {
        return false;
    }
    // The parser's words and the server's tags are the same, or one begins with the other: COMMENT ON, REFRESH.
    let mut tags = trigger.tags.iter();
    CODE.contains(&verb)
        || trigger.tags.is_empty()
        || tags.any(|tag| tag.starts_with(verb) || verb.starts_with(tag.as_str()))
}

/// Settings that are not what they are in production, a sentence each. None is a difference: only times and bytes hang on them.
pub(super) fn other_settings(
    production: &BTreeMap<String, String>,
    here: &BTreeMap<String, String>,
) -> Vec<String> {
    let other = production.iter().filter_map(|(name, wanted)| {
        let is = here.get(name).filter(|is| *is != wanted)?;
        Some(format!(
            "the scratch server has {name} = {is}, and production {wanted}: times and bytes of indexes say less"
        ))
    });
    other.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Direction, History, Order, make, read};

    fn plan(sql: &str) -> Plan {
        let named = BTreeMap::from([("1_a.sql".to_owned(), sql.as_bytes().to_vec())]);
        let order = Order {
            direction: Direction::Up,
            target: "1".to_owned(),
            baseline: None,
        };
        make(&read(&named).unwrap(), &History::default(), &order).unwrap()
    }

    fn trigger(event: &str, tags: &[&str]) -> EventTrigger {
        EventTrigger {
            name: "guard".to_owned(),
            event: event.to_owned(),
            tags: tags.iter().map(|t| (*t).to_owned()).collect(),
            function: "public.guard".to_owned(),
            source_sha256: "a".repeat(64),
        }
    }

    #[test]
    fn m9_a_trigger_counts_where_a_statement_could_fire_it() {
        for (sql, event, tags, fires) in [
            ("CREATE TABLE t (a int)", "ddl_command_end", &[][..], true),
            ("CREATE TABLE t (a int)", "sql_drop", &["DROP TABLE"], false),
            ("DROP TABLE t", "sql_drop", &["DROP TABLE"], true),
            (
                "COMMENT ON TABLE t IS 'x'",
                "ddl_command_end",
                &["COMMENT"],
                true,
            ),
            (
                "REFRESH MATERIALIZED VIEW v",
                "ddl_command_end",
                &["REFRESH MATERIALIZED VIEW"],
                true,
            ),
            (
                "CREATE INDEX CONCURRENTLY i ON t (a)",
                "ddl_command_start",
                &["CREATE INDEX"],
                true,
            ),
            (
                "UPDATE t SET a = 1; VACUUM t",
                "ddl_command_start",
                &[],
                false,
            ),
            ("UPDATE t SET a = 1", "login", &[], true),
            (
                "DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$",
                "sql_drop",
                &["DROP TABLE"],
                true,
            ),
            ("SELECT f()", "ddl_command_start", &["CREATE TABLE"], true),
        ] {
            let trigger = trigger(event, tags);
            let plan = plan(sql);
            let found = unmet(std::slice::from_ref(&trigger), &[], &plan);
            let want = fires.then(|| format!("guard ({event})"));
            assert_eq!(found, want, "{sql} {event} {tags:?}");
            assert_eq!(
                unmet(
                    std::slice::from_ref(&trigger),
                    std::slice::from_ref(&trigger),
                    &plan
                ),
                None
            );
            let mut changed = trigger.clone();
            changed.source_sha256 = "b".repeat(64);
            assert_eq!(
                unmet(&[trigger], &[changed], &plan),
                want,
                "another body is another trigger"
            );
        }
    }

    #[test]
    fn m22_settings_that_differ_are_worth_a_note() {
        let of =
            |memory: &str| BTreeMap::from([("maintenance_work_mem".to_owned(), memory.to_owned())]);
        assert!(other_settings(&of("65536kB"), &of("65536kB")).is_empty());
        let notes = other_settings(&of("2097152kB"), &of("131072kB"));
        assert_eq!(notes.len(), 1);
        assert!(
            notes
                .iter()
                .all(|n| n.contains("131072kB, and production 2097152kB")),
            "{notes:?}"
        );
    }
}
