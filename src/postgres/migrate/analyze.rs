//! Statistics of what a migration touched: a new column, an expression index has none before.

use std::time::Duration;

use super::Acting;
use crate::postgres::connect::connect;
use crate::postgres::error::PgError;
use crate::postgres::names::quote_ident;
use crate::postgres::target::Target;

/// An ANALYZE that waits longer for its lock is left out: autovacuum comes later.
const WAIT: Duration = Duration::from_secs(1);
/// Of all tables together.
const WHOLE: Duration = Duration::from_secs(900);

/// Analyzes tables, by schema and name, as the role that migrates. Never fails: what could not be analyzed is said.
pub async fn analyze(target: &Target, acting: &Acting, tables: &[(String, String)]) -> Vec<String> {
    let mut notes = Vec::new();
    if tables.is_empty() {
        return notes;
    }
    match tokio::time::timeout(WHOLE, all(target, acting, tables, &mut notes)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => notes.push(format!("not analyzed: {error}")),
        Err(_) => notes.push("not analyzed in time: autovacuum will".to_owned()),
    }
    notes
}

async fn all(
    target: &Target,
    acting: &Acting,
    tables: &[(String, String)],
    notes: &mut Vec<String>,
) -> Result<(), PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("analyze what was touched", &e);
    let session = connect(target, "lifeboat-analyze").await?;
    let client = &session.client;
    let timeout = format!("SET lock_timeout = '{}ms'", WAIT.as_millis());
    client.batch_execute(&timeout).await.map_err(failed)?;
    if let Some(role) = &acting.role {
        let role = format!("SET ROLE {}", quote_ident(role));
        client.batch_execute(&role).await.map_err(failed)?;
    }
    for (schema, name) in tables {
        let table = format!("{}.{}", quote_ident(schema), quote_ident(name));
        let done = client.batch_execute(&format!("ANALYZE {table}")).await;
        if let Err(error) = done {
            notes.push(PgError::query(&format!("analyze {table}"), &error).to_string());
        }
    }
    Ok(())
}
