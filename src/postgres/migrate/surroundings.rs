//! What surrounds the statements of a migration on a server besides its database: settings that say how fast and with how much room
//! indexes are built (M22), and event triggers that a statement may fire without naming them (M9).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Error};

use crate::postgres::error::PgError;

/// What maintenance goes by. Not `temp_file_limit`: it would end the restore before the rehearsal.
const SETTINGS: [&str; 7] = [
    "maintenance_work_mem",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_worker_processes",
    "work_mem",
    "hash_mem_multiplier",
];

/// As a session of the migrating role finds them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Surroundings {
    /// Settings by their names, with their units: `65536kB`.
    pub settings: BTreeMap<String, String>,
    /// Event triggers that are not switched off, by name.
    pub event_triggers: Vec<EventTrigger>,
}

/// An event trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventTrigger {
    /// Its name.
    pub name: String,
    /// `ddl_command_start`, `ddl_command_end`, `sql_drop`, `table_rewrite`, `login`.
    pub event: String,
    /// Commands that fire it; empty: all.
    pub tags: Vec<String>,
    /// Quoted name of its function.
    pub function: String,
    /// SHA-256 of the function's source, hex.
    pub source_sha256: String,
}

/// Looks.
///
/// # Errors
/// Those of a query.
pub async fn surroundings(client: &Client) -> Result<Surroundings, PgError> {
    let failed = |e: Error| PgError::query("read settings and event triggers", &e);
    Ok(Surroundings {
        settings: settings(client).await.map_err(failed)?,
        event_triggers: event_triggers(client).await.map_err(failed)?,
    })
}

/// As the session began with them.
async fn settings(client: &Client) -> Result<BTreeMap<String, String>, Error> {
    let sql = "SELECT name, reset_val || coalesce(unit, '') FROM pg_catalog.pg_settings WHERE name = ANY ($1) AND reset_val IS NOT NULL";
    let rows = client.query(sql, &[&SETTINGS.as_slice()]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Those that fire in a session like ours: neither switched off nor for replicas alone.
async fn event_triggers(client: &Client) -> Result<Vec<EventTrigger>, Error> {
    let sql = "SELECT t.evtname::text, t.evtevent::text, coalesce(t.evttags, '{}'::text[]), pg_catalog.format('%I.%I', n.nspname, p.proname), \
          pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(p.prosrc, pg_catalog.getdatabaseencoding())), 'hex') \
        FROM pg_catalog.pg_event_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid = t.evtfoid \
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
        WHERE t.evtenabled IN ('O', 'A') ORDER BY 1 LIMIT 1000";
    let rows = client.query(sql, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(EventTrigger {
                name: row.try_get(0)?,
                event: row.try_get(1)?,
                tags: row.try_get(2)?,
                function: row.try_get(3)?,
                source_sha256: row.try_get(4)?,
            })
        })
        .collect()
}
