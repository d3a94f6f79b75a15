//! The census: what the catalogue says is there, and how many rows, under the dump's snapshot (G3). A witness beside the stream.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::content::{self, Content, LineKey, Rows};
use super::coordinator::Coordinator;
use super::counts;
use super::error::PgError;
use super::facts;
use super::left_out::left_out;
use super::members::members;
use super::money;
use super::names::{NAME_BYTES, raw_ident, statement_bytes, text_of};
use super::step::{Observer, Step};
use crate::api::Reason;
use crate::manifest::{Beyond, Contents, FORMAT_VERSION, LargeObjects, LeftOut, Name, Relation};

/// Why data is not in the dump, as `leftOut` says it.
mod why {
    pub const EXTENSION: &str =
        "extension table outside its configuration list: pg_dump does not dump it";
    pub const FOREIGN: &str = "foreign table: its data lies on another server";
    pub const UNLOGGED: &str = "unlogged table: it cannot be read on a standby";
    pub const SYSTEM: &str = "table in information_schema: pg_dump does not dump it";
}

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

/// A table whose data is in the dump.
#[derive(Debug)]
struct Table {
    /// Its place among the relations.
    at: usize,
    oid: u32,
    schema: Vec<u8>,
    name: Vec<u8>,
    filter: String,
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
    for (at, one) in found.into_iter().enumerate() {
        let rows = if one.kind == 'r' {
            let rows = one.count(coordinator).await?;
            coordinator.quiet()?;
            rows
        } else {
            None
        };
        if let Some(why) = one.left_out {
            // An extension's table without rows loses nothing.
            if why == why::EXTENSION && rows == Some(0) {
                empty.push((at, one.oid));
            } else {
                contents.left_out.push(LeftOut {
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
        if one.kind == 'r' && one.left_out.is_none() {
            tables.push(Table {
                at,
                oid: one.oid,
                schema: one.in_statement.0,
                name: one.in_statement.1,
                filter: one.filter,
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
            types_of: types_of.remove(&one.oid).unwrap_or_default(),
        });
    }
    contents
        .left_out
        .extend(facts::hidden_options(client).await?);
    let others = left_out(client).await?.into_iter();
    // The tables of information_schema are told with their rows.
    let told = "table information_schema.";
    let others = others.filter(|l| !l.name.display().starts_with(told));
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
    /// with its order of columns; a table that has no hash there is not read.
    ///
    /// # Errors
    /// Those of a query; `QueryFailed` if a table gave another number of rows than were counted (G3).
    pub async fn hash(
        self,
        coordinator: &Coordinator,
        key: LineKey,
        like: Option<&Contents>,
        observer: &dyn Observer,
    ) -> Result<Contents, PgError> {
        let client = coordinator.client();
        let mut contents = self.contents;
        let settings = &like.unwrap_or(&contents).settings;
        let encoding = settings.get("server_encoding").cloned();
        let encoding = encoding.unwrap_or_default();
        let recorded = like.map(recorded).unwrap_or_default();
        let columns = content::columns(client, &encoding).await?;
        content::speak(client, &encoding).await?;
        if let Some(like) = like {
            money::speak(client, like).await?;
        }
        let total = rows_of(&contents);
        let mut done = 0_u64;
        for table in self.tables {
            let mut columns = columns.get(&table.oid).cloned().unwrap_or_default();
            let relation = contents.relations.get(table.at);
            let was = relation.and_then(|r| recorded.get(&(&r.schema, &r.name)));
            if was.is_some_and(|was| was.hash.is_none()) {
                continue;
            }
            if let Some(order) = was.and_then(|was| was.columns.as_deref()) {
                columns.sort_by_key(|c| order.iter().position(|name| *name == c.name));
            }
            let (schema, name) = (text_of(&table.schema)?, text_of(&table.name)?);
            let quoted = format!(
                "{}.{}",
                raw_ident(&schema, &encoding),
                raw_ident(&name, &encoding)
            );
            let rows = Rows {
                table: &quoted,
                columns: &columns,
                filter: &table.filter,
                keep: match relation.is_some_and(|r| r.extension.is_some()) {
                    true if like.is_some() => 2 * KEPT,
                    true => KEPT,
                    false => 0,
                },
            };
            let (found, lines) = content::hash(client, &rows, key).await?;
            coordinator.quiet()?;
            let beyond = match table.filter.is_empty() {
                true => None,
                false => {
                    let all = Rows {
                        filter: "",
                        keep: 0,
                        ..rows
                    };
                    let (all, _) = content::hash(client, &all, key).await?;
                    coordinator.quiet()?;
                    Some(all.without(found))
                }
            };
            let Some(relation) = contents.relations.get_mut(table.at) else {
                continue;
            };
            witness(relation.rows, found, &quoted)?;
            let mut filtered = contents.beyond.iter_mut();
            let filtered =
                filtered.find(|b| (&b.schema, &b.name) == (&relation.schema, &relation.name));
            if let Some((recorded, beyond)) = filtered.zip(beyond) {
                witness(Some(recorded.rows), beyond, &quoted)?;
                recorded.hash = Some(beyond.to_hex());
            }
            let stored = columns.iter().filter(|c| !c.generated);
            relation.columns = Some(stored.map(|c| c.name.clone()).collect());
            relation.bytes = i64::try_from(found.bytes).ok();
            relation.hash = Some(found.to_hex());
            relation.lines = lines;
            done = done.saturating_add(found.rows);
            // Beside a dump it is the dump's own rows that are shown.
            if like.is_some() {
                observer.rows(done, total);
            }
        }
        for (at, oid) in self.empty {
            if let Some(relation) = contents.relations.get_mut(at) {
                let none = Content::default();
                let columns = columns.get(&oid).into_iter().flatten();
                let stored = columns.filter(|c| !c.generated);
                relation.columns = Some(stored.map(|c| c.name.clone()).collect());
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

/// A relation while its rows are not counted yet.
struct Found {
    schema: Name,
    name: Name,
    quoted: Vec<u8>,
    /// Schema and name as they can stand in a statement.
    in_statement: (Vec<u8>, Vec<u8>),
    oid: u32,
    kind: char,
    extension: Option<String>,
    /// The extension's own filter.
    filter: String,
    left_out: Option<&'static str>,
}

impl Found {
    /// Rows that the dump holds, or would hold; `None` where they cannot be read.
    async fn count(&self, coordinator: &Coordinator) -> Result<Option<i64>, PgError> {
        if self.left_out == Some(why::UNLOGGED) {
            return Ok(None);
        }
        self.count_where(coordinator, &self.filter).await.map(Some)
    }

    /// All of its rows, whatever the extension's filter.
    async fn count_all(&self, coordinator: &Coordinator) -> Result<i64, PgError> {
        self.count_where(coordinator, "").await
    }

    async fn count_where(&self, coordinator: &Coordinator, filter: &str) -> Result<i64, PgError> {
        let quoted = text_of(&self.quoted)?;
        let sql = format!("SELECT pg_catalog.count(*) FROM ONLY {quoted} {filter}");
        let row = coordinator.client().query_one(&sql, &[]).await;
        let count = row.and_then(|row| row.try_get(0));
        count.map_err(|e| PgError::query(&format!("count the rows of {quoted}"), &e))
    }
}

async fn relations(coordinator: &Coordinator) -> Result<Vec<Found>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the census of relations", &e);
    // Names come as bytes of the database's encoding, as they stand in the dump's own TOC (G6).
    let sql = format!(
        "SELECT pg_catalog.convert_to(n.nspname::text, pg_catalog.getdatabaseencoding()), \
                pg_catalog.convert_to(c.relname::text, pg_catalog.getdatabaseencoding()), \
                {NAME_BYTES}, c.relkind, c.relpersistence, e.extname::text, \
                pg_catalog.array_position(e.extconfig, c.oid), \
                e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)], n.nspname = 'information_schema', \
                {}, {}, c.oid \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
              AND d.objsubid = 0 AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
         LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
         WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm', 'f') AND c.relpersistence <> 't' \
           AND n.nspname !~ '^pg_' AND NOT (n.nspname = 'information_schema' AND c.oid < 16384) \
         ORDER BY 1, 2",
        statement_bytes("n.nspname"),
        statement_bytes("c.relname")
    );
    let rows = coordinator
        .client()
        .query(&sql, &[])
        .await
        .map_err(failed)?;
    let standby = coordinator.base().in_recovery;
    rows.iter()
        .map(|row| found(row, standby).map_err(failed))
        .collect()
}

fn found(row: &Row, standby: bool) -> Result<Found, tokio_postgres::Error> {
    let bytes = |at: usize| row.try_get::<_, Vec<u8>>(at);
    let code = |at: usize| row.try_get::<_, i8>(at).map(letter);
    let kind = code(3)?;
    let unlogged = code(4)? == 'u';
    let extension: Option<String> = row.try_get(5)?;
    let configured = row.try_get::<_, Option<i32>>(6)?.is_some();
    let filter: Option<String> = row.try_get(7)?;
    let in_system_schema: bool = row.try_get(8)?;
    let left_out = match kind {
        'f' => Some(why::FOREIGN),
        'r' if unlogged && standby => Some(why::UNLOGGED),
        'r' if in_system_schema => Some(why::SYSTEM),
        'r' if extension.is_some() && !configured => Some(why::EXTENSION),
        _ => None,
    };
    Ok(Found {
        schema: Name::from_bytes(&bytes(0)?),
        name: Name::from_bytes(&bytes(1)?),
        quoted: bytes(2)?,
        in_statement: (bytes(9)?, bytes(10)?),
        oid: row.try_get(11)?,
        kind,
        extension,
        filter: if left_out.is_none() {
            filter.unwrap_or_default()
        } else {
            String::new()
        },
        left_out,
    })
}

/// A `"char"` of the catalogue.
pub(super) fn letter(code: i8) -> char {
    u8::try_from(code).map_or('?', char::from)
}
