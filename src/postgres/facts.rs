//! What gives the values of a database their meaning: extensions, collations, settings (G14).

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::{Client, Row};

use super::error::PgError;
use super::extension_settings::extension_settings;
use super::names::{NAME_BYTES, statement_bytes, text_of};
use super::relations::letter;
use super::role_closure::readable;
use crate::manifest::{Collation, LeftOut, Name};

pub(super) async fn extensions(client: &Client) -> Result<Vec<(String, String)>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("list the extensions", &e);
    let rows = client
        .query(
            "SELECT extname::text, extversion FROM pg_catalog.pg_extension ORDER BY 1",
            &[],
        )
        .await
        .map_err(failed)?;
    rows.iter()
        .map(|row| {
            Ok((
                row.try_get(0).map_err(failed)?,
                row.try_get(1).map_err(failed)?,
            ))
        })
        .collect()
}

/// Most tables that are looked into.
const MOST: i64 = 100;

/// Tables of extensions that hold rows and are in no dump, because they are not among the configuration of their extension (G4).
pub(super) async fn not_dumped(client: &Client) -> Result<Vec<String>, PgError> {
    let failed =
        |e: tokio_postgres::Error| PgError::query("look into the tables of extensions", &e);
    let sql = format!(
        "SELECT {NAME_BYTES}, {}, {} FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
              AND d.objsubid = 0 AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
         JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
         WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' \
           AND NOT (c.oid = ANY (coalesce(e.extconfig, '{{}}'))) ORDER BY 2, 3 LIMIT $1",
        statement_bytes("n.nspname"),
        statement_bytes("c.relname")
    );
    let mut found = Vec::new();
    for row in client.query(&sql, &[&MOST]).await.map_err(failed)? {
        let bytes = |at: usize| row.try_get::<_, Vec<u8>>(at).map_err(failed);
        let name = |at: usize| bytes(at).map(|bytes| Name::from_bytes(&bytes).display());
        let sql = format!("SELECT EXISTS (SELECT FROM ONLY {})", text_of(&bytes(0)?)?);
        let row = client.query_one(&sql, &[]).await.map_err(failed)?;
        if row.try_get::<_, bool>(0).map_err(failed)? {
            found.push(format!("{}.{}", name(1)?, name(2)?));
        }
    }
    Ok(found)
}

/// By table: the extensions whose types its columns have, or arrays or domains of them (G18).
pub(super) async fn types_of(client: &Client) -> Result<HashMap<u32, Vec<String>>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("list the types of extensions", &e);
    let sql = "\
        SELECT a.attrelid, e.extname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.deptype = 'e' \
             AND d.objid IN (t.oid, t.typelem, t.typbasetype) \
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
        WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid >= 16384 GROUP BY 1, 2 ORDER BY 1, 2";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let mut all: HashMap<u32, Vec<String>> = HashMap::new();
    for row in &rows {
        let name = row.try_get(1).map_err(failed)?;
        let table = row.try_get(0).map_err(failed)?;
        all.entry(table).or_default().push(name);
    }
    Ok(all)
}

/// Collations that anything but the system itself refers to.
pub(super) async fn collations(client: &Client) -> Result<Vec<Collation>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("list the collations", &e);
    let sql = "\
        SELECT pg_catalog.convert_to(n.nspname::text, pg_catalog.getdatabaseencoding()), \
               pg_catalog.convert_to(c.collname::text, pg_catalog.getdatabaseencoding()), c.collprovider, c.collversion \
        FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace \
        WHERE c.oid >= 16384 OR c.oid IN (SELECT refobjid FROM pg_catalog.pg_depend \
              WHERE refclassid = 'pg_catalog.pg_collation'::pg_catalog.regclass) ORDER BY 1, 2";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        Ok(Collation {
            schema: Name::from_bytes(&row.try_get::<_, Vec<u8>>(0)?),
            name: Name::from_bytes(&row.try_get::<_, Vec<u8>>(1)?),
            provider: letter(row.try_get(2)?),
            version: row.try_get(3)?,
        })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// Settings that give values their meaning; as the session began with them, not as we set them.
pub(super) async fn settings(client: &Client) -> Result<BTreeMap<String, String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the settings", &e);
    // Roles whose names cannot be read here are told with the roles.
    let [grantee, grantor] =
        ["x.grantee", "x.grantor"].map(|role| readable(&format!("{role}::regrole")));
    let sql = format!(
        "SELECT name, reset_val FROM pg_catalog.pg_settings WHERE name IN ('lc_monetary', 'lc_numeric', 'lc_time', \
               'server_encoding', 'server_version', 'TimeZone', 'DateStyle', 'IntervalStyle', 'xmloption', \
               'default_text_search_config', 'shared_preload_libraries', 'session_preload_libraries', 'data_checksums', 'block_size', \
               'max_locks_per_transaction', 'standard_conforming_strings') AND reset_val IS NOT NULL \
             UNION ALL SELECT 'bootstrap_role', rolname::text FROM pg_catalog.pg_roles WHERE oid = 10 \
             UNION ALL SELECT 'public_privileges', coalesce((SELECT jsonb_agg(t.said ORDER BY t.said::text COLLATE \"C\") FROM ( \
                 SELECT jsonb_build_array(CASE WHEN x.grantee = n.nspowner THEN '' ELSE x.grantee::regrole::text END, \
                   CASE WHEN x.grantor = n.nspowner THEN '' ELSE x.grantor::regrole::text END, x.privilege_type, x.is_grantable) AS said \
                 FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS x WHERE {grantee} AND {grantor}) AS t)::text, '[]') \
               FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public' \
             UNION ALL SELECT k, v FROM pg_catalog.pg_database d, \
               LATERAL (VALUES ('lc_collate', d.datcollate::text), ('lc_ctype', d.datctype::text), \
                 ('locale_provider', pg_catalog.to_jsonb(d) ->> 'datlocprovider'), \
                 ('locale', coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale')), \
                 ('collation_version', pg_catalog.to_jsonb(d) ->> 'datcollversion')) AS x(k, v) \
               WHERE d.datname = pg_catalog.current_database() AND v IS NOT NULL"
    );
    let rows = client.query(&sql, &[]).await.map_err(failed)?;
    let pairs: Result<HashMap<String, String>, PgError> = rows
        .iter()
        .map(|row| {
            Ok((
                row.try_get(0).map_err(failed)?,
                row.try_get(1).map_err(failed)?,
            ))
        })
        .collect();
    let mut settings = extension_settings(client).await?;
    settings.extend(pairs?);
    Ok(settings)
}

/// User mappings whose options this role may not see: a superuser or the owner of the foreign server sees
/// them, and pg_dump leaves out in silence what its role does not (G3).
pub(super) async fn hidden_options(client: &Client) -> Result<Vec<LeftOut>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("list the user mappings", &e);
    let sql = "\
        SELECT m.usename::text, m.srvname::text FROM pg_catalog.pg_user_mappings m WHERE m.umoptions IS NULL \
        AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) ORDER BY 1, 2";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        let (user, server): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(LeftOut {
 fingerprint: None,            schema: Name::Text(String::new()),
            name: Name::Text(format!("user mapping of {user} on {server}")),
            why: "its options, where it has any: only a superuser or the owner of the foreign server may read them".to_owned(),
            rows: 0,
        })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}
