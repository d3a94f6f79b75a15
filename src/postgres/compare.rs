//! What a backup recorded against what a database holds now: both are [`Contents`], made in the same
//! way, so that comparing them is a matter of two documents. Pure.
//!
//! Both directions count: what is missing, and what nobody backed up. Nothing that was not compared
//! is called equal (P10, G28).

use std::collections::{BTreeMap, BTreeSet};

use super::compare_large;
use super::compare_majors::other_major;
use super::compare_public::public;
pub use super::compare_roles::{keep, mend};
use super::compare_schema::entries;
pub use super::compare_schema::{Reference, printed_alike, undecided};
pub use super::compare_tables::NO_HASH;
use super::compare_tables::{full, tables};
pub use super::differences::{Comparison, Difference, Printed};
use super::extensions::pairs;
use super::{compare_members, compare_roles};
use crate::manifest::{Contents, LargeObjects, Name};

/// Names of one kind that a difference holds.
const NAMED: usize = 10;

/// Compares a database with a backup.
#[must_use]
pub fn compare(expected: &Contents, found: &Contents) -> Comparison {
    compare_with(expected, found, None)
}

/// As [`compare`]; of definitions that neither their bytes nor the rules make equal, the reference decides, and who has read
/// both texts (G23).
#[must_use]
pub fn compare_with(
    expected: &Contents,
    found: &Contents,
    reference: Option<&Reference<'_>>,
) -> Comparison {
    let mut result = Comparison::default();
    let encoding = |contents: &Contents| contents.settings.get("server_encoding").cloned();
    if let (Some(was), Some(is)) = (encoding(expected), encoding(found))
        && was != is
    {
        result.not_compared.push(format!(
            "anything: the backup is in {was} and the database in {is}; restore into a database that was created with ENCODING '{was}'"
        ));
        return result;
    }
    let absent = tables(expected, found, &mut result);
    sequences(expected, found, &mut result);
    large_objects(expected, found, &mut result);
    let (was, is) = compare_large::alike(&expected.entries, &found.entries);
    other_major(expected, found, &mut result);
    entries((&was, &is), &absent, reference, &mut result);
    public(expected, found, &mut result);
    census(expected, found, &mut result);
    surroundings(expected, found, &mut result);
    compare_members::left_out(expected, found, &mut result);
    compare_members::beyond(expected, found, &mut result);
    compare_members::members(expected, found, &mut result);
    result
}

fn sequences(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let of = |contents: &Contents| -> BTreeMap<(Name, Name), String> {
        let all = contents.sequences.iter();
        all.map(|s| {
            let text = match s.is_called {
                true => format!("{} was given out", s.last_value),
                false => format!("{} comes next", s.last_value),
            };
            ((s.schema.clone(), s.name.clone()), text)
        })
        .collect()
    };
    let (was, is) = (of(expected), of(found));
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let mut owned = expected.of_extensions();
    owned.extend(found.of_extensions());
    for key in keys {
        if was.get(key) != is.get(key) {
            let text = |value: Option<&String>| value.map_or("missing", String::as_str).to_owned();
            let name = full(&key.0, &key.1);
            let (was, is) = (was.get(key), is.get(key));
            match owned.contains(&(&key.0, &key.1)) {
                true if was.is_none() => result.notes.push(format!(
                    "{name}: only the version of the extension here makes this sequence"
                )),
                true if is.is_none() => result.undecided.push(Difference::new(
                    "sequence",
                    name,
                    text(was),
                    "not one that this version of its extension has dumped",
                )),
                _ => result.differs("sequence", name, text(was), text(is)),
            }
        }
    }
}

fn large_objects(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let text = |objects: &LargeObjects| {
        format!(
            "{} of {} bytes, {}",
            objects.count, objects.bytes, objects.hash
        )
    };
    match (&expected.large_objects, &found.large_objects) {
        (Some(was), Some(is)) if was != is => {
            result.differs("large objects", "all".to_owned(), text(was), text(is));
        }
        (Some(was), None) => {
            result.differs("large objects", "all".to_owned(), text(was), "not read");
        }
        (None, _) if expected.census.get("largeObjects").is_some_and(|n| *n > 0) => {
            let what = "the content of the large objects, because the backup has no hashes (contentHash: Off)";
            result.not_compared.push(what.to_owned());
        }
        _ => {}
    }
}

/// A second witness beside the entries (G3): what there is in the catalogue, and how many of each kind.
fn census(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let of =
        |contents: &Contents, kind: &str| contents.census.get(kind).copied().unwrap_or_default();
    // What no dump shows: an index that is not used, a foreign key that nobody watches.
    // Those that the dump left out are none that could come back.
    let was = of(expected, "invalidIndexes").saturating_sub(expected.left_out_indexes());
    let is = of(found, "invalidIndexes");
    if is > was {
        result.differs("invalid indexes", named(&found.invalid_indexes), was, is);
    }
    let all_told = expected.names_left_out() && found.names_left_out();
    let kept = is.saturating_sub(found.left_out_indexes());
    if all_told && kept < was {
        // No dump says of the index of a partitioned table that it is not valid, where those of all partitions are.
        let lost = Difference::new("invalid indexes", "all".to_owned(), was, kept);
        result.lost.push(lost);
    }
    disabled_triggers(expected, found, result);
    if !result.differences.is_empty() {
        // They are counted among what was told already.
        return;
    }
    // Those that are not valid are in no dump, but for those of partitioned tables, which a restore may mend.
    let dumped = |contents: &Contents| {
        let gone = match all_told {
            true => contents.left_out_indexes(),
            false => of(contents, "invalidIndexes"),
        };
        of(contents, "indexes").saturating_sub(gone)
    };
    let counts = [
        "constraints",
        "functions",
        "largeObjects",
        "policies",
        "triggers",
        "types",
    ];
    let counted = counts.map(|kind| (kind, of(expected, kind), of(found, kind)));
    for (kind, was, is) in counted
        .into_iter()
        .chain([("indexes", dumped(expected), dumped(found))])
    {
        // From 18 on NOT NULL is a constraint too, and from 15 on a partition's copy of a trigger is no internal one.
        let counted_otherwise = result.other_major && ["constraints", "triggers"].contains(&kind);
        if was != is && !counted_otherwise {
            result.differs("census", kind.to_owned(), was, is);
        }
    }
    relations(expected, found, result);
    collations(expected, found, result);
}

/// Triggers of the server's own that are switched off. A dump does not say so of those whose constraints `leftOut` names; all
/// others come back so.
fn disabled_triggers(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let of = |contents: &Contents, kind: &str| contents.census.get(kind).copied();
    let all = |contents: &Contents| of(contents, "disabledTriggers").unwrap_or_default();
    let (was, is) = (all(expected), all(found));
    let left_is = of(found, "leftOutTriggers").unwrap_or_default();
    // A backup of an earlier version says which constraints they are, and not how many triggers.
    let unsaid = || {
        let most = expected.most_left_out_triggers();
        left_is.saturating_add(was.saturating_sub(is).clamp(0, most))
    };
    let left_was = of(expected, "leftOutTriggers").unwrap_or_else(unsaid);
    let (kept_was, kept_is) = (was.saturating_sub(left_was), is.saturating_sub(left_is));
    // Before 15 a partition's copy of a user's trigger is one of the server's own.
    let more = match result.other_major {
        true => is > was,
        false => kept_is > kept_was || left_is > left_was,
    };
    let what = "disabled triggers of constraints";
    let text = |all, left| format!("{all}, {left} of them in no dump");
    if more {
        let (was, is) = (text(was, left_was), text(is, left_is));
        result.differs(what, "all".to_owned(), was, is);
    } else if kept_is < kept_was && !result.other_major {
        let lost = Difference::new(what, "all".to_owned(), kept_was, kept_is);
        result.lost.push(lost);
    }
}

/// As many names as fit in a sentence.
fn named(names: &[Name]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(Name::display).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Relations of every kind. Those of an extension may come and go with its version.
fn relations(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let of = |contents: &Contents| -> BTreeMap<(Name, Name), (String, bool)> {
        let all = contents.relations.iter();
        all.filter(|r| r.schema.display() != "information_schema")
            .map(|r| {
                let extension = r.extension.as_deref();
                let of = extension.map_or(String::new(), |name| format!(" of extension {name}"));
                let text = format!("kind {}{of}", r.kind);
                (
                    (r.schema.clone(), r.name.clone()),
                    (text, extension.is_some()),
                )
            })
            .collect()
    };
    let (was, is) = (of(expected), of(found));
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    for key in keys {
        let (was, is) = (was.get(key), is.get(key));
        let extensions = [was, is].into_iter().flatten().all(|(_, of)| *of);
        if was != is && !(extensions && (was.is_none() || is.is_none())) {
            let text = |one: Option<&(String, bool)>| {
                one.map_or("missing", |(text, _)| text.as_str()).to_owned()
            };
            result.differs("relation", full(&key.0, &key.1), text(was), text(is));
        }
    }
}

/// Collations of the database's own: those of the system are as the server's image has them.
fn collations(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let of = |contents: &Contents| -> BTreeMap<(Name, Name), char> {
        let own = contents.collations.iter();
        own.filter(|c| c.schema.display() != "pg_catalog")
            .map(|c| ((c.schema.clone(), c.name.clone()), c.provider))
            .collect()
    };
    let (was, is) = (of(expected), of(found));
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    for key in keys {
        let text = |provider: Option<&char>| match provider {
            Some(provider) => format!("provider {provider}"),
            None => "missing".to_owned(),
        };
        if was.get(key) != is.get(key) {
            let name = full(&key.0, &key.1);
            result.differs("collation", name, text(was.get(key)), text(is.get(key)));
        }
    }
}

/// What surrounds the data: roles are part of it, versions are worth a note.
fn surroundings(expected: &Contents, found: &Contents, result: &mut Comparison) {
    compare_roles::roles(expected, found, result);
    let (was, is) = (pairs(&expected.extensions), pairs(&found.extensions));
    let names: BTreeSet<&str> = was.keys().chain(is.keys()).copied().collect();
    for name in names {
        match (was.get(name), is.get(name)) {
            (Some(was), Some(is)) if was == is => {}
            (Some(was), Some(is)) => result
                .notes
                .push(format!("extension {name}: {is} instead of {was}")),
            // A new database has it, and no dump says that one had not.
            (None, _) if name == "plpgsql" => {}
            (was, _) => {
                let (left, right) = match was {
                    Some(_) => ("there", "missing"),
                    None => ("missing", "there"),
                };
                result.differs("extension", name.to_owned(), left, right);
            }
        }
    }
    for name in [
        "lc_collate",
        "lc_ctype",
        "locale_provider",
        "locale",
        "collation_version",
        "lc_monetary",
    ] {
        let (was, is) = (expected.settings.get(name), found.settings.get(name));
        if was != is {
            let text = |value: Option<&String>| value.map_or("none", String::as_str).to_owned();
            result
                .notes
                .push(format!("{name}: {} instead of {}", text(is), text(was)));
        }
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
