//! The files of a run: read, and refused as a set where no order can be had.

use std::collections::BTreeMap;

use super::Refusal;
use crate::api::Reason;
use crate::sql::{File, MOST_BYTES, order};

/// Reads the files of a run: names with their bytes, as a ConfigMap holds them. Sorted by version, those that lead back
/// beside those that they undo.
///
/// # Errors
/// More than [`MOST_BYTES`] in sum, a name without a version, one that another tool would run upwards (M2), a version twice.
pub fn read(named: &BTreeMap<String, Vec<u8>>) -> Result<Vec<File>, Refusal> {
    let bytes: usize = named.values().map(Vec::len).sum();
    if bytes > MOST_BYTES {
        return Err(invalid(format!(
            "the files are {} KiB together, at most {} KiB are taken: keep migrations that are long applied out of the \
             source, and load data otherwise than in a migration",
            bytes.div_ceil(1024),
            MOST_BYTES / 1024
        )));
    }
    let names: Vec<&str> = named.keys().map(String::as_str).collect();
    if let Some(name) = order::run_upwards(&names).first() {
        return Err(invalid(format!(
            "{name}: Supabase's own tool would run this file upwards; name it {}.sql.down",
            name.trim_end_matches(".down.sql")
        )));
    }
    let mut seen: BTreeMap<(Vec<u128>, bool), &str> = BTreeMap::new();
    for name in &names {
        if !order::is_migration(name) {
            return Err(invalid(format!(
                "{name} ends neither in .sql nor in .sql.down: leave it out of the source, or name it <version>_<name>.sql"
            )));
        }
        let version = order::version(name);
        if version.numbers.is_empty() {
            return Err(invalid(format!(
                "{name} has no version: name it <version>_<name>.sql, as 20261122093000_orders_index.sql; files that run \
                 each time they change (R__) are not run"
            )));
        }
        if let Some(other) = seen.insert((version.numbers, version.down), name) {
            return Err(invalid(format!(
                "{other} and {name} have the same version: which of them comes first?"
            )));
        }
    }
    let mut files: Vec<File> = named
        .iter()
        .flat_map(|(name, bytes)| File::parts(name, bytes))
        .collect();
    order::sort(&mut files, |f| f.name.clone());
    Ok(files)
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Reason::InvalidSpec, message)
}

/// A version in one spelling: `0012` and `12` are the same one.
#[must_use]
pub fn canonical(numbers: &[u128]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u128::to_string).collect();
    numbers.join(".")
}

/// Reads what [`canonical`] or a person wrote, to compare by.
#[must_use]
pub fn numbers(version: &str) -> Option<Vec<u128>> {
    let numbers = version.split('.').map(|n| n.parse().ok());
    numbers.collect()
}
