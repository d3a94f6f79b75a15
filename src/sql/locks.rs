//! What each form of a statement locks, rewrites and reads on each major: measured on real servers by `make lint-table`, and read here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use serde::Serialize;

use super::name::Name;

const MEASURED: &str = include_str!("locks.tsv");
const FUNCTIONS: &str = include_str!("functions.txt");

/// How strongly a relation is locked, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LockMode {
    /// `ACCESS SHARE`.
    AccessShare,
    /// `ROW SHARE`.
    RowShare,
    /// `ROW EXCLUSIVE`.
    RowExclusive,
    /// `SHARE UPDATE EXCLUSIVE`.
    ShareUpdateExclusive,
    /// `SHARE`: writes wait from here on.
    Share,
    /// `SHARE ROW EXCLUSIVE`.
    ShareRowExclusive,
    /// `EXCLUSIVE`.
    Exclusive,
    /// `ACCESS EXCLUSIVE`: reads wait too.
    AccessExclusive,
}

const MODES: [(LockMode, &str); 8] = [
    (LockMode::AccessShare, "ACCESS SHARE"),
    (LockMode::RowShare, "ROW SHARE"),
    (LockMode::RowExclusive, "ROW EXCLUSIVE"),
    (LockMode::ShareUpdateExclusive, "SHARE UPDATE EXCLUSIVE"),
    (LockMode::Share, "SHARE"),
    (LockMode::ShareRowExclusive, "SHARE ROW EXCLUSIVE"),
    (LockMode::Exclusive, "EXCLUSIVE"),
    (LockMode::AccessExclusive, "ACCESS EXCLUSIVE"),
];

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = MODES.iter().find(|(mode, _)| mode == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}

/// A relation that a statement names, and how it locks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    /// The relation.
    pub name: Name,
    /// The strongest lock on it, on any major.
    pub mode: LockMode,
}

/// What a form does, by the part that each relation plays in it: `table`, `referenced`, `parent`, `default` …
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) locks: BTreeMap<&'static str, LockMode>,
    pub(super) rewrites: BTreeSet<&'static str>,
    pub(super) reads: BTreeSet<&'static str>,
}

struct Row {
    first: u16,
    last: u16,
    effect: Effect,
}

fn measured() -> &'static BTreeMap<&'static str, Vec<Row>> {
    static TABLE: OnceLock<BTreeMap<&'static str, Vec<Row>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table: BTreeMap<_, Vec<Row>> = BTreeMap::new();
        for line in MEASURED.lines().skip(1) {
            if let Some((form, row)) = row(line) {
                table.entry(form).or_default().push(row);
            }
        }
        table
    })
}

fn row(line: &'static str) -> Option<(&'static str, Row)> {
    let mut fields = line.split('\t');
    let (form, majors) = (fields.next()?, fields.next()?);
    let (first, last) = majors.split_once('-').unwrap_or((majors, majors));
    let list = |field: Option<&'static str>| {
        let parts = field.unwrap_or_default().split(", ");
        parts.filter(|p| !p.is_empty()).collect::<Vec<_>>()
    };
    let locks = list(fields.next());
    let locks = locks.into_iter().filter_map(|lock| {
        let (part, name) = lock.split_once('=')?;
        let mode = MODES.iter().find(|(_, n)| *n == name)?;
        Some((part, mode.0))
    });
    let effect = Effect {
        locks: locks.collect(),
        rewrites: list(fields.next()).into_iter().collect(),
        reads: list(fields.next()).into_iter().collect(),
    };
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    Some((
        form,
        Row {
            first,
            last,
            effect,
        },
    ))
}

/// What a form does on a major; on one that was not measured as on its neighbours; where it is not known, the worst of all.
pub(super) fn effect(form: &str, major: Option<u16>) -> Effect {
    let rows = measured().get(form).map(Vec::as_slice).unwrap_or_default();
    let newest = rows.iter().map(|r| r.last).max().unwrap_or_default();
    let major = major.map(|m| m.min(newest));
    let here: Vec<&Row> = rows
        .iter()
        .filter(|r| major.is_none_or(|m| (r.first..=r.last).contains(&m)))
        .collect();
    let all: Vec<&Row> = rows.iter().collect();
    let mut worst = Effect::default();
    for row in if here.is_empty() { all } else { here } {
        for (part, mode) in &row.effect.locks {
            let strongest = worst.locks.entry(part).or_insert(*mode);
            *strongest = (*strongest).max(*mode);
        }
        worst.rewrites.extend(&row.effect.rewrites);
        worst.reads.extend(&row.effect.reads);
    }
    worst
}

/// Whether rows are read or written again while those who write them wait.
pub(super) fn costs(form: &str, major: Option<u16>) -> bool {
    let effect = effect(form, major);
    let mut parts = effect.rewrites.union(&effect.reads);
    parts.any(|part| {
        effect
            .locks
            .get(part)
            .is_some_and(|mode| *mode >= LockMode::Share)
    })
}

/// Whether a function of the server, or of a module of PostgreSQL's own, gives each row a value of its own. None: it is another's.
pub(super) fn volatile(function: &str) -> Option<bool> {
    static KNOWN: OnceLock<BTreeMap<&'static str, bool>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let lines = FUNCTIONS.lines().filter_map(|line| line.split_once(' '));
        lines
            .map(|(kind, name)| (name, kind == "volatile"))
            .collect()
    });
    known.get(function).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = MEASURED.lines().skip(1);
        for line in lines.clone() {
            assert!(row(line).is_some(), "{line}");
        }
        let rows: usize = measured().values().map(Vec::len).sum();
        assert_eq!(rows, lines.count());
        assert!(rows > 100, "only {rows}");
        let names = FUNCTIONS.lines().count();
        assert!(names > 2_000, "only {names} functions");
    }

    #[test]
    fn a_form_is_asked_by_its_major() {
        assert!(costs("add-check", None));
        assert!(!costs("add-check-not-valid", Some(15)));
        assert!(!costs("validate-check", Some(17)));
        assert!(costs("set-expression", Some(30)));
        let referenced = effect("drop-foreign-key", Some(14)).locks;
        assert_eq!(
            referenced.get("referenced"),
            Some(&LockMode::AccessExclusive)
        );
        assert_eq!(volatile("gen_random_uuid"), Some(true));
        assert_eq!(volatile("timezone"), Some(false));
        assert_eq!(volatile("of_somebody_else"), None);
    }
}
