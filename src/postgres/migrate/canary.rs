//! The application that was there before (M21): it prepared `SELECT *` long ago, and a new column makes the server refuse that.

use std::sync::Arc;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Statement};

use crate::api::Reason;
use crate::postgres::connect::{Connection, connect};
use crate::postgres::error::PgError;
use crate::postgres::target::Target;

/// Most tables that are looked at.
const MOST: i64 = 1_000;
/// A table that somebody else holds is not waited for longer.
const SETTINGS: &str = "SET lock_timeout = '5s'; SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'";

/// Quoted names, in their order. What is found in a view stays as it was when the view was made.
const TABLES: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class AS c \
    JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
    WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m}'::pg_catalog.\"char\"[]) \
      AND n.nspname OPERATOR(pg_catalog.<>) ALL ('{information_schema,lifeboat}'::pg_catalog.name[]) \
      AND n.nspname OPERATOR(pg_catalog.!~) '^pg_' ORDER BY 1 LIMIT $1";

/// A session that has prepared `SELECT *` on each table. Between two looks it holds no lock.
#[derive(Debug)]
pub struct Canary {
    session: Connection,
    prepared: Vec<(String, Statement)>,
}

/// What lasts no longer than the line does.
fn lost(error: &Error) -> bool {
    error.as_db_error().is_none() || error.is_closed()
}

fn failed(error: &Error) -> PgError {
    PgError::query("look as an application that prepared its queries", error)
}

impl Canary {
    /// Prepares, on at most a thousand tables. What its role may not name is left out.
    ///
    /// # Errors
    /// Those of a connection.
    pub async fn open(target: &Target) -> Result<Self, PgError> {
        let session = connect(target, "lifeboat/canary").await?;
        let client = &session.client;
        client
            .batch_execute(SETTINGS)
            .await
            .map_err(|e| failed(&e))?;
        let rows = client.query(TABLES, &[&MOST]).await;
        let mut prepared = Vec::new();
        for row in rows.map_err(|e| failed(&e))? {
            let table: String = row.try_get(0).map_err(|e| failed(&e))?;
            match client.prepare(&format!("SELECT * FROM {table}")).await {
                Ok(statement) => prepared.push((table, statement)),
                Err(e) if lost(&e) => return Err(failed(&e)),
                Err(_) => {}
            }
        }
        Ok(Self { session, prepared })
    }

    /// Tables, by quoted name, whose prepared `SELECT *` fails now with 0A000: "cached plan must not change result type".
    ///
    /// # Errors
    /// Those of a connection.
    pub async fn look(&mut self) -> Result<Vec<String>, PgError> {
        let mut failing = Vec::new();
        for (table, statement) in &self.prepared {
            let client = Arc::get_mut(&mut self.session.client).ok_or_else(|| {
                let text = "somebody else has a hand on a session that is ours alone";
                PgError::never(Reason::InternalError, text)
            })?;
            match bind(client, statement).await {
                Err(e) if lost(&e) => return Err(failed(&e)),
                Err(e) if e.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) => {
                    failing.push(table.clone());
                }
                // A table that has gone is missed by its own statements, not by their plans.
                _ => {}
            }
        }
        Ok(failing)
    }
}

/// As an application does before it reads. The server looks at the plan here, so no row need be read.
async fn bind(client: &mut Client, statement: &Statement) -> Result<(), Error> {
    let reads = client.build_transaction().read_only(true).start().await?;
    let bound = reads.bind(statement, &[]).await.map(drop);
    reads.rollback().await?;
    bound
}
