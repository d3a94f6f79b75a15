//! What a user made of extensions, held against what `CREATE EXTENSION` makes: no dump holds it (G4). Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::compare_tables::full;
use super::differences::{Comparison, Difference};
use super::extensions::pairs;
use super::members::MOST;
use crate::manifest::{Beyond, Contents, Member, Name};

/// Every database has it, and hardly anybody changes it.
const PLPGSQL: &str = "plpgsql";
/// The kind of a line that holds privileges begins so.
const PRIVILEGES: &str = "privileges of ";

/// What the user made of the extensions of a backup, which a restore cannot give back.
pub(super) fn members(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let (was, is) = (pairs(&expected.extensions), pairs(&found.extensions));
    // Another version makes other objects: that is told of the version.
    let same = was
        .iter()
        .filter(|(name, version)| is.get(*name) == Some(*version));
    let same: BTreeSet<&str> = same.map(|(name, _)| *name).collect();
    let (Some(was), Some(is)) = (&expected.members, &found.members) else {
        if same.iter().any(|name| *name != PLPGSQL) {
            let text = "what users put on the objects of extensions, because the backup does not record it";
            result.not_compared.push(text.to_owned());
        }
        return;
    };
    // That they are not compared was told with the other definitions.
    if result.other_major {
        return;
    }
    if was.len() >= MOST || is.len() >= MOST {
        let text = format!("the objects of extensions after the first {MOST}");
        result.not_compared.push(text);
        return;
    }
    let privileges = |members: &[Member]| members.iter().any(|m| m.kind.starts_with(PRIVILEGES));
    let unrecorded = !privileges(was) && privileges(is);
    if unrecorded {
        let text = "privileges that CREATE EXTENSION gives and a dump takes for granted, because the backup records none";
        result.not_compared.push(text.to_owned());
    }
    // Who gave privileges on an object that is no extension's is not known: the scripts of all, then.
    let scripts = same.len() == expected.extensions.len();
    let of = |members: &'_ [Member]| -> BTreeMap<(String, Name, String), Member> {
        let ours = members.iter().filter(|m| match m.extension.as_str() {
            _ if unrecorded && m.kind.starts_with(PRIVILEGES) => false,
            "" => scripts,
            extension => same.contains(extension),
        });
        let key = |m: &Member| (m.kind.clone(), m.name.clone(), m.extension.clone());
        ours.map(|m| (key(m), m.clone())).collect()
    };
    let (was, is) = (of(was), of(is));
    let names = |all: &BTreeMap<(String, Name, String), Member>| -> BTreeSet<Name> {
        all.values().map(|m| m.name.clone()).collect()
    };
    let (had, has) = (names(&was), names(&is));
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    for key in keys {
        let (left, right) = (was.get(key), is.get(key));
        // What stands on a table that only one side has is told with the table.
        let lone = |m: &Member| {
            let on = m.on.as_ref();
            on.is_some_and(|on| had.contains(on) != has.contains(on))
        };
        let text = |m: Option<&Member>| m.map(|m| (m.fingerprint.clone(), m.on.clone()));
        if text(left) == text(right) || left.or(right).is_some_and(lone) {
            continue;
        }
        let by = match key.2.as_str() {
            "" => "by a script of an extension".to_owned(),
            extension => format!("extension {extension}"),
        };
        let privileges = key.0.starts_with(PRIVILEGES);
        let (expected, found) = match (left, right) {
            (Some(_), Some(_)) if privileges => ("others", "as CREATE EXTENSION gives them"),
            (Some(_), None) if privileges => ("others", "the default"),
            (None, _) if privileges => ("the default", "as CREATE EXTENSION gives them"),
            (Some(_), Some(_)) => ("one that was changed", "as CREATE EXTENSION makes it"),
            (Some(_), None) => ("there", "not made by CREATE EXTENSION"),
            (None, _) => ("dropped", "made by CREATE EXTENSION"),
        };
        let expected = format!("{expected} ({by})");
        result
            .lost
            .push(Difference::new(&key.0, key.1.display(), expected, found));
    }
}

/// Rows outside the filter of an extension's configuration table: no dump holds them, and `CREATE EXTENSION` makes its own.
pub(super) fn beyond(expected: &Contents, found: &Contents, result: &mut Comparison) {
    if expected.members.is_none() {
        // A backup of an earlier version, which is told with the objects.
        return;
    }
    let (was, is) = (pairs(&expected.extensions), pairs(&found.extensions));
    let of = |contents: &Contents| -> BTreeMap<(Name, Name), Beyond> {
        let all = contents.beyond.iter();
        all.map(|b| ((b.schema.clone(), b.name.clone()), b.clone()))
            .collect()
    };
    let (recorded, now) = (of(expected), of(found));
    let keys: BTreeSet<_> = recorded.keys().chain(now.keys()).collect();
    for key in keys {
        let relation = |contents: &'_ Contents| -> Option<(String, bool)> {
            let mut relations = contents.relations.iter();
            let table = relations.find(|r| (&r.schema, &r.name) == (&key.0, &key.1))?;
            Some((table.extension.clone()?, table.hash.is_some()))
        };
        let Some((extension, hashed)) = relation(expected).or_else(|| relation(found)) else {
            continue;
        };
        let version = is.get(extension.as_str());
        if version.is_none() || version != was.get(extension.as_str()) {
            continue;
        }
        let (left, right) = (recorded.get(key), now.get(key));
        let hash = |rows: Option<&Beyond>| rows.and_then(|b| b.hash.clone()).filter(|_| hashed);
        let rows = |rows: Option<&Beyond>| rows.map(|b| b.rows);
        if rows(left) == rows(right) && hash(left) == hash(right) {
            continue;
        }
        let text = |rows: Option<&Beyond>, what: &str| match rows {
            Some(Beyond { rows: 1, .. }) => format!("1 {what}"),
            Some(Beyond { rows, .. }) => format!("{rows} {what}"),
            None => format!("no {what}"),
        };
        result.lost.push(Difference::new(
            "rows outside the filter of",
            full(&key.0, &key.1),
            text(left, "that were there"),
            text(right, &format!("that CREATE EXTENSION {extension} made")),
        ));
    }
}
