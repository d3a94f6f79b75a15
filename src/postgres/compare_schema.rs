//! Schema equality (G23): the entries of two tables of contents. Pure.
//!
//! ```text
//! equal bytes ─► equal          else equal after the rules of `definition` ─► equal
//! else a reference restore decides: the recorded definitions alone, restored beside the drilled database, and dumped
//!   the drilled database prints the same as the reference ─► the server prints otherwise what it read: nobody can tell
//!   it prints something else                              ─► it differs
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::compare_majors::OF_EVERY_MAJOR;
use super::definition::{Tables, canonical, hex, shown};
use super::differences::{Comparison, Difference, Printed};
use crate::api::restore_drill::AcceptedDefinition;
use crate::manifest::{Name, SchemaEntry};

/// Kind of the entries that hold privileges.
const ACL: &str = "ACL";
/// How their tags begin, of what an extension may own.
const OWNED: [&str; 12] = [
    "TABLE ",
    "COLUMN ",
    "SEQUENCE ",
    "FUNCTION ",
    "PROCEDURE ",
    "AGGREGATE ",
    "TYPE ",
    "DOMAIN ",
    "SCHEMA ",
    "LANGUAGE ",
    "FOREIGN DATA WRAPPER ",
    "FOREIGN SERVER ",
];

/// Kind, schema and name.
type Key<'a> = (&'a str, &'a Name, &'a Name);

/// The entries of a database by what they speak of; several may speak of one thing.
type Entries<'a> = BTreeMap<Key<'a>, Vec<&'a SchemaEntry>>;

fn by_key(entries: &[SchemaEntry]) -> Entries<'_> {
    let mut all: Entries<'_> = BTreeMap::new();
    for entry in entries {
        let key = (entry.desc.as_str(), &entry.namespace, &entry.tag);
        all.entry(key).or_default().push(entry);
    }
    for same in all.values_mut() {
        same.sort();
    }
    all
}

/// What decides on definitions that no rule makes equal.
#[derive(Debug)]
pub struct Reference<'a> {
    /// What the recorded ones become when they are restored by themselves, dumped from there; `None` in a server that is not
    /// ours, where they are not: then only a person can tell.
    pub entries: Option<&'a [SchemaEntry]>,
    /// Differences in print that somebody has looked at.
    pub accepted: &'a [AcceptedDefinition],
}

/// Definitions that are unequal by bytes and by rules, so that a reference restore has something to decide: those of `expected`.
#[must_use]
pub fn undecided<'e>(expected: &'e [SchemaEntry], found: &[SchemaEntry]) -> Vec<&'e SchemaEntry> {
    let (was, is) = (by_key(expected), by_key(found));
    let tables = (Tables::of(expected), Tables::of(found));
    let open = was.iter().filter(|(key, was)| {
        let is = is.get(*key);
        is.is_some_and(|is| was.len() == is.len() && !same((was, is), (&tables.0, &tables.1)))
    });
    open.flat_map(|(_, entries)| entries.iter().copied())
        .collect()
}

/// Whether a reference, perhaps of these definitions alone, prints each of them as the drilled database does.
#[must_use]
pub fn printed_alike(
    undecided: &[&SchemaEntry],
    reference: &[SchemaEntry],
    found: &[SchemaEntry],
) -> bool {
    let (referred, is) = (by_key(reference), by_key(found));
    undecided.iter().all(|entry| {
        let key = (entry.desc.as_str(), &entry.namespace, &entry.tag);
        match (referred.get(&key), is.get(&key)) {
            (Some(reference), Some(is)) => definitions(reference) == definitions(is),
            _ => false,
        }
    })
}

/// Compares the entries. `absent`: tables whose absence was told already.
pub(super) fn entries(
    (expected, found): (&[SchemaEntry], &[SchemaEntry]),
    absent: &BTreeSet<(&Name, &Name)>,
    reference: Option<&Reference<'_>>,
    result: &mut Comparison,
) {
    if expected.is_empty() {
        let what = "the schema, because the backup does not record it";
        return result.not_compared.push(what.to_owned());
    }
    let (was, is) = (by_key(expected), by_key(found));
    let tables = (Tables::of(expected), Tables::of(found));
    let referred = reference.and_then(|r| r.entries).map(by_key);
    let made: BTreeSet<(&Name, String)> = expected
        .iter()
        .filter(|e| e.desc != ACL)
        .map(|e| (&e.namespace, e.tag.display()))
        .collect();
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    for key in keys {
        if result.other_major && !OF_EVERY_MAJOR.contains(&key.0) {
            continue;
        }
        match (was.get(key), is.get(key)) {
            (Some(was), Some(is)) => {
                if !is_of_extension(key, &made) {
                    owners(key, was, is, result);
                }
                if result.other_major || same((was, is), (&tables.0, &tables.1)) {
                    continue;
                }
                let accepted = reference.map(|r| r.accepted);
                let referred = referred.as_ref().map(|all| all.get(key).map(Vec::as_slice));
                printed(key, (was, is), referred, accepted, result);
            }
            (was, _) => {
                let (desc, schema, tag) = key;
                // A table that is missing was told, with its rows.
                if *desc != "TABLE" || !absent.contains(&(*schema, *tag)) {
                    let (left, right) = match was {
                        Some(_) => ("there", "missing"),
                        None => ("missing", "there"),
                    };
                    result.differs(desc, object(key), left, right);
                }
            }
        }
    }
}

/// `public.orders`
fn object((_, schema, tag): &Key<'_>) -> String {
    match (schema.display(), tag.display()) {
        (schema, tag) if schema.is_empty() && tag.is_empty() => "of the database".to_owned(),
        (schema, tag) if schema.is_empty() => tag,
        (schema, tag) => format!("{schema}.{tag}"),
    }
}

/// Whether privileges are those of an object that no entry makes, but an extension's script. It belongs to whoever runs CREATE
/// EXTENSION, and no dump says who that was.
fn is_of_extension((desc, schema, tag): &Key<'_>, made: &BTreeSet<(&Name, String)>) -> bool {
    let tag = tag.display();
    let kind = OWNED.iter().find(|kind| tag.starts_with(**kind));
    let Some(kind) = kind.filter(|_| *desc == ACL && tag != "SCHEMA public") else {
        return false;
    };
    let name = tag.get(kind.len()..).unwrap_or_default();
    let is_made = |name: &str| made.contains(&(*schema, name.to_owned()));
    let before = |(at, _): (usize, &str)| is_made(name.get(..at).unwrap_or_default());
    match *kind {
        "COLUMN " => !name.match_indices('.').any(before),
        // Here with the names of its arguments, there without.
        "FUNCTION " | "PROCEDURE " | "AGGREGATE " => {
            let called = name.split('(').next().unwrap_or_default();
            let mut functions = made.iter().filter(|(of, _)| of == schema);
            !functions.any(|(_, tag)| tag.split('(').next() == Some(called))
        }
        _ => !is_made(name),
    }
}

fn owners(key: &Key<'_>, was: &[&SchemaEntry], is: &[&SchemaEntry], result: &mut Comparison) {
    let of = |entries: &[&SchemaEntry]| {
        let mut owners: Vec<String> = entries.iter().map(|e| e.owner.display()).collect();
        owners.sort_unstable();
        owners.join(", ")
    };
    let (was, is) = (of(was), of(is));
    if was != is {
        result.differs("owner", format!("{} {}", key.0, object(key)), was, is);
    }
}

fn definitions<'e>(entries: &[&'e SchemaEntry]) -> Vec<(&'e Name, Option<&'e str>)> {
    let each = entries.iter();
    let mut all: Vec<_> = each
        .map(|e| (&e.definition, e.access_method.as_deref()))
        .collect();
    all.sort();
    all
}

/// Whether the definitions are equal, by bytes or by rules.
fn same((was, is): (&[&SchemaEntry], &[&SchemaEntry]), tables: (&Tables<'_>, &Tables<'_>)) -> bool {
    if definitions(was) == definitions(is) {
        return true;
    }
    let ruled = |entries: &[&SchemaEntry], tables: &Tables<'_>| {
        let mut all: Vec<_> = entries.iter().map(|e| canonical(e, tables)).collect();
        all.sort_unstable();
        all
    };
    ruled(was, tables.0) == ruled(is, tables.1)
}

/// Definitions that no rule makes equal. `referred`: `None` without a reference, `Some(None)` if it lacks the object. `accepted`:
/// `None` where nobody is asked.
fn printed(
    key: &Key<'_>,
    (was, is): (&[&SchemaEntry], &[&SchemaEntry]),
    referred: Option<Option<&[&SchemaEntry]>>,
    accepted: Option<&[AcceptedDefinition]>,
    result: &mut Comparison,
) {
    let (expected, found) = match (was, is) {
        ([was], [is]) => shown(was, is),
        (was, is) => (all_of(was), all_of(is)),
    };
    let difference = Difference::new(key.0, object(key), expected, found);
    let by_print_only = match referred {
        Some(Some(reference)) => definitions(reference) == definitions(is),
        // Without a witness of its own a difference is no evidence.
        Some(None) => true,
        // A person is the only witness.
        None => accepted.is_some(),
    };
    let Some(accepted) = accepted.filter(|_| by_print_only) else {
        return result.differences.push(difference);
    };
    let fingerprint = print_of(was, is);
    let name = format!("{} {}", key.0, object(key));
    if accepted
        .iter()
        .any(|a| a.definition == name && a.fingerprint == fingerprint)
    {
        let note = format!(
            "{name}: the server prints it otherwise than it was backed up, which is accepted ({fingerprint})"
        );
        return result.notes.push(note);
    }
    if referred.is_none() {
        result.remedies.push(format!(
            "{name}: read both texts; if they mean the same, accept it with --accept '{}={fingerprint}'",
            name.replace('\'', "'\\''")
        ));
        return result.differences.push(difference);
    }
    result.printed_otherwise.push(Printed {
        difference,
        fingerprint,
    });
}

fn all_of(entries: &[&SchemaEntry]) -> String {
    let all: Vec<String> = entries
        .iter()
        .map(|e| {
            hex(&e.definition.to_bytes())
                .get(..12)
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    format!("{} definitions: {}", entries.len(), all.join(", "))
}

/// What tells one difference in print from another: both texts.
fn print_of(was: &[&SchemaEntry], is: &[&SchemaEntry]) -> String {
    let mut bytes = Vec::new();
    for entry in was.iter().chain([&&SchemaEntry::default()]).chain(is) {
        bytes.extend_from_slice(&entry.definition.to_bytes());
        bytes.push(0);
        bytes.extend_from_slice(
            entry
                .access_method
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
        );
        bytes.push(0);
    }
    hex(&bytes).get(..16).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// G23: an extension's objects belong to whoever made the extension; no dump says who that is.
    #[rstest]
    #[case::of_an_extension("config", "FUNCTION twice(n integer)", true)]
    #[case::its_column("config", "COLUMN jobs.what", true)]
    #[case::its_schema("", "SCHEMA tiger", true)]
    #[case::a_table("public", "TABLE t", false)]
    #[case::its_view("config", "TABLE t", true)]
    #[case::a_function("public", "FUNCTION f(n integer)", false)]
    #[case::a_column("public", "COLUMN t.a.b", false)]
    #[case::a_schema("", "SCHEMA app", false)]
    #[case::the_schema_of_every_database("", "SCHEMA public", false)]
    #[case::something_else("", "LARGE OBJECT 1", false)]
    fn g23_whose_an_extensions_object_is_no_dump_says(
        #[case] schema: &str,
        #[case] tag: &str,
        #[case] skipped: bool,
    ) {
        let entry = |desc: &str, schema: &str, tag: &str, owner: &str| SchemaEntry {
            desc: desc.to_owned(),
            namespace: Name::Text(schema.to_owned()),
            tag: Name::Text(tag.to_owned()),
            owner: Name::Text(owner.to_owned()),
            ..SchemaEntry::default()
        };
        let of = |owner| {
            vec![
                entry("TABLE", "public", "t", "x"),
                entry("SCHEMA", "", "app", "x"),
                entry("FUNCTION", "public", "f(integer)", "x"),
                entry(ACL, schema, tag, owner),
            ]
        };
        let mut result = Comparison::default();
        entries(
            (&of("app"), &of("postgres")),
            &BTreeSet::new(),
            None,
            &mut result,
        );
        assert_eq!(result.differences.is_empty(), skipped, "{result:?}");
    }
}
