//! The hashes of the census: every row and large object is read again (G21, G22).

use std::collections::HashMap;
use std::pin::pin;

use futures::TryStreamExt;
use tokio_postgres::Client;

use super::census::{Census, Table};
use super::content::{self, Content, LineKey, Read, Rows};
use super::coordinator::Coordinator;
use super::error::PgError;
use super::money;
use super::names::{raw_ident, text_of};
use super::relations::{Counted, Found};
use super::step::{Observer, Step};
use crate::api::Reason;
use crate::manifest::{Contents, Generated, LargeObjects, Name, Relation};

/// Most lines of an extension's table whose hashes are kept one by one (G4); of a database that is held against a backup
/// more, because a newer extension may have brought more.
const KEPT: usize = 100_000;

/// Reads busy tables; none is an extension's.
pub(super) async fn read_busy(
    client: &Client,
    key: LineKey,
    tables: impl Iterator<Item = (&Found, &Counted)>,
    contents: &Contents,
) -> Result<HashMap<u32, (Rows, Read)>, PgError> {
    let encoding = contents.settings.get("server_encoding");
    let encoding = encoding.map(String::as_str).unwrap_or_default();
    let mut columns_of = content::columns(client, encoding).await?;
    content::speak(client, encoding).await?;
    let (mut oids, mut all) = (Vec::new(), Vec::new());
    for (one, (_, planned)) in tables.filter(|(one, _)| one.kind == 'r' && one.left_out.is_none()) {
        let columns = columns_of.remove(&one.oid).unwrap_or_default();
        let (schema, name) = &one.in_statement;
        oids.push(one.oid);
        all.push(Rows {
            table: quoted(schema, name, encoding)?,
            filter: String::new(),
            keep: 0,
            generated: *planned && !content::generated(&columns).is_empty(),
            columns,
        });
    }
    let mut streams = pin!(content::streams(client, all));
    let mut read = HashMap::new();
    for oid in oids {
        let (rows, stream) = streams.try_next().await?.ok_or_else(none_left)?;
        let found = content::hash(stream, &rows, key).await?;
        read.insert(oid, (rows, found));
    }
    Ok(read)
}

/// A table as it stands in a statement of a session that speaks this encoding.
fn quoted(schema: &[u8], name: &[u8], encoding: &str) -> Result<String, PgError> {
    let (schema, name) = (text_of(schema)?, text_of(name)?);
    let (schema, name) = (raw_ident(&schema, encoding), raw_ident(&name, encoding));
    Ok(format!("{schema}.{name}"))
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
        let (mut all, mut early) = (Vec::new(), self.read);
        for table in self.tables {
            if let Some((rows, found)) = early.remove(&table.oid) {
                shown(note(&mut contents, &table, &rows, found, None)?);
                continue;
            }
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
            let rows = Rows {
                table: quoted(&table.schema, &table.name, &encoding)?,
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
        let is_busy = |(table, _): &(Table, Rows)| coordinator.holds_apart(table.oid);
        let (first, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_busy);
        if let (Some(busy), false) = (coordinator.busy(), first.is_empty()) {
            let client = busy.client();
            content::speak(client, &encoding).await?;
            if let Some(like) = like {
                money::speak(client, like).await?;
            }
            hash_those(client, coordinator, (key, first), &mut contents, &mut shown).await?;
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
        shown(note(contents, &table, &rows, found, beyond)?);
    }
    Ok(())
}

/// Writes down what was read of a table: how many rows the dump holds of it.
fn note(
    contents: &mut Contents,
    table: &Table,
    rows: &Rows,
    found: Read,
    beyond: Option<Content>,
) -> Result<u64, PgError> {
    let Some(relation) = contents.relations.get_mut(table.at) else {
        return Ok(0);
    };
    witness(relation.rows, found.content, &rows.table)?;
    let mut filtered = contents.beyond.iter_mut();
    let filtered = filtered.find(|b| (&b.schema, &b.name) == (&relation.schema, &relation.name));
    if let Some((recorded, beyond)) = filtered.zip(beyond) {
        witness(Some(recorded.rows), beyond, &rows.table)?;
        recorded.hash = Some(beyond.to_hex());
    }
    if !table.dumped {
        return Ok(0);
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
    Ok(found.content.rows)
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
