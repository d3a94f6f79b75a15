//! What a backup recorded against what a database holds now: both are [`Contents`], made in the same
//! way, so that comparing them is a matter of two documents. Pure.
//!
//! Both directions count: what is missing, and what nobody backed up. Nothing that was not compared
//! is called equal (P10, G28).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::manifest::{Contents, LargeObjects, Name, Relation, SchemaEntry};

/// One way in which a database is not what was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What kind of thing differs, for example `rows`, `content`, `FUNCTION`.
    pub what: String,
    /// Its name, for example `public.orders`.
    pub object: String,
    /// As it was backed up.
    pub expected: String,
    /// As it is.
    pub found: String,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Every inequality, tables first.
    pub differences: Vec<Difference>,
    /// Worth knowing, and no inequality: another version of an extension, of a collation.
    pub notes: Vec<String>,
    /// What could not be compared because the backup does not say it; empty: everything was (G28).
    pub not_compared: Vec<String>,
    /// Tables whose rows were compared.
    pub tables: usize,
    /// Tables whose rows were equal.
    pub equal: usize,
    /// Rows in those.
    pub rows: i64,
}

impl Comparison {
    /// Everything was compared and is equal.
    #[must_use]
    pub fn proves(&self) -> bool {
        self.differences.is_empty() && self.not_compared.is_empty()
    }

    fn differs(
        &mut self,
        what: &str,
        object: String,
        expected: impl ToString,
        found: impl ToString,
    ) {
        self.differences.push(Difference {
            what: what.to_owned(),
            object,
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
}

/// Compares a database with a backup.
#[must_use]
pub fn compare(expected: &Contents, found: &Contents) -> Comparison {
    let mut result = Comparison::default();
    let absent = tables(expected, found, &mut result);
    sequences(expected, found, &mut result);
    large_objects(expected, found, &mut result);
    entries(expected, found, &absent, &mut result);
    census(expected, found, &mut result);
    surroundings(expected, found, &mut result);
    result
}

fn full(schema: &Name, name: &Name) -> String {
    format!("{}.{}", schema.display(), name.display())
}

type Named<'a> = BTreeMap<(&'a Name, &'a Name), &'a Relation>;

/// Rows and content of every table. Answers the tables that only one side has, whose absence is told here.
fn tables<'a>(
    expected: &'a Contents,
    found: &'a Contents,
    result: &mut Comparison,
) -> BTreeSet<(&'a Name, &'a Name)> {
    let of = |contents: &'a Contents| -> Named<'a> {
        let tables = contents.relations.iter().filter(|r| r.kind == 'r');
        tables.map(|r| ((&r.schema, &r.name), r)).collect()
    };
    let left_out: BTreeSet<_> = expected
        .left_out
        .iter()
        .map(|l| (&l.schema, &l.name))
        .collect();
    let (was, is) = (of(expected), of(found));
    let mut absent = BTreeSet::new();
    let mut unhashed = 0_usize;
    for (key, table) in &was {
        let name = full(key.0, key.1);
        let Some(now) = is.get(key) else {
            result.differs("table", name, rows(table), "missing");
            absent.insert(*key);
            continue;
        };
        if left_out.contains(key) {
            result
                .notes
                .push(format!("{name}: its rows are not in the backup"));
            continue;
        }
        result.tables += 1;
        let before = result.differences.len();
        match (&table.hash, &now.hash) {
            _ if table.rows != now.rows => {
                result.differs("rows", name, rows(table), rows(now));
            }
            (Some(was), Some(is)) if was != is || table.columns != now.columns => {
                let text = |r: &Relation| {
                    let columns = r.columns.as_ref().map_or(0, Vec::len);
                    format!(
                        "{}, {columns} columns, {}",
                        rows(r),
                        r.hash.as_deref().unwrap_or_default()
                    )
                };
                result.differs("content", name, text(table), text(now));
            }
            (Some(_), None) => {
                result.differs(
                    "content",
                    name,
                    rows(table),
                    "cannot be read as it was backed up",
                );
            }
            (Some(_), Some(_)) => {}
            (None, _) => unhashed += 1,
        }
        if result.differences.len() == before {
            result.equal += 1;
            result.rows = result.rows.saturating_add(table.rows.unwrap_or_default());
        }
    }
    if unhashed > 0 {
        result.not_compared.push(format!(
            "the content of {unhashed} tables, because the backup has no hashes (contentHash: Off)"
        ));
    }
    for (key, table) in &is {
        if !was.contains_key(key) {
            result.differs("table", full(key.0, key.1), "missing", rows(table));
            absent.insert(*key);
        }
    }
    absent
}

fn rows(relation: &Relation) -> String {
    match relation.rows {
        Some(1) => "1 row".to_owned(),
        Some(n) => format!("{n} rows"),
        None => "rows not counted".to_owned(),
    }
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
    for key in keys {
        if was.get(key) != is.get(key) {
            let text = |value: Option<&String>| value.map_or("missing", String::as_str).to_owned();
            result.differs(
                "sequence",
                full(&key.0, &key.1),
                text(was.get(key)),
                text(is.get(key)),
            );
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

type Entries<'a> = BTreeMap<(&'a str, &'a Name, &'a Name), Vec<(&'a Name, &'a str)>>;

fn by_name(entries: &[SchemaEntry]) -> Entries<'_> {
    let mut all: Entries<'_> = BTreeMap::new();
    for entry in entries {
        let key = (entry.desc.as_str(), &entry.namespace, &entry.tag);
        all.entry(key)
            .or_default()
            .push((&entry.owner, entry.fingerprint.as_str()));
    }
    for same in all.values_mut() {
        same.sort();
    }
    all
}

/// Schema equality (G23): the entries of the two tables of contents.
fn entries(
    expected: &Contents,
    found: &Contents,
    absent: &BTreeSet<(&Name, &Name)>,
    result: &mut Comparison,
) {
    if expected.entries.is_empty() {
        result
            .not_compared
            .push("the schema, because the backup does not record it".to_owned());
        return;
    }
    let (was, is) = (by_name(&expected.entries), by_name(&found.entries));
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    for key in keys {
        let (desc, schema, tag) = key;
        let object = match (schema.display(), tag.display()) {
            (schema, tag) if schema.is_empty() && tag.is_empty() => "of the database".to_owned(),
            (schema, tag) if schema.is_empty() => tag,
            (schema, tag) => format!("{schema}.{tag}"),
        };
        match (was.get(key), is.get(key)) {
            (Some(was), Some(is)) if was == is => {}
            (Some(was), Some(is)) => {
                let owners = |entries: &[(&Name, &str)]| {
                    entries
                        .iter()
                        .map(|(owner, _)| owner.display())
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                let prints = |entries: &[(&Name, &str)]| {
                    let short = entries
                        .iter()
                        .map(|(_, print)| print.get(..12).unwrap_or(print));
                    short.collect::<Vec<_>>().join(", ")
                };
                if owners(was) != owners(is) {
                    result.differs("owner", format!("{desc} {object}"), owners(was), owners(is));
                }
                if prints(was) != prints(is) {
                    let text =
                        |entries: &[(&Name, &str)]| format!("definition {}", prints(entries));
                    result.differs(desc, object, text(was), text(is));
                }
            }
            (was, _) => {
                // A table that is missing was told, with its rows.
                if *desc != "TABLE" || !absent.contains(&(*schema, *tag)) {
                    let (left, right) = match was {
                        Some(_) => ("there", "missing"),
                        None => ("missing", "there"),
                    };
                    result.differs(desc, object, left, right);
                }
            }
        }
    }
}

/// A second witness beside the entries: how many there are of each kind in the catalogue (G3).
fn census(expected: &Contents, found: &Contents, result: &mut Comparison) {
    for (kind, was) in &expected.census {
        let is = found.census.get(kind).copied().unwrap_or_default();
        // A restore builds every index anew, those that were invalid at the source too.
        if *was != is && !(kind == "invalidIndexes" && is < *was) {
            result.differs("census", kind.clone(), was, is);
        }
    }
}

/// What surrounds the data: roles are part of it, versions are worth a note.
fn surroundings(expected: &Contents, found: &Contents, result: &mut Comparison) {
    for role in &expected.roles {
        if !found.roles.contains(role) {
            result.differs("role", role.clone(), "named by the database", "not named");
        }
    }
    let extensions: BTreeMap<&str, &str> = pairs(&found.extensions);
    for (name, was) in pairs(&expected.extensions) {
        // A missing one is missing among the entries.
        if let Some(is) = extensions.get(name).filter(|is| **is != was) {
            result
                .notes
                .push(format!("extension {name}: {is} instead of {was}"));
        }
    }
    for name in [
        "server_encoding",
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

fn pairs(list: &[(String, String)]) -> BTreeMap<&str, &str> {
    list.iter()
        .map(|(name, version)| (name.as_str(), version.as_str()))
        .collect()
}
