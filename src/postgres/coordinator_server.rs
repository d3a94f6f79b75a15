//! What the coordinator asks a server before it locks anything: how to begin, and where the log stands (G8, G10, G32).

use tokio_postgres::Client;

use super::error::PgError;
use crate::manifest::{Base, Position};

/// Settings of the coordinator's transaction: reading (G14) and a dead man's switch (G10). All are
/// SET LOCAL: through a pooler nothing would stay behind (G12). SET takes no snapshot.
const SETTINGS: &str = "\
    SET LOCAL search_path = ''; SET LOCAL row_security = off; SET LOCAL DateStyle = 'ISO'; \
    SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL client_min_messages = 'warning'; SET LOCAL TimeZone = 'UTC'; SET LOCAL statement_timeout = 0; \
    SET LOCAL standard_conforming_strings = on; SET LOCAL quote_all_identifiers = off; SET LOCAL jit = off; \
    SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL idle_in_transaction_session_timeout = '180s'; \
    SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3; \
    SET LOCAL tcp_user_timeout = '60s'";

/// What must be known of the server before the locks.
pub(super) struct Server {
    pub(super) major: i32,
    in_recovery: bool,
    /// Half of deadlock_timeout, in milliseconds (G8).
    lock_timeout: i32,
}

impl Server {
    pub(super) async fn read(client: &Client) -> Result<Self, PgError> {
        let failed =
            |e: tokio_postgres::Error| PgError::query("ask the server for its settings", &e);
        let row = client
            .query_one(
                "SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.pg_is_in_recovery(), \
                        (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout')",
                &[],
            )
            .await
            .map_err(failed)?;
        let version: i32 = row.try_get(0).map_err(failed)?;
        let deadlock: i32 = row.try_get(2).map_err(failed)?;
        Ok(Self {
            major: version / 10_000,
            in_recovery: row.try_get(1).map_err(failed)?,
            lock_timeout: (deadlock / 2).max(1),
        })
    }

    pub(super) fn begin_sql(&self) -> String {
        let mut sql = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {SETTINGS}; SET LOCAL lock_timeout = {}",
            self.lock_timeout
        );
        if self.major >= 14 {
            sql.push_str("; SET LOCAL client_connection_check_interval = '10s'");
        }
        if self.major >= 17 {
            sql.push_str("; SET LOCAL transaction_timeout = 0");
        }
        sql
    }

    pub(super) async fn position(&self, client: &Client) -> Result<Position, PgError> {
        let failed =
            |e: tokio_postgres::Error| PgError::query("ask for the position in the log", &e);
        let sql = if self.in_recovery {
            "SELECT pg_catalog.pg_last_wal_replay_lsn()::text, NULL::text"
        } else {
            "SELECT pg_catalog.pg_current_wal_lsn()::text, \
                    pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text"
        };
        let row = client.query_one(sql, &[]).await.map_err(failed)?;
        let lsn: Option<String> = row.try_get(0).map_err(failed)?;
        Ok(Position {
            lsn: lsn.unwrap_or_else(|| "0/0".to_owned()),
            next_xid: row.try_get(1).map_err(failed)?,
        })
    }

    /// The control functions may be denied on managed services: then these stay open.
    pub(super) async fn base(&self, client: &Client) -> Base {
        let ask = |sql: &'static str| async move {
            let row = client.query_one(sql, &[]).await.ok()?;
            row.try_get::<_, String>(0).ok()
        };
        let system =
            ask("SELECT system_identifier::text FROM pg_catalog.pg_control_system()").await;
        let timeline =
            ask("SELECT timeline_id::text FROM pg_catalog.pg_control_checkpoint()").await;
        Base {
            snapshot: None,
            not_a_base: false,
            in_recovery: self.in_recovery,
            system_identifier: system,
            timeline: timeline.and_then(|t| t.parse().ok()),
            position: Position {
                lsn: String::new(),
                next_xid: None,
            },
        }
    }
}
