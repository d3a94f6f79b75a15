//! The census: what the catalogue says is there, and how many rows, under the dump's snapshot (G3). A witness beside the stream.

use std::collections::HashMap;
use std::pin::pin;

use futures::TryStreamExt;
use tokio_postgres::Client;

use super::content::{self, Content, LineKey, Rows};
use super::coordinator::Coordinator;
use super::counts;
use super::error::PgError;
use super::facts;
use super::left_out::{OF_SYSTEM, left_out};
use super::members::members;
use super::money;
use super::names::{raw_ident, text_of};
use super::relations::{self, relations, why};
use super::step::{Observer, Step};
use crate::api::Reason;
use crate::manifest::{
    Beyond, Contents, FORMAT_VERSION, Generated, LargeObjects, LeftOut, Name, Relation,
};

/// Most lines of an extension's table whose hashes are kept one by one (G4); of a database that is held against a backup
/// more, because a newer extension may have brought more.
const KEPT: usize = 100_000;

/// Rows of `leftOut` where they cannot be counted.
pub const NOT_COUNTED: i64 = -1;

/// What is there, with every row counted and none read yet.
#[derive(Debug)]
pub struct Census {
    /// What was found.
    pub contents: Contents,
    tables: Vec<Table>,
    /// Extensions' tables without a row that no dump holds: place among the relations and oid. They have a hash, and are not read.
    empty: Vec<(usize, u32)>,
}

/// A table whose rows are read.
#[derive(Debug)]
struct Table {
    /// Its place among the relations.
    at: usize,
    oid: u32,
    schema: Vec<u8>,
    name: Vec<u8>,
    filter: String,
    /// Queries on it can be planned.
    planned: bool,
    /// Its rows are in the dump; else all of them are beyond it.
    dumped: bool,
}

/// Reads the catalogue and counts the rows of every table, on the coordinator's connection and
/// under its snapshot.
///
/// # Errors
/// Those of a query; `QueryFailed` for a NOTICE or WARNING (G3).
pub async fn take(coordinator: &Coordinator, observer: &dyn Observer) -> Result<Census, PgError> {
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
    let counted = relations::count(coordinator, &found).await?;
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
    contents
        .left_out
        .extend(facts::hidden_options(client).await?);
    let others = left_out(client).await?.into_iter();
    // Somebody's own tables in information_schema are told with their rows.
    let told = "table information_schema.";
    let others = others.filter(|l| l.why != OF_SYSTEM || !l.name.display().starts_with(told));
    contents.left_out.extend(others);
    observer.reached(Step::Counted).await;
    Ok(Census {
        contents,
        tables,
        empty,
    })
}

impl Census {
    /// Reads every row and large object again and writes their hashes down (G21, G22). On the
    /// coordinator's own connection: who holds the locks waits for nobody who queues behind them (G9).
    /// With `like`, which a backup recorded, rows are read as they were read then: in its encoding,
    /// with its order of columns; a table that has no hash there is not read. Where there are busy tables, they are read first, then
    /// `released` is awaited: it lets go of their locks.
    ///
    /// # Errors
    /// Those of a query; `QueryFailed` if a table gave another number of rows than were counted (G3).
    pub async fn hash(
        self,
        coordinator: &Coordinator,
        key: LineKey,
        like: Option<&Contents>,
        released: impl Future<Output = Result<(), PgError>>,
        observer: &dyn Observer,
    ) -> Result<Contents, PgError> {
        let client = coordinator.client();
        let mut contents = self.contents;
        let settings = &like.unwrap_or(&contents).settings;
        let encoding = settings.get("server_encoding").cloned();
        let encoding = encoding.unwrap_or_default();
        let recorded = like.map(recorded).unwrap_or_default();
        let mut columns_of = content::columns(client, &encoding).await?;
        content::speak(client, &encoding).await?;
        if let Some(like) = like {
            money::speak(client, like).await?;
        }
        let (mut done, total) = (0_u64, rows_of(&contents));
        // Beside a dump it is the dump's own rows that are shown.
        let mut shown = |rows: u64| {
            done = done.saturating_add(rows);
            if like.is_some() {
                observer.rows(done, total);
            }
        };
        let mut all = Vec::new();
        for table in self.tables {
            let mut columns = columns_of.remove(&table.oid).unwrap_or_default();
            let relation = contents.relations.get(table.at);
            let was = relation.and_then(|r| recorded.get(&(&r.schema, &r.name)));
            if table.dumped && was.is_some_and(|was| was.hash.is_none()) {
                continue;
            }
            if let Some(was) = was {
                let generated = was.generated.iter().flat_map(|g| &g.columns);
                let order: Vec<&Name> = was.columns.iter().flatten().chain(generated).collect();
                columns.sort_by_key(|c| order.iter().position(|name| **name == c.name));
            }
            let (schema, name) = (text_of(&table.schema)?, text_of(&table.name)?);
            let rows = Rows {
                table: format!(
                    "{}.{}",
                    raw_ident(&schema, &encoding),
                    raw_ident(&name, &encoding)
                ),
                filter: table.filter.clone(),
                keep: match relation.is_some_and(|r| r.extension.is_some()) {
                    true if like.is_some() => 2 * KEPT,
                    true => KEPT,
                    false => 0,
                },
                generated: table.planned && !content::generated(&columns).is_empty(),
                columns,
            };
            all.push((table, rows));
        }
        let busy = coordinator.busy();
        let is_busy = |(table, _): &(Table, Rows)| busy.is_some_and(|busy| busy.holds(table.oid));
        let (first, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_busy);
        if let Some(busy) = busy {
            let client = busy.client();
            content::speak(client, &encoding).await?;
            if let Some(like) = like {
                money::speak(client, like).await?;
            }
            hash_those(client, coordinator, (key, first), &mut contents, &mut shown).await?;
            released.await?;
        }
        hash_those(
            client,
            coordinator,
            (key, others),
            &mut contents,
            &mut shown,
        )
        .await?;
        for (at, oid) in self.empty {
            if let Some(relation) = contents.relations.get_mut(at) {
                let none = Content::default();
                let columns = columns_of.get(&oid).map(Vec::as_slice);
                relation.columns = Some(content::dumped(columns.unwrap_or_default()));
                relation.bytes = Some(0);
                relation.hash = Some(none.to_hex());
                relation.lines = Some(Vec::new());
            }
        }
        let found = content::hash_large_objects(client, key).await?;
        coordinator.quiet()?;
        let counted = contents.census.get("largeObjects").copied();
        witness(counted, found, "the large objects")?;
        content::speak(client, "UTF8").await?;
        contents.line_key = Some(key.to_hex());
        contents.large_objects = Some(LargeObjects {
            count: i64::try_from(found.rows).unwrap_or(i64::MAX),
            bytes: i64::try_from(found.bytes).unwrap_or(i64::MAX),
            hash: found.to_hex(),
        });
        observer.reached(Step::Hashed).await;
        Ok(contents)
    }
}

/// Reads these tables and writes their hashes down. Of a filtered one all rows are read too, right after it.
async fn hash_those(
    client: &Client,
    coordinator: &Coordinator,
    (key, tables): (LineKey, Vec<(Table, Rows)>),
    contents: &mut Contents,
    shown: &mut impl FnMut(u64),
) -> Result<(), PgError> {
    let (mut read, mut all) = (Vec::new(), Vec::new());
    for (table, rows) in tables {
        let unfiltered = (!rows.filter.is_empty()).then(|| Rows {
            filter: String::new(),
            keep: 0,
            generated: false,
            ..rows.clone()
        });
        all.push(rows);
        all.extend(unfiltered);
        read.push(table);
    }
    let mut streams = pin!(content::streams(client, all));
    let mut next = async || {
        let (rows, stream) = streams.try_next().await?.ok_or_else(none_left)?;
        let read = content::hash(stream, &rows, key).await?;
        coordinator.quiet()?;
        Ok((rows, read))
    };
    for table in read {
        let (rows, found) = next().await?;
        let beyond = match table.filter.is_empty() {
            true if table.dumped => None,
            true => Some(found.content),
            false => Some(next().await?.1.content.without(found.content)),
        };
        let Some(relation) = contents.relations.get_mut(table.at) else {
            continue;
        };
        witness(relation.rows, found.content, &rows.table)?;
        let mut filtered = contents.beyond.iter_mut();
        let filtered =
            filtered.find(|b| (&b.schema, &b.name) == (&relation.schema, &relation.name));
        if let Some((recorded, beyond)) = filtered.zip(beyond) {
            witness(Some(recorded.rows), beyond, &rows.table)?;
            recorded.hash = Some(beyond.to_hex());
        }
        if !table.dumped {
            continue;
        }
        relation.columns = Some(content::dumped(&rows.columns));
        relation.bytes = i64::try_from(found.content.bytes).ok();
        relation.hash = Some(found.content.to_hex());
        relation.lines = found.lines;
        let generated = content::generated(&rows.columns);
        relation.generated = (!generated.is_empty()).then(|| Generated {
            columns: generated,
            hash: found.whole.map(Content::to_hex),
        });
        shown(found.content.rows);
    }
    Ok(())
}

fn none_left() -> PgError {
    PgError::never(Reason::InternalError, "a table was not asked for its rows")
}

fn rows_of(contents: &Contents) -> u64 {
    let rows = contents.relations.iter().filter_map(|r| r.rows);
    rows.filter_map(|n| u64::try_from(n).ok()).sum()
}

type Recorded<'a> = HashMap<(&'a Name, &'a Name), &'a Relation>;

fn recorded(contents: &Contents) -> Recorded<'_> {
    let tables = contents.relations.iter();
    tables.map(|r| ((&r.schema, &r.name), r)).collect()
}

/// Two ways of reading under one snapshot give one number of rows (G3).
fn witness(counted: Option<i64>, read: Content, what: &str) -> Result<(), PgError> {
    let rows = i64::try_from(read.rows).ok();
    if counted == rows {
        return Ok(());
    }
    let number = |n: Option<i64>| n.map_or("no".to_owned(), |n| n.to_string());
    Err(PgError::later(
        Reason::QueryFailed,
        format!(
            "{what}: {} rows were counted and {} were read under one snapshot: the server may be damaged (see amcheck)",
            number(counted),
            number(rows)
        ),
    ))
}
