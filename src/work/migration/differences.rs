//! Two states of a scratch server, held against each other without Lifeboat's own schema. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::manifest::{Contents, Name, ProofDifference, SchemaEntry, TouchedEntry};
use crate::postgres::compare::compare;
use crate::postgres::definition::{Tables, fingerprint};

/// The schema of the history.
const OWN: &str = "lifeboat";

fn is_own(name: &Name) -> bool {
    name.display() == OWN
}

/// Definitions that are Lifeboat's: its schema, what is in it, and the privileges on both.
fn is_own_entry(entry: &SchemaEntry) -> bool {
    let tag = entry.tag.display();
    is_own(&entry.namespace) || (entry.desc == "SCHEMA" && tag == OWN) || tag == "SCHEMA lifeboat"
}

/// Takes Lifeboat's own schema out: its rows change with every segment.
pub(super) fn without_history(mut contents: Contents) -> Contents {
    contents.relations.retain(|r| !is_own(&r.schema));
    contents.sequences.retain(|s| !is_own(&s.schema));
    contents.left_out.retain(|l| !is_own(&l.schema));
    contents.entries.retain(|e| !is_own_entry(e));
    contents
}

/// Fingerprint of all definitions.
pub(super) fn print(contents: &Contents) -> String {
    let tables = Tables::of(&contents.entries);
    let mut entries: Vec<&SchemaEntry> = contents.entries.iter().collect();
    entries.sort();
    let mut hash = Sha256::new();
    for entry in entries {
        let mut line = String::new();
        let (schema, tag, owner) = (&entry.namespace, &entry.tag, &entry.owner);
        let _ = writeln!(
            line,
            "{:?}",
            (
                &entry.desc,
                schema.display(),
                tag.display(),
                owner.display(),
                fingerprint(entry, &tables)
            )
        );
        hash.update(line.as_bytes());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) type Key = (String, Name, Name);

pub(super) fn by_key(contents: &Contents) -> BTreeMap<Key, Vec<(Name, String)>> {
    let tables = Tables::of(&contents.entries);
    let mut all: BTreeMap<Key, Vec<(Name, String)>> = BTreeMap::new();
    for entry in &contents.entries {
        let key = (
            entry.desc.clone(),
            entry.namespace.clone(),
            entry.tag.clone(),
        );
        let print = (entry.owner.clone(), fingerprint(entry, &tables));
        all.entry(key).or_default().push(print);
    }
    for same in all.values_mut() {
        same.sort();
    }
    all
}

/// Definitions that changed, and those of the tables that were locked against more than readers.
pub(super) fn touched(
    before: &Contents,
    after: &Contents,
    tables: &BTreeSet<(String, String)>,
) -> Vec<TouchedEntry> {
    let (was, is) = (by_key(before), by_key(after));
    let keys: BTreeSet<&Key> = was.keys().chain(is.keys()).collect();
    let of_table = |(_, schema, tag): &Key| {
        let (schema, tag) = (schema.display(), tag.display());
        tables.iter().any(|(s, name)| {
            // Constraints, triggers, policies and defaults stand under "<table> <name>", privileges under "TABLE <table>".
            let of = tag.strip_prefix(name.as_str());
            let whole = of.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
            *s == schema && (whole || tag == format!("TABLE {name}"))
        })
    };
    keys.into_iter()
        .filter(|key| was.get(*key) != is.get(*key) || of_table(key))
        .map(|key| TouchedEntry {
            desc: key.0.clone(),
            namespace: key.1.clone(),
            tag: key.2.clone(),
            before: was.get(key).cloned().unwrap_or_default(),
            after: is.get(key).cloned().unwrap_or_default(),
        })
        .collect()
}

/// What the way back did not restore, and what is worth a note: sequences never go back.
pub(super) fn not_restored(
    before: &Contents,
    back: &Contents,
) -> (Vec<ProofDifference>, Vec<String>) {
    let comparison = compare(before, back);
    let mut notes = comparison.notes;
    let (mut differences, mut sequences) = (Vec::new(), 0_usize);
    for d in comparison
        .differences
        .into_iter()
        .chain(comparison.undecided)
        .chain(comparison.lost)
    {
        // One that is there in both stands further on.
        let there = |text: &str| text != "missing";
        if d.what == "sequence" && there(&d.expected) && there(&d.found) {
            sequences += 1;
            continue;
        }
        differences.push(ProofDifference {
            what: d.what,
            object: d.object,
            expected: d.expected,
            found: d.found,
        });
    }
    if sequences > 0 {
        notes.push(format!(
            "{sequences} sequences stand further on after the way back: a sequence never goes back"
        ));
    }
    notes.extend(
        comparison
            .not_compared
            .iter()
            .map(|what| format!("after the way back this was not compared: {what}")),
    );
    (differences, notes)
}
