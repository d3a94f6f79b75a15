//! Rows and content of every table of a backup against those of a database. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::differences::{Comparison, Difference};
use super::extensions::{self, Versions};
use crate::manifest::{Contents, Name, Relation};

/// Why the content of some tables was not compared.
pub const NO_HASH: &str = "which have no hash to compare with";

pub(super) fn full(schema: &Name, name: &Name) -> String {
    format!("{}.{}", schema.display(), name.display())
}

type Named<'a> = BTreeMap<(&'a Name, &'a Name), &'a Relation>;

/// Rows and content of every table. Answers the tables that only one side has, whose absence is told here.
pub(super) fn tables<'a>(
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
    let versions = Versions::of(expected, found);
    let mut absent = BTreeSet::new();
    let mut unhashed = 0_usize;
    let mut unrecorded = 0_usize;
    let mut roots: BTreeMap<&(Name, Name), (Whole, Whole)> = BTreeMap::new();
    for (key, table) in &was {
        let name = full(key.0, key.1);
        if !extensions::adds_up(table) {
            result.differs("contents.json", name, "lines of its hash", "others");
            continue;
        }
        let Some(now) = is.get(key) else {
            if table.extension.is_some() {
                extensions::alone(table, false, left_out.contains(key), &versions, result);
                continue;
            }
            absent.insert(*key);
            // Nothing in the system's schemas is in any dump: the backup says so, and contents.json names it.
            if left_out.contains(key) && key.0.display() == "information_schema" {
                let note = format!("{name}: the backup says that it left it out");
                result.notes.push(note);
            } else {
                result.differs("table", name, rows(table), "missing");
            }
            continue;
        };
        if let Some(root) = &table.loaded_through {
            let (was, is) = roots.entry(root).or_default();
            was.add(table);
            is.add(now);
            is.other_columns |= other_columns(table, now);
            continue;
        }
        if left_out.contains(key) {
            result
                .notes
                .push(format!("{name}: its rows are not in the backup"));
            continue;
        }
        result.tables += 1;
        if table.hash == now.hash {
            let values = (generated(table), generated(now));
            unrecorded += usize::from(!computed_alike(&name, values, result));
        }
        if table.extension.is_some() && table.extension == now.extension {
            extensions::table(table, now, &versions, result);
            unhashed += usize::from(table.hash.is_none());
            continue;
        }
        let before = result.differences.len() + result.undecided.len();
        match (&table.hash, &now.hash) {
            _ if table.rows != now.rows => {
                result.differs("rows", name, rows(table), rows(now));
            }
            (Some(was), Some(is))
                if was != is || other_columns(table, now) || table.bytes != now.bytes =>
            {
                let text = |r: &Relation| {
                    let columns = r.columns.as_ref().map_or(0, Vec::len);
                    format!(
                        "{}, {columns} columns, {} bytes, {}",
                        rows(r),
                        r.bytes.unwrap_or_default(),
                        r.hash.as_deref().unwrap_or_default()
                    )
                };
                let differs = Difference::new("content", name, text(table), text(now));
                match versions.of_types(now) {
                    Some(other) => result.undecided.push(Difference {
                        found: format!("{} ({other})", differs.found),
                        ..differs
                    }),
                    None => result.differences.push(Difference {
                        found: format!("{}{}", differs.found, of_text(now)),
                        ..differs
                    }),
                }
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
            (None, _) => {
                unhashed += 1;
                continue;
            }
        }
        if result.differences.len() + result.undecided.len() == before {
            result.equal += 1;
            result.rows = result.rows.saturating_add(table.rows.unwrap_or_default());
        }
    }
    for (root, (was, is)) in &roots {
        let name = full(&root.0, &root.1);
        result.tables += was.parts;
        if was.rows != is.rows {
            let text = |whole: &Whole| format!("{} rows in all partitions", whole.rows);
            result.differs("rows", name, text(was), text(is));
        } else if was.unhashed > 0 {
            unhashed += was.parts;
        } else if was.hash != is.hash
            || was.bytes != is.bytes
            || is.unhashed > 0
            || is.other_columns
        {
            let text = |whole: &Whole| {
                let columns = if whole.other_columns {
                    ", other columns"
                } else {
                    ""
                };
                format!(
                    "{} rows in all partitions, {} bytes, {:032x}{columns}",
                    whole.rows, whole.bytes, whole.hash
                )
            };
            result.differs("content", name, text(was), text(is));
        } else {
            let values = (was.generated(), is.generated());
            unrecorded += usize::from(!computed_alike(&name, values, result));
            result.equal += was.parts;
            result.rows = result.rows.saturating_add(was.rows);
        }
    }
    if unrecorded > 0 {
        result.not_compared.push(format!(
            "the values of generated columns in {unrecorded} of the tables, which the backup does not record"
        ));
    }
    if unhashed > 0 {
        let why = match expected.line_key {
            None => "because the backup has no hashes (contentHash: Off)",
            Some(_) => NO_HASH,
        };
        let text = format!("the content of {unhashed} of the tables, {why}");
        result.not_compared.push(text);
    }
    for (key, table) in &is {
        if !was.contains_key(key) && table.extension.is_some() {
            extensions::alone(table, true, false, &versions, result);
        } else if !was.contains_key(key) {
            result.differs("table", full(key.0, key.1), "missing", rows(table));
            absent.insert(*key);
        }
    }
    absent
}

/// Whether others were hashed than were recorded. An earlier version did not record generated ones.
fn other_columns(was: &Relation, is: &Relation) -> bool {
    let generated = |table: &Relation| table.generated.as_ref().map(|g| g.columns.clone());
    let recorded = generated(was).is_some();
    was.columns != is.columns || recorded && generated(was) != generated(is)
}

/// A sum of lines with generated columns.
enum Values {
    /// There are no such columns.
    None,
    /// They could not be read, or an earlier version did not.
    Unread,
    Sum(u128),
}

fn generated(table: &Relation) -> Values {
    match &table.generated {
        None => Values::None,
        Some(generated) => match generated.hash.as_deref().and_then(sum) {
            Some(sum) => Values::Sum(sum),
            None => Values::Unread,
        },
    }
}

/// Values of stored generated columns, where the others are equal (G21). No dump holds them: a restore computes them by the
/// expression as it is now. Answers whether they were compared.
fn computed_alike(name: &str, both: (Values, Values), result: &mut Comparison) -> bool {
    match both {
        (Values::None, Values::None) => true,
        (Values::Sum(was), Values::Sum(is)) => {
            if was != is {
                let (was, is) = (
                    format!("{was:032x}"),
                    format!(
                        "{is:032x}, computed anew (what they are computed from was changed since some rows were written; to write those rows again at the source makes it equal: UPDATE … SET column = column; or their function reads another table, which is filled later)"
                    ),
                );
                let what = "values of generated columns of";
                result
                    .lost
                    .push(Difference::new(what, name.to_owned(), was, is));
            }
            true
        }
        _ => false,
    }
}

/// Partitions together, where a row may come back in another of them (G25).
#[derive(Default)]
struct Whole {
    parts: usize,
    rows: i64,
    bytes: i64,
    hash: u128,
    unhashed: usize,
    other_columns: bool,
    values: u128,
    /// Parts with generated columns, and of those the ones whose values were not read.
    generated: usize,
    unread: usize,
}

impl Whole {
    fn generated(&self) -> Values {
        match (self.generated, self.unread) {
            (0, _) => Values::None,
            (_, 0) => Values::Sum(self.values),
            _ => Values::Unread,
        }
    }

    fn add(&mut self, part: &Relation) {
        self.parts += 1;
        self.rows = self.rows.saturating_add(part.rows.unwrap_or_default());
        self.bytes = self.bytes.saturating_add(part.bytes.unwrap_or_default());
        let hash = part.hash.as_deref();
        // Partitions have their columns in one order, so their sums add up (docs/format.md).
        match hash.and_then(sum) {
            Some(hash) => self.hash = self.hash.wrapping_add(hash),
            None => self.unhashed += 1,
        }
        match generated(part) {
            Values::None => {}
            Values::Unread => (self.generated, self.unread) = (self.generated + 1, self.unread + 1),
            Values::Sum(values) => {
                self.generated += 1;
                self.values = self.values.wrapping_add(values);
            }
        }
    }
}

fn sum(hex: &str) -> Option<u128> {
    u128::from_str_radix(hex, 16).ok()
}

/// What explains it without a fault of the backup: a type whose text does not give its value back, as that of some numbers.
fn of_text(now: &Relation) -> String {
    let Some(extension) = now.types_of.first() else {
        return String::new();
    };
    format!(
        " (a column has a type of extension {extension}: where the text of a type does not give its value back, no dump holds the value)"
    )
}

fn rows(relation: &Relation) -> String {
    match relation.rows {
        Some(1) => "1 row".to_owned(),
        Some(n) => format!("{n} rows"),
        None => "rows not counted".to_owned(),
    }
}
