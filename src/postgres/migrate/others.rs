//! Histories of other tools (M2): seen, so that nothing is applied twice; Supabase's written too.

use tokio_postgres::Client;

use crate::plan::{Direction, Next};
use crate::postgres::error::PgError;

/// Tables in which other tools remember what they applied.
const FOREIGN: [&str; 14] = [
    "_sqlx_migrations",
    "flyway_schema_history",
    "schema_migrations",
    "goose_db_version",
    "django_migrations",
    "__diesel_schema_migrations",
    "refinery_schema_history",
    "databasechangelog",
    "atlas_schema_revisions",
    "knex_migrations",
    "_prisma_migrations",
    "alembic_version",
    "pgmigrations",
    "__EFMigrationsHistory",
];

/// Supabase's own.
const SUPABASE: &str = "supabase_migrations.schema_migrations";

/// Which other tools remember migrations in this database, by the tables that they do it in.
///
/// # Errors
/// Those of a query.
pub async fn foreign(client: &Client) -> Result<Vec<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("look for other tools' histories", &e);
    let sql = "SELECT n.nspname::text || '.' || c.relname::text FROM pg_catalog.pg_class AS c \
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p') AND c.relname::text = ANY ($1) ORDER BY 1 LIMIT 10";
    let rows = client
        .query(sql, &[&FOREIGN.as_slice()])
        .await
        .map_err(failed)?;
    rows.iter().map(|r| r.try_get(0).map_err(failed)).collect()
}

/// Supabase's version is what its file name begins with, zeros too.
pub(super) async fn supabase(
    client: &Client,
    direction: Direction,
    next: &Next<'_>,
) -> Result<(), tokio_postgres::Error> {
    let file = next.file.name.rsplit('/').next().unwrap_or_default();
    let (version, rest) = file.split_once('_').unwrap_or((file, ""));
    if direction == Direction::Down {
        let sql = format!("DELETE FROM {SUPABASE} WHERE version = $1");
        return client.execute(&sql, &[&version]).await.map(|_| ());
    }
    let name = rest.strip_suffix(".sql").unwrap_or(rest);
    let statements: Vec<&str> = next
        .file
        .segments
        .iter()
        .flat_map(|s| s.statements.iter().map(|s| s.text.as_str()))
        .collect();
    let sql = format!("INSERT INTO {SUPABASE} (version, name, statements) VALUES ($1, $2, $3)");
    client
        .execute(&sql, &[&version, &name, &statements])
        .await
        .map(|_| ())
}
