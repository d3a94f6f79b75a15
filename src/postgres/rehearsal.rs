//! What a rehearsal asks of its scratch server, and makes there, as its superuser.

use std::collections::{BTreeMap, BTreeSet};

use super::connect::connect;
use super::error::PgError;
use super::names::quote_ident;
use super::role_closure::readable;
use super::target::Target;

const NAME: &str = "lifeboat/rehearsal";

/// Names of all roles.
///
/// # Errors
/// Those of connecting and of a query.
pub async fn roles(target: &Target) -> Result<BTreeSet<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("look at the roles", &e);
    let session = connect(target, NAME).await?;
    // Those whose names cannot be read here are none of the backup's.
    let sql = format!(
        "SELECT rolname::text FROM pg_catalog.pg_roles WHERE {}",
        readable("rolname")
    );
    let rows = session.client.query(&sql, &[]).await.map_err(failed)?;
    rows.iter()
        .map(|row| row.try_get(0).map_err(failed))
        .collect()
}

/// Runs statements that make roles and bind them to each other, one after the other.
///
/// # Errors
/// Those of connecting, and of the first that fails.
pub async fn make_roles(target: &Target, statements: &[&String]) -> Result<(), PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("make a role of production", &e);
    let session = connect(target, NAME).await?;
    for statement in statements {
        session
            .client
            .batch_execute(statement)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// Lets a role's sessions hear of each temporary file that they leave, if they like (M21): the setting is the superuser's.
///
/// # Errors
/// Those of connecting, and of the statement.
pub async fn tell_of_temporary_files(target: &Target, role: &str) -> Result<(), PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("set up the migrating role", &e);
    let session = connect(target, NAME).await?;
    let sql = format!("ALTER ROLE {} SET log_temp_files = 0", quote_ident(role));
    session.client.batch_execute(&sql).await.map_err(failed)
}

/// Schema and name of every table and materialized view, by their quoted names.
///
/// # Errors
/// Those of connecting and of a query.
pub async fn table_names(target: &Target) -> Result<BTreeMap<String, (String, String)>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the names of tables", &e);
    let session = connect(target, NAME).await?;
    let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), n.nspname::text, c.relname::text \
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p', 'm')";
    let mut names = BTreeMap::new();
    for row in session.client.query(sql, &[]).await.map_err(failed)? {
        let name = (
            row.try_get(1).map_err(failed)?,
            row.try_get(2).map_err(failed)?,
        );
        names.insert(row.try_get(0).map_err(failed)?, name);
    }
    Ok(names)
}
