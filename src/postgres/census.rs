//! The census: what the catalogue says is there, and how many rows, under the dump's snapshot (G3). A witness beside the stream.

use std::collections::HashMap;

use super::census_hash::read_busy;
use super::content::{LineKey, Read, Rows};
use super::coordinator::Coordinator;
use super::counts;
use super::error::PgError;
use super::facts;
use super::left_out::{OF_SYSTEM, left_out};
use super::members::members;
use super::relations::{self, Found, relations, why};
use super::step::{Observer, Step};
use crate::manifest::{Beyond, Contents, FORMAT_VERSION, LeftOut, Relation};

/// Rows of `leftOut` where they cannot be counted.
pub const NOT_COUNTED: i64 = -1;

/// What is there, with every row counted and none read yet.
#[derive(Debug)]
pub struct Census {
    /// What was found.
    pub contents: Contents,
    pub(super) tables: Vec<Table>,
    /// Extensions' tables without a row that no dump holds: place among the relations and oid. They have a hash, and are not read.
    pub(super) empty: Vec<(usize, u32)>,
    /// Busy tables that were read already, by oid.
    pub(super) read: HashMap<u32, (Rows, Read)>,
}

/// A table whose rows are read.
#[derive(Debug)]
pub(super) struct Table {
    /// Its place among the relations.
    pub(super) at: usize,
    pub(super) oid: u32,
    pub(super) schema: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) filter: String,
    /// Queries on it can be planned.
    pub(super) planned: bool,
    /// Its rows are in the dump; else all of them are beyond it.
    pub(super) dumped: bool,
}

/// Reads the catalogue and counts the rows of every table, on the coordinator's connection and
/// under its snapshot.
///
/// # Errors
/// Those of a query; `QueryFailed` for a NOTICE or WARNING (G3).
pub async fn take(coordinator: &Coordinator, observer: &dyn Observer) -> Result<Census, PgError> {
    take_beside(coordinator, None, async { Ok(()) }, async {}, observer).await
}

/// As [`take`], beside a dump. Busy tables are counted first and, with a key, hashed; then `released` lets go of their locks, and all
/// others are counted when pg_dump had the machine for itself for a moment (`dumped`).
///
/// # Errors
/// As [`take`].
pub async fn take_beside(
    coordinator: &Coordinator,
    key: Option<LineKey>,
    released: impl Future<Output = Result<(), PgError>>,
    dumped: impl Future<Output = ()>,
    observer: &dyn Observer,
) -> Result<Census, PgError> {
    let client = coordinator.client();
    let (mut tables, mut empty) = (Vec::new(), Vec::new());
    let found = relations(coordinator).await?;
    let mut types_of = facts::types_of(client).await?;
    let mut contents = Contents {
        format: FORMAT_VERSION,
        census: counts::objects(client).await?,
        invalid_indexes: counts::invalid_indexes(client).await?,
        extensions: facts::extensions(client).await?,
        settings: facts::settings(client).await?,
        roles: super::globals::roles(client).await?,
        collations: facts::collations(client).await?,
        members: Some(members(client).await?),
        ..Contents::default()
    };
    // While all is locked: names are read as they are now, not as they were in the snapshot.
    let mut others = facts::hidden_options(client).await?;
    // Somebody's own tables in information_schema are told with their rows.
    let told = "table information_schema.";
    let kept = |l: &LeftOut| l.why != OF_SYSTEM || !l.name.display().starts_with(told);
    others.extend(left_out(client).await?.into_iter().filter(kept));
    let mut counted = vec![(None, true); found.len()];
    let is_busy = |one: &Found| coordinator.holds_apart(one.oid);
    let mut read = HashMap::new();
    if let Some(busy) = coordinator.busy() {
        relations::count(busy.client(), &found, is_busy, &mut counted).await?;
        if let Some(key) = key {
            let tables = found.iter().zip(&counted).filter(|(one, _)| is_busy(one));
            read = read_busy(busy.client(), key, tables, &contents).await?;
        }
        released.await?;
        dumped.await;
    }
    relations::count(client, &found, |one| !is_busy(one), &mut counted).await?;
    coordinator.quiet()?;
    for (at, (one, (rows, planned))) in found.into_iter().zip(counted).enumerate() {
        if let Some(why) = one.left_out {
            // An extension's table without rows loses nothing.
            if why == why::EXTENSION && rows == Some(0) {
                empty.push((at, one.oid));
            } else {
                if why == why::EXTENSION {
                    contents.beyond.push(Beyond {
                        schema: one.schema.clone(),
                        name: one.name.clone(),
                        rows: rows.unwrap_or_default(),
                        hash: None,
                    });
                }
                contents.left_out.push(LeftOut {
                    fingerprint: None,
                    schema: one.schema.clone(),
                    name: one.name.clone(),
                    why: why.to_owned(),
                    rows: rows.unwrap_or(NOT_COUNTED),
                });
            }
        }
        if !one.filter.is_empty() {
            let all = one.count_all(coordinator).await?;
            coordinator.quiet()?;
            contents.beyond.push(Beyond {
                schema: one.schema.clone(),
                name: one.name.clone(),
                rows: all.saturating_sub(rows.unwrap_or_default()),
                hash: None,
            });
        }
        let told = one.left_out == Some(why::EXTENSION) && rows != Some(0);
        if one.kind == 'r' && (one.left_out.is_none() || told) {
            tables.push(Table {
                at,
                oid: one.oid,
                schema: one.in_statement.0,
                name: one.in_statement.1,
                filter: one.filter,
                planned,
                dumped: one.left_out.is_none(),
            });
        }
        contents.relations.push(Relation {
            schema: one.schema,
            name: one.name,
            kind: one.kind,
            rows,
            columns: None,
            bytes: None,
            hash: None,
            loaded_through: None,
            extension: one.extension,
            lines: None,
            generated: None,
            types_of: types_of.remove(&one.oid).unwrap_or_default(),
        });
    }
    contents.left_out.extend(others);
    observer.reached(Step::Counted).await;
    Ok(Census {
        contents,
        tables,
        empty,
        read,
    })
}
