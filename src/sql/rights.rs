//! Which rights the files of a run need from the database as it is now: what they themselves make, drop or hand on is not asked for.

use std::collections::BTreeSet;

use super::change::Change;
use super::file::File;
use super::name::{Name, ObjectKind};
use super::need::Need;

/// A right, and the first statement that needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What the statement is: `CREATE INDEX`.
    pub verb: String,
    /// What it needs.
    pub need: Need,
    /// Schemas that statements before it made, dropped or handed on: of a name without a schema nobody knows whether it is in one of them.
    pub unsure: BTreeSet<String>,
}

/// What is not as it was when the first statement began.
#[derive(Default)]
struct Changed {
    all: bool,
    objects: bool,
    names: BTreeSet<String>,
    schemas: BTreeSet<String>,
}

impl Changed {
    fn note(&mut self, change: &Change) {
        self.all |= change.all;
        self.objects |= change.objects;
        self.names.extend(change.names.iter().cloned());
        self.schemas.extend(change.schemas.iter().cloned());
    }

    /// The schema does not count: a table that was moved has its name still.
    fn is_touched(&self, name: &Name) -> bool {
        let within = name.schema.as_ref();
        // `orders_pkey` and `orders_id_seq` come and go with `orders`.
        let with_its_table = |table: &String| {
            let rest = name.name.strip_prefix(table.as_str());
            rest.is_some_and(|rest| rest.starts_with('_'))
        };
        self.objects
            || self.names.contains(&name.name)
            || self.names.iter().any(with_its_table)
            || within.is_some_and(|schema| self.schemas.contains(schema))
    }

    fn leaves(&self, need: &Need) -> bool {
        match need {
            Need::Database | Need::Extension(_) | Need::Create(None) => true,
            Need::Create(Some(schema)) => !self.schemas.contains(schema),
            Need::Beside(name) | Need::May(name, _) => !self.is_touched(name),
            Need::Own { kind, name, .. } if *kind == ObjectKind::Schema => {
                !self.objects && !self.schemas.contains(&name.name)
            }
            Need::Own { name, .. } => !self.is_touched(name),
        }
    }
}

/// What the files need, in this order, each once. Of each file come how many of its statements are applied already.
#[must_use]
pub fn wanted<'f>(files: impl IntoIterator<Item = (&'f File, usize)>) -> Vec<Wanted> {
    let mut changed = Changed::default();
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for (file, applied) in files {
        for statement in file.statements.iter().skip(applied) {
            // Nobody knows any more.
            if changed.all {
                return wanted;
            }
            let needs = statement.asks.needs.iter();
            for need in needs.filter(|need| changed.leaves(need)) {
                if seen.insert(need.clone()) {
                    wanted.push(Wanted {
                        file: file.name.clone(),
                        line: statement.at.line,
                        verb: statement.verb.clone(),
                        need: need.clone(),
                        unsure: changed.schemas.clone(),
                    });
                }
            }
            changed.note(&statement.asks.change);
        }
    }
    wanted
}

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
