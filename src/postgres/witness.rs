//! The dump's table of contents against the census, and what of it `contents.json` records (G3c, G23).

use std::collections::{HashMap, HashSet};

use super::error::PgError;
use super::toc::{SEQUENCE_SET, Toc, broken};
use crate::api::Reason;
use crate::manifest::{Contents, Name, SchemaEntry, Sequence};

/// Entries that stand for data, or for where it stands: no part of the schema (G23).
const DATA: [&str; 4] = ["TABLE DATA", "SEQUENCE SET", "BLOBS", "STATISTICS DATA"];

/// Writes down what the dump says of schema and sequences (G23, G24).
///
/// # Errors
/// `DumpIncomplete` if a sequence's position cannot be read.
pub fn record(contents: &mut Contents, toc: &Toc) -> Result<(), PgError> {
    let through: HashMap<(&Name, &Name), &(Name, Name)> = toc
        .entries
        .iter()
        .filter(|e| e.desc == "TABLE DATA")
        .filter_map(|e| Some(((&e.namespace, &e.tag), e.loaded_through.as_ref()?)))
        .collect();
    for relation in &mut contents.relations {
        let root = through.get(&(&relation.schema, &relation.name));
        relation.loaded_through = root.map(|root| (*root).clone());
    }
    for entry in &toc.entries {
        if entry.desc == SEQUENCE_SET {
            let (last_value, is_called) =
                setval(&entry.definition.to_bytes()).ok_or_else(|| {
                    broken(&format!(
                        "the position of the sequence {} is not as expected",
                        entry.tag.display()
                    ))
                })?;
            contents.sequences.push(Sequence {
                schema: entry.namespace.clone(),
                name: entry.tag.clone(),
                last_value,
                is_called,
            });
        }
        if !DATA.contains(&entry.desc.as_str()) {
            contents.entries.push(SchemaEntry {
                desc: entry.desc.clone(),
                namespace: entry.namespace.clone(),
                tag: entry.tag.clone(),
                owner: entry.owner.clone(),
                definition: entry.definition.clone(),
                access_method: entry.access_method.clone(),
                tablespace: entry.tablespace.clone(),
            });
        }
    }
    contents.entries.sort();
    contents.sequences.sort();
    Ok(())
}

/// `SELECT pg_catalog.setval('public.s', 41, true);` → 41 and true. The name may hold anything, in any encoding.
fn setval(sql: &[u8]) -> Option<(i64, bool)> {
    let sql = String::from_utf8_lossy(sql);
    let arguments = sql.trim_end().strip_suffix(");")?;
    let (head, called) = arguments.rsplit_once(", ")?;
    let (_, value) = head.rsplit_once(", ")?;
    Some((value.parse().ok()?, called.parse().ok()?))
}

/// Holds census and dump against each other: each table stands in the dump with its data, or among
/// what was left out with a reason (G3c).
///
/// # Errors
/// `DumpIncomplete`, naming what is missing.
pub fn compare(contents: &Contents, toc: &Toc) -> Result<(), PgError> {
    let data: HashSet<(&Name, &Name)> = toc
        .entries
        .iter()
        .filter(|e| e.desc == "TABLE DATA" && e.has_data)
        .map(|e| (&e.namespace, &e.tag))
        .collect();
    let left_out: HashSet<(&Name, &Name)> = contents
        .left_out
        .iter()
        .map(|l| (&l.schema, &l.name))
        .collect();
    let missing: Vec<String> = contents
        .relations
        .iter()
        // An extension's table without rows loses nothing, whether pg_dump knows it or not.
        .filter(|r| r.kind == 'r' && (r.extension.is_none() || r.rows != Some(0)))
        .filter(|r| {
            !data.contains(&(&r.schema, &r.name)) && !left_out.contains(&(&r.schema, &r.name))
        })
        .map(|r| format!("{}.{}", r.schema.display(), r.name.display()))
        .collect();
    if let Some(count) = std::num::NonZeroUsize::new(missing.len()) {
        let few: Vec<&str> = missing.iter().take(5).map(String::as_str).collect();
        return Err(PgError::later(
            Reason::DumpIncomplete,
            format!(
                "pg_dump left out the data of {count} table(s) that the census has: {}",
                few.join(", ")
            ),
        ));
    }
    let objects = contents
        .census
        .get("largeObjects")
        .copied()
        .unwrap_or_default();
    if objects > 0 && !toc.entries.iter().any(|e| e.desc == "BLOBS" && e.has_data) {
        return Err(PgError::later(
            Reason::DumpIncomplete,
            format!("pg_dump left out {objects} large object(s) that the census has"),
        ));
    }
    Ok(())
}
