//! Whether the server's lock table has room for a backup (G11): asked before the first lock, since whoever fills it makes the
//! application's statements fail too.

use tokio_postgres::Client;

use super::error::PgError;
use super::names::TABLES_WHERE;
use crate::api::Reason;

/// What a backup needs of the lock table, and what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Budget {
    /// An entry each, however many sessions hold it.
    tables: i64,
    /// `max_locks_per_transaction`.
    each: i64,
    /// `max_connections` and `max_prepared_transactions`.
    sessions: i64,
}

impl Budget {
    fn entries(self) -> i64 {
        self.each.saturating_mul(self.sessions)
    }

    /// By what the setting would leave half of the room to others.
    fn wanted(self) -> i64 {
        let twice = self.tables.saturating_mul(2);
        twice
            .checked_div(self.sessions)
            .unwrap_or(twice)
            .saturating_add(1)
            .max(self.each)
    }

    /// `None`: there is room.
    ///
    /// # Errors
    /// `LockTableTooSmall` where the table would overflow.
    fn judge(self) -> Result<Option<String>, PgError> {
        let numbers = format!(
            "a backup locks {} tables, and the server's lock table has room for {} (max_locks_per_transaction {} × {} sessions)",
            self.tables,
            self.entries(),
            self.each,
            self.sessions
        );
        let cure = format!(
            "set max_locks_per_transaction to {} or more and restart the server",
            self.wanted()
        );
        if self.tables > self.entries() {
            return Err(PgError::never(
                Reason::LockTableTooSmall,
                format!("{numbers}: {cure}"),
            ));
        }
        let tight = self.tables > self.entries() / 2;
        Ok(tight
            .then(|| format!("{numbers}, so that others may run out of locks meanwhile: {cure}")))
    }
}

/// Asks; a sentence where less than half of the room would be left.
///
/// # Errors
/// `LockTableTooSmall`, and those of the query.
pub(super) async fn check(client: &Client) -> Result<Option<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("ask for the room for locks", &e);
    let setting = |name: &str| format!("pg_catalog.current_setting('{name}')::pg_catalog.int8");
    let sql = format!(
        "SELECT (SELECT pg_catalog.count(*) {TABLES_WHERE}), {}, {} + {}",
        setting("max_locks_per_transaction"),
        setting("max_connections"),
        setting("max_prepared_transactions")
    );
    let row = client.query_one(&sql, &[]).await.map_err(failed)?;
    let budget = Budget {
        tables: row.try_get(0).map_err(failed)?,
        each: row.try_get(1).map_err(failed)?,
        sessions: row.try_get(2).map_err(failed)?,
    };
    budget.judge()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tables: i64) -> Result<Option<String>, PgError> {
        let budget = Budget {
            tables,
            each: 64,
            sessions: 100,
        };
        budget.judge()
    }

    #[test]
    fn g11_a_lock_table_that_would_overflow_is_refused_and_a_tight_one_is_told() {
        assert_eq!(of(3_200).unwrap(), None);
        let tight = of(3_201).unwrap().unwrap();
        assert!(
            tight.contains("3201 tables") && tight.contains("room for 6400"),
            "{tight}"
        );
        assert!(
            tight.contains("max_locks_per_transaction to 65 or more"),
            "{tight}"
        );
        assert!(of(6_400).unwrap().is_some());
        let refused = of(6_401).unwrap_err();
        assert_eq!(refused.reason(), Reason::LockTableTooSmall);
        assert!(refused.to_string().contains("to 129 or more"), "{refused}");
    }
}
