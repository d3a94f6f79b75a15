//! What is loaded when. Tables whose rows are checked, or made, by functions of somebody's own while they are loaded: such a function may read another table,
//! and then it counts which of them is loaded first. Stock tools go by the dump's order, so these do too.

use std::collections::BTreeSet;

use super::connect::Connection;
use super::error::PgError;
use super::names::statement_bytes;
use super::toc::Entry;

/// More turns than that are one: everything in the dump's order, one by one.
const MOST_TURNS: usize = 64;

/// Functions of somebody's own in CHECK constraints, of domains and what is made of those too, in operators that these use, in stored
/// generated columns, and in the keys of partitions. What
/// is written in C, or comes with an extension, reads no table of the user's.
const WATCHED: &str = "\
    WITH RECURSIVE own AS (SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
        WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
          WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')), \
      called AS (SELECT d.classid, d.objid FROM pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_operator o ON o.oid = d.refobjid \
          AND d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass \
        WHERE d.classid IN ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass) \
          AND (d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid IN (SELECT oid FROM own) OR o.oprcode::oid IN (SELECT oid FROM own))), \
      checks AS (SELECT x.conrelid, x.contypid FROM called JOIN pg_catalog.pg_constraint x ON x.oid = called.objid \
          AND called.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND x.contype = 'c'), \
      domains AS (SELECT contypid AS oid FROM checks WHERE contypid <> 0 \
        UNION SELECT t.oid FROM pg_catalog.pg_type t JOIN domains d ON d.oid IN (t.typbasetype, t.typelem) \
          OR EXISTS (SELECT FROM pg_catalog.pg_range r WHERE r.rngsubtype = d.oid AND t.oid::text IN (r.rngtypid::text, pg_catalog.to_jsonb(r) ->> 'rngmultitypid')) OR t.typrelid <> 0 AND EXISTS (SELECT FROM pg_catalog.pg_attribute a \
          WHERE a.attrelid = t.typrelid AND a.atttypid = d.oid AND a.attnum > 0 AND NOT a.attisdropped)), \
      watched AS (SELECT conrelid AS relid FROM checks WHERE conrelid <> 0 \
        UNION SELECT a.adrelid FROM called JOIN pg_catalog.pg_attrdef a ON a.oid = called.objid \
          AND called.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass JOIN pg_catalog.pg_attribute t ON t.attrelid = a.adrelid AND t.attnum = a.adnum \
          WHERE t.attgenerated = 's' \
        UNION SELECT p.oid FROM pg_catalog.pg_class p CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(p.oid) AS u \
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = u.relid \
            AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid IN (SELECT oid FROM own) WHERE p.relispartition \
        UNION SELECT a.attrelid FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN (SELECT oid FROM domains)) \
    SELECT {schema}, {name} FROM watched w JOIN pg_catalog.pg_class c ON c.oid = w.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p')";

/// Such tables, by schema and name.
///
/// # Errors
/// Those of the query.
pub(super) async fn watched(session: &Connection) -> Result<BTreeSet<(String, String)>, PgError> {
    let failed =
        |e: tokio_postgres::Error| PgError::query("look at what checks rows of tables", &e);
    let sql = WATCHED
        .replace("{schema}", &statement_bytes("n.nspname"))
        .replace("{name}", &statement_bytes("c.relname"));
    let rows = session.client.query(&sql, &[]).await.map_err(failed)?;
    let read = |row: &tokio_postgres::Row| {
        let (schema, name): (Vec<u8>, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        Ok((
            String::from_utf8_lossy(&schema).into_owned(),
            String::from_utf8_lossy(&name).into_owned(),
        ))
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// Entries that are loaded together, and whether beside each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) ids: Vec<i64>,
    pub(super) beside: bool,
}

/// The entries in their turns: what stands before a watched table is there when that is loaded, and what stands behind is not.
pub(super) fn turns(entries: &[&Entry], watched: &BTreeSet<(String, String)>) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for entry in entries {
        let name = (entry.namespace.display(), entry.tag.display());
        let beside = entry.desc != "TABLE DATA" || !watched.contains(&name);
        match turns.last_mut() {
            Some(turn) if turn.beside == beside => turn.ids.push(entry.dump_id),
            _ => turns.push(Turn {
                ids: vec![entry.dump_id],
                beside,
            }),
        }
    }
    if turns.len() > MOST_TURNS {
        let ids = entries.iter().map(|entry| entry.dump_id).collect();
        return vec![Turn { ids, beside: false }];
    }
    turns
}

/// How far partitions are below the table at the top, by schema and name.
pub(super) type Depths = Vec<(String, String, i32)>;

pub(super) async fn depths(session: &Connection) -> Result<Depths, PgError> {
    let failed = |e| PgError::query("read how deep partitions lie", &e);
    let sql = "SELECT n.nspname::text, c.relname::text, (SELECT count(*) FROM pg_catalog.pg_partition_ancestors(c.oid))::int \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition";
    let rows = session.client.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// The tag of a trigger is `<table> <trigger>`.
pub(super) fn depth_of(entry: &Entry, depths: &Depths) -> i32 {
    let (schema, tag) = (entry.namespace.display(), entry.tag.display());
    let of = depths.iter().filter(|(of, table, _)| {
        let rest = tag.strip_prefix(table.as_str());
        *of == schema && rest.is_some_and(|rest| rest.starts_with(' '))
    });
    of.map(|(_, _, depth)| *depth).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Name;

    #[test]
    fn g29_what_a_check_may_read_is_loaded_in_the_dumps_order() {
        let entry = |(id, tag): (i64, &str)| Entry {
            dump_id: id,
            desc: "TABLE DATA".to_owned(),
            namespace: Name::Text("s".to_owned()),
            tag: Name::Text(tag.to_owned()),
            ..Entry::default()
        };
        let all: Vec<Entry> = [(4, "a"), (2, "b"), (7, "w"), (1, "x"), (3, "c")]
            .map(entry)
            .into();
        let all: Vec<&Entry> = all.iter().collect();
        let of = |names: &[&str]| -> BTreeSet<(String, String)> {
            let pairs = names.iter().map(|n| ("s".to_owned(), (*n).to_owned()));
            pairs.collect()
        };
        let told = |turns: Vec<Turn>| -> Vec<(Vec<i64>, bool)> {
            turns.into_iter().map(|t| (t.ids, t.beside)).collect()
        };
        assert_eq!(
            told(turns(&all, &of(&["w", "x"]))),
            [(vec![4, 2], true), (vec![7, 1], false), (vec![3], true)]
        );
        assert_eq!(told(turns(&all, &of(&[]))), [(vec![4, 2, 7, 1, 3], true)]);
        let many: Vec<Entry> = (0..200)
            .map(|n| entry((n, if n % 2 == 0 { "w" } else { "a" })))
            .collect();
        let many: Vec<&Entry> = many.iter().collect();
        let one = turns(&many, &of(&["w"]));
        assert_eq!(
            (one.len(), one[0].beside, one[0].ids.len()),
            (1, false, 200)
        );
    }
}
