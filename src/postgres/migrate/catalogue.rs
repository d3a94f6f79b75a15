//! What planning asks the catalogue: tables for the lint, who migrates, and whether there is a past that nobody wrote down.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tokio_postgres::{Client, Error};

use super::history::identity;
use crate::api::Reason;
use crate::postgres::error::PgError;
use crate::postgres::names::quote_ident;
use crate::sql::Name;
use crate::sql::lint::{Context, NotNull, Table};

/// A server and its database, as a plan is bound to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The server's `system_identifier`.
    pub system_identifier: String,
    /// OID of the database.
    pub database_oid: u32,
    /// Name of the database.
    pub database: String,
    /// Major version.
    pub major: i32,
    /// The role that is logged in, and every role that it is a member of.
    pub roles: Vec<String>,
    /// The first of them.
    pub login: String,
    /// Every other role of the server: a file may name one.
    pub others: Vec<String>,
    /// Somebody has made a relation or function in it.
    pub has_objects: bool,
    /// Who is logged in may make the history, or write the one that is there.
    may_keep_history: bool,
    /// Whose the history is that is there.
    history_of: Option<String>,
}

impl Place {
    /// Whether the history can stand here.
    ///
    /// # Errors
    /// `PermissionDenied`, with the grant that mends it.
    pub fn keeps_history(&self) -> Result<(), PgError> {
        if self.may_keep_history {
            return Ok(());
        }
        let login = quote_ident(&self.login);
        let why = match &self.history_of {
            // As the server writes a name: in quotes where it needs them.
            Some(owner) => format!(
                "the history of migrations (schema lifeboat) belongs to {owner}, and the role {login} may not write it: migrate as \
                 {owner}, or GRANT {owner} TO {login}"
            ),
            None => format!(
                "the role {login} may not make the schema lifeboat, in which the history of migrations stands: \
                 GRANT CREATE ON DATABASE {} TO {login}",
                quote_ident(&self.database)
            ),
        };
        Err(PgError::never(Reason::PermissionDenied, why))
    }
}

/// Who and where we are.
///
/// # Errors
/// Those of a query.
pub async fn place(client: &Client) -> Result<Place, PgError> {
    let failed = |e: Error| PgError::query("ask the server who it is", &e);
    let here = identity(client).await?;
    let sql = "SELECT pg_catalog.current_database()::text, pg_catalog.current_setting('server_version_num')::int / 10000, \
          session_user::text, EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'lifeboat') \
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                AND d.objid = c.oid AND d.deptype = 'e')), \
          pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    let history = "SELECT n.nspowner::pg_catalog.regrole::text, pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND CASE WHEN c.oid IS NULL \
            THEN pg_catalog.has_schema_privilege(n.oid, 'CREATE') \
            ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT') \
              AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') END \
        FROM pg_catalog.pg_namespace AS n LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = 'migration_history' \
        WHERE n.nspname = 'lifeboat'";
    let (history_of, may_keep_history) =
        match client.query_opt(history, &[]).await.map_err(failed)? {
            Some(there) => (
                Some(there.try_get(0).map_err(failed)?),
                there.try_get(1).map_err(failed)?,
            ),
            None => (None, row.try_get(4).map_err(failed)?),
        };
    let roles = "WITH RECURSIVE of(oid) AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user \
          UNION SELECT m.roleid FROM pg_catalog.pg_auth_members AS m JOIN of ON m.member = of.oid) \
        SELECT r.rolname::text FROM pg_catalog.pg_roles AS r JOIN of USING (oid) WHERE r.rolname !~ '^pg_' ORDER BY 1 LIMIT 200";
    let roles = client.query(roles, &[]).await.map_err(failed)?;
    let roles: Result<Vec<String>, Error> = roles.iter().map(|r| r.try_get(0)).collect();
    let others = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY 1 LIMIT 10000";
    let others = client.query(others, &[]).await.map_err(failed)?;
    let others: Result<Vec<String>, Error> = others.iter().map(|r| r.try_get(0)).collect();
    Ok(Place {
        system_identifier: here.system,
        database_oid: here.database,
        database: row.try_get(0).map_err(failed)?,
        major: row.try_get(1).map_err(failed)?,
        login: row.try_get(2).map_err(failed)?,
        has_objects: row.try_get(3).map_err(failed)?,
        may_keep_history,
        history_of,
        roles: roles.map_err(failed)?,
        others: others.map_err(failed)?,
    })
}

/// When the history was written last; a backup from before it lacks what was applied then.
///
/// # Errors
/// Those of a query.
pub async fn written(client: &Client) -> Result<Option<Timestamp>, PgError> {
    let failed = |e: Error| PgError::query("read the history of migrations", &e);
    let there = "SELECT pg_catalog.to_regclass('lifeboat.migration_history') IS NOT NULL";
    let there: bool = client
        .query_one(there, &[])
        .await
        .map_err(failed)?
        .try_get(0)
        .map_err(failed)?;
    if !there {
        return Ok(None);
    }
    let sql = "SELECT (extract(epoch FROM max(coalesce(finished_at, started_at))) * 1000000)::bigint FROM lifeboat.migration_history";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    let at: Option<i64> = row.try_get(0).map_err(failed)?;
    Ok(at.and_then(|at| Timestamp::from_microsecond(at).ok()))
}

/// What the lint knows of the database: sizes of its tables, and which schemas an API shows to everybody.
///
/// # Errors
/// Those of a query.
pub async fn context(client: &Client) -> Result<Context, PgError> {
    let failed = |e: Error| PgError::query("read the catalogue for the lint", &e);
    let sql = "SELECT n.nspname::text, c.relname::text, greatest(c.reltuples, 0)::bigint, c.relpages::bigint, c.relkind = 'p', c.relrowsecurity, \
          (SELECT greatest(d.reltuples, 0)::bigint FROM pg_catalog.pg_partitioned_table AS p \
             JOIN pg_catalog.pg_class AS d ON d.oid = p.partdefid WHERE p.partrelid = c.oid) \
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
        ORDER BY c.relpages DESC LIMIT 100000";
    let mut context = Context::default();
    for row in client.query(sql, &[]).await.map_err(failed)? {
        let (schema, name): (String, String) = (
            row.try_get(0).map_err(failed)?,
            row.try_get(1).map_err(failed)?,
        );
        let number = |n: i64| u64::try_from(n).unwrap_or_default();
        let table = Table {
            rows: number(row.try_get(2).map_err(failed)?),
            pages: number(row.try_get(3).map_err(failed)?),
            partitioned: row.try_get(4).map_err(failed)?,
            row_security: row.try_get(5).map_err(failed)?,
            default_rows: row
                .try_get::<_, Option<i64>>(6)
                .map_err(failed)?
                .map(number),
        };
        context
            .tables
            .insert(Name::new(Some(&schema), &name), table);
    }
    // Supabase's API shows `public` to everybody who has these roles.
    let sql = "SELECT pg_catalog.current_setting('server_version_num')::int / 10000, \
        (SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated')) = 2";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    let major: i32 = row.try_get(0).map_err(failed)?;
    context.server_major = u16::try_from(major).ok();
    if row.try_get(1).map_err(failed)? {
        context.exposed = BTreeSet::from(["public".to_owned()]);
    }
    columns(client, &mut context).await.map_err(failed)?;
    Ok(context)
}

/// Of columns: which are not null, and which types can change in place; and which functions and domains of the user's own cost nothing
/// when a column is added.
async fn columns(client: &Client, context: &mut Context) -> Result<(), Error> {
    let ours = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";
    let sql = format!(
        "SELECT n.nspname::text, f.proname::text FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace \
         WHERE f.prokind = 'f' AND {ours} GROUP BY 1, 2 HAVING pg_catalog.bool_and(f.provolatile <> 'v') LIMIT 100000"
    );
    context.steady = names(client, &sql).await?;
    let sql = format!(
        "SELECT n.nspname::text, d.typname::text FROM pg_catalog.pg_type AS d JOIN pg_catalog.pg_namespace AS n ON n.oid = d.typnamespace \
         WHERE d.typtype = 'd' AND {ours} AND EXISTS (SELECT FROM pg_catalog.pg_constraint AS c WHERE c.contypid = d.oid) LIMIT 100000"
    );
    context.constrained = names(client, &sql).await?;
    // As the server prints a CHECK that says of one column that it is not null. One of several columns is read again: that is safe.
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, k.conname::text, a.attname::text, k.convalidated \
         FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] \
         WHERE {ours} AND pg_catalog.array_length(k.conkey, 1) = 1 AND (k.contype = 'n' OR k.contype = 'c' \
           AND pg_catalog.pg_get_expr(k.conbin, k.conrelid) = pg_catalog.format('(%I IS NOT NULL)', a.attname)) LIMIT 500000"
    );
    for row in client.query(&sql, &[]).await? {
        let (schema, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        context.not_null.push(NotNull {
            table: Name::new(Some(&schema), &table),
            constraint: row.try_get(2)?,
            columns: vec![row.try_get(3)?],
            valid: row.try_get(4)?,
        });
    }
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
           a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype = 'n' \
             AND NOT k.convalidated AND k.conkey[1] = a.attnum) \
         FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND {ours} LIMIT 500000"
    );
    for row in client.query(&sql, &[]).await? {
        let (schema, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (table, column): (Name, String) = (Name::new(Some(&schema), &table), row.try_get(2)?);
        if row.try_get(4)? {
            context.not_null.push(NotNull {
                table: table.clone(),
                constraint: String::new(),
                columns: vec![column.clone()],
                valid: true,
            });
        }
        context.types.insert((table, column), row.try_get(3)?);
    }
    Ok(())
}

async fn names(client: &Client, sql: &str) -> Result<BTreeSet<Name>, Error> {
    let rows = client.query(sql, &[]).await?;
    let names = rows.iter().map(|row| {
        let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Name::new(Some(&schema), &name))
    });
    names.collect()
}
