//! A database before something is restored into it: what it offers, and what stands in the way.

use std::collections::BTreeSet;

use super::connect::connect;
use super::error::PgError;
use super::target::Target;
use crate::manifest::Contents;

/// Most objects that are named.
const NAMED: i64 = 5;

/// What a database is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Empty {
    /// As `server_version` says.
    pub version: String,
    /// Its encoding.
    pub encoding: String,
    /// Version of its collation's rules, where there is one.
    pub collation_version: Option<String>,
    /// Extensions that can be made in it.
    pub extensions: BTreeSet<String>,
    /// What is in it already; the first few. Extensions and the schema public do not count.
    pub objects: Vec<String>,
}

impl Empty {
    /// Extensions of a backup that are not to be had here.
    #[must_use]
    pub fn lacks<'a>(&self, contents: &'a Contents) -> Vec<&'a str> {
        let wanted = contents.extensions.iter().map(|(name, _)| name.as_str());
        wanted
            .filter(|name| !self.extensions.contains(*name))
            .collect()
    }
}

/// Looks.
///
/// # Errors
/// Those of connecting and of a query.
pub async fn look(target: &Target, application_name: &str) -> Result<Empty, PgError> {
    let session = connect(target, application_name).await?;
    let failed = |e: tokio_postgres::Error| PgError::query("look at the database", &e);
    let client = &session.client;
    let sql = "\
        WITH mine AS ( \
          SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS class, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name \
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
          UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, pg_catalog.format('%I.%I()', n.nspname, p.proname) \
            FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
          UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, pg_catalog.format('%I.%I', n.nspname, t.typname) \
            FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typrelid = 0 AND t.typelem = 0 \
          UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid, pg_catalog.format('schema %I', n.nspname) \
            FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'public') \
          UNION ALL SELECT 'pg_catalog.pg_largeobject_metadata'::pg_catalog.regclass, l.oid, pg_catalog.format('large object %s', l.oid) \
            FROM pg_catalog.pg_largeobject_metadata l) \
        SELECT name FROM mine WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d \
          WHERE d.classid = mine.class AND d.objid = mine.oid AND d.deptype = 'e') ORDER BY 1 LIMIT $1";
    let rows = client.query(sql, &[&NAMED]).await.map_err(failed)?;
    let objects: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    let sql = "SELECT name::text FROM pg_catalog.pg_available_extensions";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let extensions: Result<BTreeSet<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    let sql = "\
        SELECT pg_catalog.current_setting('server_version'), pg_catalog.getdatabaseencoding()::text, \
               pg_catalog.to_jsonb(d) ->> 'datcollversion' \
        FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    Ok(Empty {
        version: row.try_get(0).map_err(failed)?,
        encoding: row.try_get(1).map_err(failed)?,
        collation_version: row.try_get(2).map_err(failed)?,
        extensions: extensions.map_err(failed)?,
        objects: objects.map_err(failed)?,
    })
}
