//! What a backup says that it left out, and of extensions, against what else it says of itself (P10). Pure.

use std::collections::BTreeSet;

use crate::manifest::{Contents, LeftOut, Lies, MORE, Name, Relation, TABLE_CONSTRAINT};
use crate::postgres::MOST_MEMBERS;
use crate::postgres::census::NOT_COUNTED;

/// In every server, and named by no backup.
const BUILT_IN: [&str; 2] = ["pg_default", "pg_global"];
/// Objects of an extension that are relations.
const RELATIONS: [&str; 5] = [
    "table",
    "view",
    "materialized view",
    "foreign table",
    "sequence",
];

/// Holds it against relations, census and entries of contents.json.
pub(super) fn left_out(contents: &Contents, lies: &mut Lies) {
    let relations = contents.relations.iter();
    let known: BTreeSet<(&Name, &Name)> = relations.map(|r| (&r.schema, &r.name)).collect();
    let nowhere = Name::default();
    for left in &contents.left_out {
        let relation = left.schema != nowhere;
        let there = !relation || known.contains(&(&left.schema, &left.name));
        let rule = "no relation of the database";
        lies.must(there, "left out", left.display(), rule);
        if !relation {
            named(contents, left, lies);
        }
        let object = format!("rows left out of {}", left.display());
        lies.must(
            relation || left.rows == 0,
            &object,
            left.rows,
            "no rows are in it",
        );
    }
    for relation in &contents.relations {
        rows(contents, relation, lies);
    }
    let (says, is) = (
        contents.left_out_indexes(),
        contents.census.get("invalidIndexes"),
    );
    let rule = format!("{} are not valid", is.copied().unwrap_or_default());
    let fits = says <= is.copied().unwrap_or_default();
    lies.must(fits, "indexes left out", says, &rule);
    let all = contents.census.get("disabledTriggers").copied();
    let says = contents.census.get("leftOutTriggers").copied();
    let most = contents.most_left_out_triggers();
    let most = most.min(all.unwrap_or_default());
    let rule = format!("at most {most} are of constraints that are left out");
    let fits = says.is_none_or(|says| says <= most);
    let says = says.unwrap_or_default();
    lies.must(fits, "triggers left out", says, &rule);
    tablespaces(contents, lies);
}

/// What is no relation is named with its kind, a constraint with its table too.
fn named(contents: &Contents, left: &LeftOut, lies: &mut Lies) {
    let Name::Text(name) = &left.name else { return };
    let kind = name.split_once(' ').map(|(kind, _)| kind);
    let real = name == MORE || kind.is_some_and(|kind| !kind.is_empty());
    lies.must(real, "left out", name, "of no kind");
    let plain = |name: &str| name.replace('"', "");
    let own = |name: &&str| !name.contains(" on pg_") && !name.contains(" on information_schema.");
    let Some(constraint) = name.strip_prefix(TABLE_CONSTRAINT).filter(own) else {
        return;
    };
    let constraint = plain(constraint);
    let mut relations = contents.relations.iter();
    let there = relations.any(|r| constraint.ends_with(&format!(" on {}", plain(&full(r)))));
    lies.must(there, "left out", name, "no table of the database");
}

/// Whether no census has it.
fn is_of_system(name: &str) -> bool {
    name.starts_with("pg_") || name.starts_with("information_schema.")
}

/// Of a table whose rows are not in the dump, what is left out says how many they are. It may be named there for other
/// reasons too.
fn rows(contents: &Contents, relation: &Relation, lies: &mut Lies) {
    let full = full(relation);
    let all = contents.left_out.iter();
    let mine = all.filter(|l| (&l.schema, &l.name) == (&relation.schema, &relation.name));
    let says: Vec<i64> = mine.map(|left| left.rows).collect();
    // Its data lies on another server, always.
    let foreign = relation.kind == 'f';
    let rule = "a foreign table, whose data no dump has";
    lies.must(!foreign || !says.is_empty(), &full, "not left out", rule);
    let whole = relation.hash.is_none() && contents.line_key.is_some();
    if !whole || !matches!(relation.kind, 'r' | 'f') {
        return;
    }
    let is = relation.rows.unwrap_or(NOT_COUNTED);
    // Rows that an extension keeps for itself are told once more, with their hash.
    let beyond = contents.beyond.iter();
    let mut beyond = beyond.filter(|b| (&b.schema, &b.name) == (&relation.schema, &relation.name));
    if let Some(beyond) = beyond.next() {
        lies.differs(&format!("rows beyond the dump of {full}"), beyond.rows, is);
    }
    if let (Some(first), false) = (says.first(), says.contains(&is)) {
        lies.differs(&format!("rows left out of {full}"), first, is);
    }
}

/// What is said of extensions is said of those that there are.
pub(super) fn of_extensions(contents: &Contents, lies: &mut Lies) {
    let names: BTreeSet<&str> = contents
        .extensions
        .iter()
        .map(|(n, _)| n.as_str())
        .collect();
    let there = |name: &str| names.contains(name);
    let rule = "there is no such extension";
    for relation in &contents.relations {
        let name = relation.extension.as_deref();
        let object = format!(
            "extension of {}.{}",
            relation.schema.display(),
            relation.name.display()
        );
        lies.must(
            name.is_none_or(there),
            &object,
            name.unwrap_or_default(),
            rule,
        );
    }
    for member in contents.members.iter().flatten() {
        let object = format!("extension of {} {}", member.kind, member.name.display());
        // Privileges that the script of some extension gave on what is none's.
        let of_none = member.extension.is_empty() && member.kind.starts_with("privileges of ");
        let one = of_none || there(&member.extension);
        lies.must(one, &object, &member.extension, rule);
    }
    for beyond in &contents.beyond {
        let mut relations = contents.relations.iter();
        let one = relations.any(|r| {
            (&r.schema, &r.name) == (&beyond.schema, &beyond.name) && r.extension.is_some()
        });
        let object = format!("{}.{}", beyond.schema.display(), beyond.name.display());
        lies.must(
            one,
            "rows outside a filter",
            object,
            "no table of an extension",
        );
    }
}

/// The relations of an extension stand among its objects too, but for those in the system's own schemas, which no census has.
pub(super) fn relations_of_extensions(contents: &Contents, lies: &mut Lies) {
    let plain = |name: String| name.replace('"', "");
    let text = |name: &Name| matches!(name, Name::Text(_));
    let members = contents.members.as_deref().unwrap_or_default();
    if contents.members.is_none() || members.len() >= MOST_MEMBERS {
        return;
    }
    let relations = contents.relations.iter();
    let named = relations.filter(|r| text(&r.schema) && text(&r.name));
    let says: BTreeSet<(String, &str)> = named
        .filter_map(|r| Some((full(r), r.extension.as_deref()?)))
        .map(|(name, extension)| (plain(name), extension))
        .collect();
    let kinds = RELATIONS.as_slice();
    let own = members
        .iter()
        .filter(|m| m.on.is_none() && text(&m.name) && kinds.contains(&m.kind.as_str()));
    let is: BTreeSet<(String, &str)> = own
        .map(|m| (plain(m.name.display()), m.extension.as_str()))
        .filter(|(name, _)| !is_of_system(name))
        .collect();
    for (name, extension) in says.symmetric_difference(&is) {
        let object = format!("{name} of extension {extension}");
        let there = |one: bool| if one { "there" } else { "not there" };
        let key = (name.clone(), *extension);
        let (relation, member) = (says.contains(&key), is.contains(&key));
        let rule = format!("{} among its objects", there(member));
        lies.must(
            false,
            &object,
            format!("{} among the relations", there(relation)),
            &rule,
        );
    }
}

fn full(relation: &Relation) -> String {
    format!("{}.{}", relation.schema.display(), relation.name.display())
}

/// Where something lies in a tablespace, that is among what is left out: a restore puts it elsewhere.
fn tablespaces(contents: &Contents, lies: &mut Lies) {
    let plain = |name: &str| name.replace('"', "");
    let left = contents.left_out.iter().map(|l| plain(&l.name.display()));
    let left: BTreeSet<String> = left.collect();
    // Earlier versions did not look for them, and no more are named than so many.
    if !contents.names_left_out() {
        return;
    }
    let entries = contents
        .entries
        .iter()
        .filter_map(|e| e.tablespace.as_deref());
    let named: BTreeSet<&str> = entries
        .filter(|name| name.is_ascii() && !BUILT_IN.contains(name))
        .collect();
    for name in named {
        let there = left.contains(&format!("tablespace {}", plain(name)));
        let rule = "it is not among what is left out";
        lies.must(there, "tablespace", name, rule);
    }
}
