//! What stands in a migration's way: asked by our own queries only, read-only, before anything is touched (M11, M15, M17, M19).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use tokio_postgres::{Client, Error, Row};

use super::{activity, followers};
use crate::postgres::error::{PgError, sanitise};
use crate::postgres::names::{quote_ident, quote_literal};

/// Most findings of a kind.
const MOST: usize = 10;

/// One thing that stands in the way, or that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub what: What,
    /// Whether a migration may begin all the same.
    pub level: Level,
    /// One sentence, fit to be shown: who, since when, and what to do.
    pub message: String,
}

impl Finding {
    pub(super) fn new(what: What, level: Level, message: impl AsRef<str>) -> Self {
        let message = sanitise(message.as_ref());
        Self {
            what,
            level,
            message,
        }
    }
}

/// Kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// A session of this database that does nothing, in a transaction; or sessions that hide whether they do.
    IdleInTransaction,
    /// A transaction that began long ago.
    OldSnapshot,
    /// Somebody follows the WAL: its readers are not seen from here (M15).
    Standby,
    /// A replication slot that is about to be lost, is lost, or that nobody reads (M19).
    Slot,
    /// Somebody who follows the WAL is far behind.
    Lag,
    /// An index that is not valid.
    InvalidIndex,
    /// A backup of this database is at work (M17).
    Dump,
    /// The server or the role takes no changes.
    ReadOnly,
    /// A transaction of two phases that nobody has ended.
    PreparedTransaction,
    /// Since when others hold a table is hidden from the role, and what an autovacuum is for (M16).
    Hidden,
}

/// What a finding means for a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It must not begin.
    Blocks,
    /// It could not be seen whether it may begin.
    Unknown,
    /// Worth knowing.
    Note,
}

/// What is still not in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Age of a transaction.
    pub oldest_snapshot: Duration,
    /// So long a session does nothing in a transaction.
    pub idle_in_transaction: Duration,
    /// Bytes of WAL that a standby has not replayed.
    pub lag_bytes: u64,
    /// Somebody said that the readers of standbys need not be looked at (`replicas: Unchecked`).
    pub replicas_acknowledged: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            oldest_snapshot: Duration::from_secs(600),
            idle_in_transaction: Duration::from_secs(60),
            lag_bytes: 64 * 1024 * 1024,
            replicas_acknowledged: false,
        }
    }
}

/// Looks at the server, and changes nothing: by kind, at most ten of each, the worst first.
///
/// The session must not be in a transaction.
///
/// # Errors
/// Those of a query. What a role may not see is a finding.
pub async fn precheck(client: &Client, bounds: &Bounds) -> Result<Vec<Finding>, PgError> {
    let failed = |e: Error| PgError::query("look for what stands in the way", &e);
    // One transaction: every answer about sessions is of the same moment.
    let begin = "BEGIN READ ONLY; SET LOCAL search_path = ''; SET LOCAL statement_timeout = '60s'; \
        SET LOCAL idle_in_transaction_session_timeout = '60s'";
    client.batch_execute(begin).await.map_err(failed)?;
    let found = look(client, bounds).await;
    let ended = client.batch_execute("ROLLBACK").await;
    let found = found.map_err(failed)?;
    ended.map_err(failed)?;
    Ok(found)
}

async fn look(client: &Client, bounds: &Bounds) -> Result<Vec<Finding>, Error> {
    let sql = "SELECT current_user::text, pg_catalog.pg_is_in_recovery(), \
        coalesce((SELECT reset_val = 'on' FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only'), false), \
        pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')";
    let row = client.query_one(sql, &[]).await?;
    let role = quote_ident(row.try_get(0)?);
    let mut found = read_only(&role, row.try_get(1)?, row.try_get(2)?);
    if !row.try_get::<_, bool>(3)? {
        found.push(hidden(&role));
    }
    found.extend(activity::look(client, &role, bounds).await?);
    found.extend(followers::look(client, &role, bounds).await?);
    found.extend(each(client, followers::SLOTS, followers::slot).await?);
    found.extend(each(client, PREPARED, prepared).await?);
    found.extend(each(client, INDEXES, index).await?);
    Ok(bounded(found))
}

/// A finding for each row.
async fn each(
    client: &Client,
    sql: &str,
    finding: fn(&Row) -> Result<Finding, Error>,
) -> Result<Vec<Finding>, Error> {
    let rows = client.query(sql, &[]).await?;
    rows.iter().map(finding).collect()
}

/// The first of each kind, what blocks before the rest; the last of a kind says how many more there are.
fn bounded(found: Vec<Finding>) -> Vec<Finding> {
    let mut kinds: BTreeMap<What, Vec<Finding>> = BTreeMap::new();
    for finding in found {
        kinds.entry(finding.what).or_default().push(finding);
    }
    for kind in kinds.values_mut() {
        kind.sort_by_key(|f| f.level);
        let more = kind.len().saturating_sub(MOST);
        kind.truncate(MOST);
        if let Some(last) = kind.last_mut().filter(|_| more > 0) {
            let _ = write!(last.message, "; and {more} more");
        }
    }
    kinds.into_values().flatten().collect()
}

fn read_only(role: &str, in_recovery: bool, by_default: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    if in_recovery {
        let text = "the server is a standby and takes no changes: the policy's database must name the primary";
        found.push(Finding::new(What::ReadOnly, Level::Blocks, text));
    }
    if by_default {
        // Providers set it when a disk is full: that we could switch it off does not make it ours to do.
        let text = format!(
            "default_transaction_read_only is on for {role} in this database: somebody wants no changes now; \
             when that is over, RESET it with ALTER ROLE or ALTER DATABASE"
        );
        found.push(Finding::new(What::ReadOnly, Level::Blocks, text));
    }
    found
}

/// Who waits behind an old transaction, or behind an autovacuum that must not be ended, waits in vain, and others behind it.
fn hidden(role: &str) -> Finding {
    let text = format!(
        "{role} may not see since when others hold a table, nor whether an autovacuum works there to prevent wraparound: \
         a segment would queue behind them, each time for as long as lockTimeout; GRANT pg_monitor TO {role}"
    );
    Finding::new(What::Hidden, Level::Unknown, text)
}

const PREPARED: &str = "SELECT gid, owner::text, \
      extract(epoch FROM pg_catalog.clock_timestamp() - prepared)::bigint \
    FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() ORDER BY prepared";

/// It keeps its locks without any session, through restarts too: whoever waits for them waits for ever.
fn prepared(row: &Row) -> Result<Finding, Error> {
    let (gid, owner): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let age: i64 = row.try_get(2)?;
    let gid = quote_literal(&gid);
    let text = format!(
        "the transaction {gid} of {owner} has been prepared for {age} s and keeps its locks until somebody ends it: \
         COMMIT PREPARED {gid} or ROLLBACK PREPARED {gid}"
    );
    let what = What::PreparedTransaction;
    Ok(Finding::new(what, Level::Blocks, text))
}

/// An index that is being built is not valid either; its builder holds the table against others.
const INDEXES: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind = 'I', i.indisunique, \
      (SELECT pg_catalog.min(l.pid) FROM pg_catalog.pg_locks AS l \
       WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.granted AND l.mode = 'ShareUpdateExclusiveLock' \
         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())) \
    FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
    WHERE NOT i.indisvalid ORDER BY c.relkind = 'I', NOT i.indisunique, 1 LIMIT 1000";

fn index(row: &Row) -> Result<Finding, Error> {
    let name: String = row.try_get(0)?;
    let (parent, unique): (bool, bool) = (row.try_get(1)?, row.try_get(2)?);
    let builder: Option<i32> = row.try_get(3)?;
    let text = if parent {
        format!(
            "the index {name} is not valid until each partition has one: CREATE INDEX CONCURRENTLY there, \
             then ALTER INDEX {name} ATTACH PARTITION"
        )
    } else if let Some(pid) = builder {
        format!(
            "the index {name} is not valid, and pid {pid}, which holds its table, may be building it: look again when that has ended"
        )
    } else if unique {
        // M4: it may say no to a row that is right.
        format!(
            "the unique index {name} is not valid, and still rejects rows: DROP INDEX CONCURRENTLY {name}"
        )
    } else {
        format!(
            "the index {name} is not valid: every write pays for it, no query uses it; DROP INDEX CONCURRENTLY {name}"
        )
    };
    Ok(Finding::new(What::InvalidIndex, Level::Note, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_of_a_kind_are_told_of_and_what_blocks_comes_first() {
        let note = Finding::new(What::Slot, Level::Note, "idle");
        let blocks = Finding::new(What::Slot, Level::Blocks, "lost");
        let standby = Finding::new(What::Standby, Level::Unknown, "unseen");
        let mut found = vec![note; 11];
        found.extend([blocks.clone(), standby.clone()]);
        let found = bounded(found);
        assert_eq!(found.len(), 11);
        assert_eq!(found.first(), Some(&standby));
        assert_eq!(found.get(1), Some(&blocks));
        assert_eq!(found.last().unwrap().message, "idle; and 2 more");
    }
}
