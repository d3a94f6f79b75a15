//! The census of what is no relation: how many of each kind (G3).

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::error::PgError;
use crate::manifest::Name;

/// What pg_dump never dumps: the system's schemas.
const OF_USERS: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// What an extension brings along may differ with its version, and nothing that stands on its tables and domains is in any
/// dump, whoever made it (G18).
fn no_extensions(relation: &str, domain: &str) -> String {
    format!(
        "AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND \
          ((d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = x.{relation}) OR \
           (d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = {domain})))"
    )
}

fn on_relation(table: &str, column: &str, also: &str) -> String {
    let own = no_extensions(column, "0");
    format!(
        "(SELECT count(*) FROM pg_catalog.{table} x JOIN pg_catalog.pg_class c ON c.oid = x.{column} \
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {OF_USERS} {also} {own})"
    )
}

/// Objects that are no extension's and come with nothing else: those are counted there.
fn own(table: &str, column: &str, also: &str) -> String {
    format!(
        "(SELECT count(*) FROM pg_catalog.{table} x JOIN pg_catalog.pg_namespace n ON n.oid = x.{column} WHERE {OF_USERS} {also} \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{table}'::pg_catalog.regclass \
          AND d.objid = x.oid AND d.deptype IN ('e', 'i')))"
    )
}

const INVALID: &str = "AND NOT x.indisvalid";
/// Most indexes that are named.
const NAMED: i64 = 100;

/// Names of the indexes that are counted as invalid: what is counted alone cannot be looked for.
///
/// # Errors
/// Those of a query.
pub(super) async fn invalid_indexes(client: &Client) -> Result<Vec<Name>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the invalid indexes", &e);
    let own = no_extensions("indrelid", "0");
    let sql = format!(
        "SELECT pg_catalog.convert_to(n.nspname::text || '.' || i.relname::text, pg_catalog.getdatabaseencoding()) \
         FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid JOIN pg_catalog.pg_class c ON c.oid = x.indrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {OF_USERS} {INVALID} {own} ORDER BY 1 LIMIT {NAMED}"
    );
    let rows = client.query(&sql, &[]).await.map_err(failed)?;
    let read = |bytes: Vec<u8>| Name::from_bytes(&bytes);
    let names = rows
        .iter()
        .map(|row| row.try_get(0).map(read).map_err(failed));
    names.collect()
}

/// How many there are.
///
/// # Errors
/// Those of a query.
pub(super) async fn objects(client: &Client) -> Result<BTreeMap<String, i64>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the census of objects", &e);
    let constraints = format!(
        "(SELECT count(*) FROM pg_catalog.pg_constraint x JOIN pg_catalog.pg_namespace n ON n.oid = x.connamespace \
          WHERE {OF_USERS} {})",
        no_extensions("conrelid", "x.contypid")
    );
    let disabled = "AND x.tgisinternal AND x.tgenabled <> 'O'";
    // Those of them that no dump has so: their constraints are told by name in what is left out.
    let left_out = format!(
        "{disabled} AND EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.oid = x.tgconstraint AND k.contype <> 't' \
           AND k.conrelid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' \
             AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = k.conrelid))"
    );
    let objects = "(SELECT count(*) FROM pg_catalog.pg_largeobject_metadata)";
    let asked = [
        ("constraints", constraints),
        (
            "disabledTriggers",
            on_relation("pg_trigger", "tgrelid", disabled),
        ),
        ("functions", own("pg_proc", "pronamespace", "")),
        ("indexes", on_relation("pg_index", "indrelid", "")),
        (
            "invalidIndexes",
            on_relation("pg_index", "indrelid", INVALID),
        ),
        ("largeObjects", objects.to_owned()),
        (
            "leftOutTriggers",
            on_relation("pg_trigger", "tgrelid", &left_out),
        ),
        ("policies", on_relation("pg_policy", "polrelid", "")),
        (
            "triggers",
            on_relation("pg_trigger", "tgrelid", "AND NOT x.tgisinternal"),
        ),
        (
            "types",
            own("pg_type", "typnamespace", "AND x.typisdefined"),
        ),
    ];
    let columns: Vec<&str> = asked.iter().map(|(_, sql)| sql.as_str()).collect();
    let sql = format!("SELECT {}", columns.join(", "));
    let row = client.query_one(&sql, &[]).await.map_err(failed)?;
    asked
        .iter()
        .enumerate()
        .map(|(at, (name, _))| Ok(((*name).to_owned(), row.try_get(at).map_err(failed)?)))
        .collect()
}
