//! What a drill expects of a restored database: what the backup recorded, but for what a drill does not restore. Pure.

use super::archive::Fetched;
use crate::api::restore_drill::Verdict;
use crate::manifest::{Contents, Relation, SchemaEntry};
use crate::postgres::compare::{Comparison, Difference};
use crate::postgres::load::{Loaded, reaches_out};

/// What such a difference says of itself.
pub(super) const CHANGED_BY_EXTENSION: &str = "content of an extension";

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
    let elsewhere = |e: &&SchemaEntry| matches!(e.desc.as_str(), "SUBSCRIPTION" | "USER MAPPING");
    let left = expected.entries.iter().filter(elsewhere).count();
    expected.entries.retain(|e| !reaches_out(&e.desc, &e.tag));
    if left > 0 {
        notes.push(format!(
            "{left} subscriptions and user mappings are compared as text and not restored: they would reach other servers"
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

/// Takes out what was taken out of an extension, which has made it again as its own: that is told with the objects of extensions.
pub(super) fn taken_out(expected: &mut Contents, found: &mut Contents, loaded: &Loaded) {
    for (desc, schema, name, definition) in &loaded.taken_out {
        // With it go its comment and its privileges.
        for entries in [&mut expected.entries, &mut found.entries] {
            entries.retain(|e| {
                let it = e.desc == *desc && e.tag == *name && e.definition == *definition
                    || speaks_of(&e.tag.display(), desc, &name.display());
                e.namespace != *schema || !it
            });
        }
        let kind = match desc.as_str() {
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" => "functions",
            "TYPE" | "DOMAIN" => "types",
            _ => continue,
        };
        if let Some(count) = expected.census.get_mut(kind) {
            *count -= 1;
        }
    }
}

/// Whether the tag of a comment or of privileges is of this object: there its arguments have names too.
/// `FUNCTION twice(n integer)`, `FUNCTION`, `twice(integer)` → true
fn speaks_of(tag: &str, desc: &str, object: &str) -> bool {
    let tag = tag.strip_prefix(desc).and_then(|t| t.strip_prefix(' '));
    let Some(tag) = tag.filter(|tag| *tag != object) else {
        return tag.is_some();
    };
    let (Some((left, named)), Some((right, types))) = (tag.split_once('('), object.split_once('('))
    else {
        return false;
    };
    let (named, types): (Vec<_>, Vec<_>) =
        (named.split(", ").collect(), types.split(", ").collect());
    let mut both = named.iter().zip(&types);
    left == right && named.len() == types.len() && both.all(|(named, of)| named.ends_with(of))
}

/// Rows of an extension's tables that its own triggers change while they are loaded, in every restore: whether the backup has
/// them as they were, this restore cannot tell (G18). None is missing: that no such trigger explains.
pub(super) fn changed_by_triggers(
    comparison: &mut Comparison,
    expected: &Contents,
    loaded: &Loaded,
) {
    let differences = std::mem::take(&mut comparison.differences);
    for difference in differences {
        let mut relations = expected.relations.iter();
        let name = |r: &&Relation| format!("{}.{}", r.schema.display(), r.name.display());
        let table = relations.find(|r| name(r) == difference.object);
        let extension = table.and_then(|table| table.extension.as_deref());
        let triggered = extension.filter(|name| loaded.triggered.contains(*name));
        match triggered {
            Some(extension) if difference.what == "content" => {
                let recorded = expected.extensions.iter();
                let version = recorded
                    .filter(|(name, _)| name == extension)
                    .map(|(_, version)| version.as_str())
                    .next()
                    .unwrap_or_default();
                comparison.undecided.push(Difference {
                    what: CHANGED_BY_EXTENSION.to_owned(),
                    found: format!(
                        "{}, after triggers of {extension} {version} fired while they were loaded",
                        difference.found
                    ),
                    ..difference
                });
            }
            _ => comparison.differences.push(difference),
        }
    }
    more_than_recorded(comparison, expected, loaded);
}

/// Rows of an extension's tables that are more than the backup has may be the extension's own, unless the dump itself brought them
/// (G4): in a scratch server nothing works by itself.
fn more_than_recorded(comparison: &mut Comparison, expected: &Contents, loaded: &Loaded) {
    for (table, was, came) in more(expected, loaded) {
        let name = format!("{}.{}", table.schema.display(), table.name.display());
        let told = comparison.differences.iter().any(|d| d.object == name);
        if !told {
            comparison.differences.push(Difference {
                what: "rows".to_owned(),
                object: name,
                expected: format!("{was} rows"),
                found: format!("{came} rows out of the dump"),
            });
        }
    }
}

/// The same in a server that is not ours: a worker of the extension, or anybody, may have added rows while the table was loaded.
pub(super) fn more_by_somebody(comparison: &mut Comparison, expected: &Contents, loaded: &Loaded) {
    let notes = more(expected, loaded).map(|(table, was, came)| {
        format!(
            "{}.{}: {came} rows came while the {was} rows of the backup were loaded; what works in this server, such as a background \
             worker of extension {}, may have added the others",
            table.schema.display(),
            table.name.display(),
            table.extension.as_deref().unwrap_or_default()
        )
    });
    comparison.notes.extend(notes);
}

/// Tables of extensions into which more rows came than the backup has, and how many of each.
fn more<'a>(
    expected: &'a Contents,
    loaded: &'a Loaded,
) -> impl Iterator<Item = (&'a Relation, i64, i64)> {
    let owned = expected.relations.iter().filter(|r| r.extension.is_some());
    owned.filter_map(|table| {
        let key = (table.schema.clone(), table.name.clone());
        let (was, came) = (table.rows?, *loaded.came.get(&key)?);
        (came > was).then_some((table, was, came))
    })
}

/// The superuser of the source, if it may not log in there, does in a scratch server: it is the one that restores (G17).
pub(super) fn superuser_logs_in(contents: &mut Contents, superuser: &str) {
    let roles = contents.roles.iter_mut();
    let own = roles.filter(|role| role.name == superuser);
    for statement in own.flat_map(|role| &mut role.statements) {
        // Of all statements of a role only this one ends so, but for words of somebody's own in quotes.
        if let Some(head) = statement.strip_suffix("INHERIT NOLOGIN") {
            *statement = format!("{head}INHERIT LOGIN");
        }
    }
}
