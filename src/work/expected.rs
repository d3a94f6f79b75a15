//! What a drill expects of a restored database: what the backup recorded, but for what a drill does not restore. Pure.

use super::archive::Fetched;
use crate::api::restore_drill::Verdict;
use crate::manifest::{Contents, SchemaEntry};
use crate::postgres::compare::Difference;
use crate::postgres::load::{Loaded, reaches_out};

/// Where the parts of the backup contradict each other.
pub(super) fn lies(fetched: &Fetched) -> impl Iterator<Item = Difference> {
    let lies = fetched.contradictions.iter().cloned();
    lies.map(|lie| Difference {
        what: lie.what,
        object: lie.object,
        expected: lie.expected,
        found: lie.found,
    })
}

/// Takes out of what is expected what a drill does not restore: the dump's text of it was compared already (G30), and
/// what only a foreign server could fill (G26).
pub(super) fn not_restored(expected: &mut Contents, loaded: &Loaded, notes: &mut Vec<String>) {
    let before = expected.entries.len();
    expected.entries.retain(|e| !reaches_out(&e.desc, &e.tag));
    if expected.entries.len() < before {
        notes.push(format!(
            "{} subscriptions and user mappings are compared as text and not restored: they would reach other servers",
            before - expected.entries.len()
        ));
    }
    for error in loaded
        .errors
        .iter()
        .filter(|e| e.error.judged == Verdict::Passed)
    {
        let text = &error.error.entry;
        // By its entry, or by the statement where sessions ran beside each other.
        let refresh = |e: &SchemaEntry| {
            let name = format!("{}.{}", e.namespace.display(), e.tag.display());
            let plain = text.replace('"', "");
            e.desc == "MATERIALIZED VIEW DATA" && plain.ends_with(&format!(" {name}"))
        };
        if expected.entries.iter().any(refresh) {
            expected.entries.retain(|e| !refresh(e));
            notes.push(format!(
                "{text}: not refreshed, because that needs a foreign server"
            ));
        }
    }
}

/// In a scratch server nobody logs in (G17).
pub(super) fn without_login(contents: &mut Contents) {
    let statements = contents
        .roles
        .iter_mut()
        .flat_map(|role| &mut role.statements);
    for statement in statements.filter(|s| s.starts_with("ALTER ROLE ") && s.contains("INHERIT ")) {
        let head = statement
            .strip_suffix(" NOLOGIN")
            .or_else(|| statement.strip_suffix(" LOGIN"));
        if let Some(head) = head {
            *statement = head.to_owned();
        }
    }
}
