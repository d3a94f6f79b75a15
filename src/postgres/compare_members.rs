//! What a user made of extensions, held against what `CREATE EXTENSION` makes: no dump holds it (G4). Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::census::NOT_COUNTED;
use super::compare_tables::full;
use super::differences::{Comparison, Difference};
use super::extensions::pairs;
use super::members::MOST;
use crate::manifest::{Beyond, Contents, LeftOut, Member, Name};

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
    let members: BTreeSet<&Name> = was.iter().map(|m| &m.name).collect();
    let privileges = |m: &Member| m.kind.starts_with(PRIVILEGES) && members.contains(&m.name);
    let unrecorded = !was.iter().any(privileges) && is.iter().any(privileges);
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
        // What CREATE EXTENSION makes again is told as such.
        let object = key.0.strip_prefix(PRIVILEGES).map(|kind| {
            let kind = kind.to_owned();
            (kind, key.1.clone(), key.2.clone())
        });
        if object.is_some_and(|object| !was.contains_key(&object) && is.contains_key(&object)) {
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
            (None, _) => (
                "dropped, renamed, or taken out of the extension",
                "made by CREATE EXTENSION",
            ),
        };
        let expected = format!("{expected} ({by})");
        result
            .lost
            .push(Difference::new(&key.0, key.1.display(), expected, found));
    }
}

/// What the backup says that it left out, unless it is told with the rows of extensions (G3).
pub(super) fn left_out(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let relation = |left: &LeftOut| {
        let mut relations = expected.relations.iter();
        relations.find(|r| (&r.schema, &r.name) == (&left.schema, &left.name))
    };
    for left in &expected.left_out {
        match relation(left) {
            // Its data lies on another server, and was never here.
            Some(table) if table.kind == 'f' || table.extension.is_some() => {}
            Some(_) => {
                let rows = match left.rows {
                    NOT_COUNTED => "rows that nobody could count".to_owned(),
                    rows => count(rows, "rows"),
                };
                let found = format!("none ({})", left.why);
                let lost = Difference::new("table", left.display(), rows, found);
                result.lost.push(lost);
            }
            // The script of an extension wrote the same again.
            None if left.fingerprint.is_some() && found.left_out.contains(left) => {}
            // It is a state, and the same here.
            None if left.name.display().starts_with("table constraint ")
                && found.left_out.contains(left) => {}
            None if left.is_lost() => {
                let found = format!("not as it was ({})", left.why);
                let lost = Difference::new("object", left.display(), "what was there", found);
                result.lost.push(lost);
            }
            None => {}
        }
    }
}

fn count(rows: i64, what: &str) -> String {
    match rows {
        1 => format!("1 {}", what.replacen("rows", "row", 1)),
        rows => format!("{rows} {what}"),
    }
}

/// Rows of an extension's tables that no dump holds, those outside the filter of a configuration table or all of a table outside
/// its configuration list: `CREATE EXTENSION` makes its own (G4).
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
    let left_out = expected.left_out.iter().chain(&found.left_out);
    let left_out: BTreeSet<_> = left_out.map(|l| (&l.schema, &l.name)).collect();
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
        let (left, right) = (recorded.get(key), now.get(key));
        let whole = left_out.contains(&(&key.0, &key.1));
        let what = match whole {
            true => "rows of",
            false => "rows outside the filter of",
        };
        let text = |rows: Option<&Beyond>, what: &str| match rows {
            Some(beyond) => count(beyond.rows, what),
            None => format!("no {what}"),
        };
        let name = || full(&key.0, &key.1);
        let was_there = text(left, "rows that were there");
        let version = is.get(extension.as_str());
        if version.is_none() || version != was.get(extension.as_str()) {
            // Of rows within a filter the version is told; of these the dump has none, whatever another version makes.
            if whole && left.is_some_and(|left| left.rows > 0) {
                let found = format!("what another version of {extension} makes");
                result
                    .lost
                    .push(Difference::new(what, name(), was_there, found));
            }
            continue;
        }
        let hash = |rows: Option<&Beyond>| {
            let hash = rows.and_then(|b| b.hash.clone());
            hash.filter(|_| hashed || whole && expected.line_key.is_some())
        };
        let rows = |rows: Option<&Beyond>| rows.map(|b| b.rows).unwrap_or_default();
        if rows(left) == rows(right) && hash(left) == hash(right) {
            continue;
        }
        let made = text(
            right,
            &format!("rows that CREATE EXTENSION {extension} made"),
        );
        result
            .lost
            .push(Difference::new(what, name(), was_there, made));
    }
}
