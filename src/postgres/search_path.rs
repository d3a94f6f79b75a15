//! What stock tools cannot restore although a dump holds it: a function that finds its names by the search_path, where rows
//! are read or indexed by it. pg_restore looks nowhere but in pg_catalog. Told beforehand, where it can be seen.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use crate::sql::{Bare, Use, bare};

/// Most functions that are looked into.
const MOST_FUNCTIONS: i64 = 1_000;
/// Most bytes of a body.
const MOST_BYTES: i32 = 100_000;
/// Most sentences.
const MOST_TOLD: usize = 20;

/// Functions in SQL or plpgsql, without a search_path of their own, that something needs while rows are loaded or indexed:
/// generated columns, checks of tables and domains, indexes, partition keys, and views that are filled.
const FUNCTIONS: &str = "\
    WITH needs AS ( \
      SELECT d.refobjid AS function, 'generated column ' || a.adrelid::pg_catalog.regclass || '.' || pg_catalog.quote_ident(t.attname) AS what \
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid = d.objid \
        JOIN pg_catalog.pg_attribute t ON t.attrelid = a.adrelid AND t.attnum = a.adnum AND t.attgenerated <> '' \
        WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
      UNION ALL SELECT d.refobjid, 'check ' || pg_catalog.quote_ident(c.conname) || ' of ' || \
          CASE c.conrelid WHEN 0 THEN 'domain ' || c.contypid::pg_catalog.regtype::text ELSE c.conrelid::pg_catalog.regclass::text END \
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_constraint c ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND c.oid = d.objid \
        WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND c.contype = 'c' \
      UNION ALL SELECT d.refobjid, CASE c.relkind WHEN 'p' THEN 'partition key of ' ELSE 'index ' END || c.oid::pg_catalog.regclass \
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid \
        WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND c.relkind IN ('i', 'I', 'p') \
      UNION ALL SELECT d.refobjid, 'materialized view ' || c.oid::pg_catalog.regclass \
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid \
        JOIN pg_catalog.pg_class c ON c.oid = r.ev_class \
        WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND c.relkind = 'm' AND c.relispopulated) \
    SELECT p.oid::pg_catalog.regprocedure::text, l.lanname = 'plpgsql', p.prosrc, pg_catalog.min(needs.what), pg_catalog.count(DISTINCT needs.what), \
           (SELECT e.extname::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
             WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'), n.nspname::text \
    FROM needs JOIN pg_catalog.pg_proc p ON p.oid = needs.function JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
    WHERE l.lanname IN ('sql', 'plpgsql') AND n.nspname <> 'pg_catalog' AND pg_catalog.to_jsonb(p) ->> 'prosqlbody' IS NULL \
      AND pg_catalog.octet_length(p.prosrc) <= $1 \
      AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS s WHERE s LIKE 'search_path=%') \
    GROUP BY p.oid, l.lanname, p.prosrc, n.nspname ORDER BY 1 LIMIT $2";

/// Which of these names are there outside of pg_catalog and not in it, by what they are used as.
const THERE: &str = "\
    SELECT u.kind, u.name FROM unnest($1::text[], $2::text[]) AS u (kind, name) \
    WHERE CASE u.kind \
      WHEN 'function' THEN EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = u.name) \
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = u.name AND pronamespace = 'pg_catalog'::pg_catalog.regnamespace) \
      WHEN 'relation' THEN EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = u.name AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')) \
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = u.name AND relnamespace = 'pg_catalog'::pg_catalog.regnamespace) \
      ELSE EXISTS (SELECT FROM pg_catalog.pg_type WHERE typname = u.name) \
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_type WHERE typname = u.name AND typnamespace = 'pg_catalog'::pg_catalog.regnamespace) END";

/// A function that something needs.
#[derive(Debug)]
struct Function {
    name: String,
    needed_by: String,
    others: i64,
    extension: Option<String>,
    schema: String,
    names: BTreeSet<Bare>,
}

/// What a restore by stock tools would stumble over, a sentence each, with its cure. That it cannot be asked is no reason
/// against a backup: then nothing is told.
pub(super) async fn warnings(client: &Client) -> Vec<String> {
    let begin = "BEGIN READ ONLY; SET LOCAL search_path = ''; SET LOCAL statement_timeout = '15s'";
    if client.batch_execute(begin).await.is_err() {
        return Vec::new();
    }
    let found = ask(client).await;
    let ended = client.batch_execute("ROLLBACK").await;
    match (found, ended) {
        (Ok(found), Ok(())) => found,
        (Err(error), _) | (_, Err(error)) => {
            tracing::debug!("functions were not looked into: {error}");
            Vec::new()
        }
    }
}

async fn ask(client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = client
        .query(FUNCTIONS, &[&MOST_BYTES, &MOST_FUNCTIONS])
        .await?;
    let functions = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let all: BTreeSet<&Bare> = functions.iter().flat_map(|f| &f.names).collect();
    let (kinds, names): (Vec<&str>, Vec<&str>) =
        all.iter().map(|b| (word(b.used), b.name.as_str())).unzip();
    let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in client.query(THERE, &[&kinds, &names]).await? {
        there
            .entry(row.try_get(0)?)
            .or_default()
            .insert(row.try_get(1)?);
    }
    let hangs = |f: &Function| {
        let first = f.names.iter().find(|b| {
            let known = there.get(word(b.used));
            known.is_some_and(|names| names.contains(&b.name))
        });
        first.map(|bare| sentence(f, bare))
    };
    let mut told: Vec<String> = functions.iter().filter_map(hangs).collect();
    let more = told.len().saturating_sub(MOST_TOLD);
    told.truncate(MOST_TOLD);
    if more > 0 {
        told.push(format!("and {more} more functions like these"));
    }
    Ok(told)
}

fn read(row: &Row) -> Result<Function, tokio_postgres::Error> {
    let body: String = row.try_get(2)?;
    Ok(Function {
        name: row.try_get(0)?,
        names: bare(&body, row.try_get(1)?),
        needed_by: row.try_get(3)?,
        others: row.try_get::<_, i64>(4)?.saturating_sub(1),
        extension: row.try_get(5)?,
        schema: row.try_get(6)?,
    })
}

fn word(used: Use) -> &'static str {
    match used {
        Use::Call => "function",
        Use::Relation => "relation",
        Use::Type => "type",
    }
}

fn sentence(function: &Function, bare: &Bare) -> String {
    let Function {
        name, needed_by, ..
    } = function;
    let others = match function.others {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    let cure = match &function.extension {
        Some(extension) => format!("its extension {extension} must mend that"),
        None => format!(
            "qualify its names, or: ALTER FUNCTION {name} SET search_path = {}, pg_temp",
            super::names::quote_ident(&function.schema)
        ),
    };
    let text = format!(
        "a restore with stock tools will fail at the {needed_by}{others}: its function {name} names the {} \"{}\" without a schema, \
         and a restore looks in pg_catalog alone; {cure}",
        word(bare.used),
        bare.name
    );
    text.replace(char::is_control, " ")
}
