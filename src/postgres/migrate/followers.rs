//! Who follows the server's WAL, and what is kept for them (M15, M19).

use tokio_postgres::{Client, Error, Row};

use super::precheck::{Bounds, Finding, Level, What};
use crate::postgres::names::quote_literal;

/// Who is furthest behind first. A base backup is no standby yet. There are no more than `max_wal_senders`.
const FOLLOWERS: &str = "SELECT r.pid, coalesce(r.application_name, ''), r.state, a.datid IS NOT NULL, \
      r.write_lsn IS NOT NULL AND r.replay_lsn IS NULL, \
      pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() \
        ELSE pg_catalog.pg_current_wal_lsn() END, coalesce(r.replay_lsn, r.write_lsn))::bigint, \
      pg_catalog.age(coalesce(r.backend_xmin, s.xmin))::bigint \
    FROM pg_catalog.pg_stat_replication AS r LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = r.pid \
    LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.active_pid = r.pid \
    WHERE r.state IS DISTINCT FROM 'backup' ORDER BY 6 DESC NULLS FIRST, 2, 1";

/// What follows the WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A standby: whoever reads there waits when a lock is replayed, and is not seen here.
    Standby,
    /// A subscriber of logical replication.
    Subscriber,
    /// It keeps the WAL and replays nothing.
    Archive,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Follower {
    pid: i32,
    name: String,
    kind: Kind,
    /// `None`: hidden from our role.
    state: Option<String>,
    /// Bytes behind; `None`: hidden, or it has not said yet.
    lag: Option<u64>,
    /// Transactions since the oldest snapshot that it keeps here.
    feedback: Option<i64>,
}

/// What stands in the way because of those who follow.
pub(super) async fn look(
    client: &Client,
    role: &str,
    bounds: &Bounds,
) -> Result<Vec<Finding>, Error> {
    let rows = client.query(FOLLOWERS, &[]).await?;
    let mut found = Vec::new();
    for row in &rows {
        let follower = Follower::read(row)?;
        found.extend(follower.findings(role, bounds));
    }
    Ok(found)
}

impl Follower {
    fn read(row: &Row) -> Result<Self, Error> {
        let (logical, archive): (bool, bool) = (row.try_get(3)?, row.try_get(4)?);
        let kind = match (logical, archive) {
            (true, _) => Kind::Subscriber,
            (false, true) => Kind::Archive,
            (false, false) => Kind::Standby,
        };
        let lag: Option<i64> = row.try_get(5)?;
        Ok(Self {
            pid: row.try_get(0)?,
            name: row.try_get(1)?,
            kind,
            state: row.try_get(2)?,
            // A standby may have replayed what was written since we asked.
            lag: lag.map(|bytes| u64::try_from(bytes).unwrap_or_default()),
            feedback: row.try_get(6)?,
        })
    }

    fn findings(&self, role: &str, bounds: &Bounds) -> Vec<Finding> {
        let mut found = vec![self.listed(role, bounds)];
        if let Some(lag) = self.lag.filter(|lag| *lag > bounds.lag_bytes) {
            let text = format!(
                "{} is {lag} bytes of WAL behind, more than {}: wait until it has caught up, or end its replication",
                self.who(),
                bounds.lag_bytes
            );
            found.push(Finding::new(What::Lag, Level::Blocks, text));
        }
        if let Some(age) = self.feedback.filter(|_| self.kind == Kind::Standby) {
            let text = format!(
                "{} sends hot_standby_feedback, and VACUUM keeps what its readers may see, of the last {age} transactions: \
                 nothing to do, CREATE INDEX CONCURRENTLY does not wait for them",
                self.who()
            );
            found.push(Finding::new(What::OldSnapshot, Level::Note, text));
        }
        found
    }

    fn who(&self) -> String {
        let kind = match self.kind {
            Kind::Standby => "standby",
            Kind::Subscriber => "subscriber",
            Kind::Archive => "receiver of WAL",
        };
        format!("the {kind} {} (pid {})", self.name, self.pid)
    }

    /// Each is listed, whatever it is.
    fn listed(&self, role: &str, bounds: &Bounds) -> Finding {
        let who = self.who();
        let Some(state) = &self.state else {
            let text = format!(
                "{role} may not see the state of {who}, nor how far it is behind: GRANT pg_monitor TO {role}"
            );
            return Finding::new(What::Standby, Level::Unknown, text);
        };
        let Some(lag) = self.lag else {
            let text = format!(
                "{who}, {state}, has not said yet how far it has replayed: ask again when it streams"
            );
            return Finding::new(What::Standby, Level::Unknown, text);
        };
        let seen = format!("{who} is {state}, {lag} bytes behind");
        let (level, rest) = match self.kind {
            Kind::Standby if bounds.replicas_acknowledged => (
                Level::Note,
                "whoever reads there waits while a lock of ours is replayed, and that was acknowledged",
            ),
            Kind::Standby => (
                Level::Unknown,
                "whoever reads there is not seen from here, and waits while a lock of ours is replayed: look there, \
                 and acknowledge it with replicas: Unchecked",
            ),
            Kind::Subscriber => (
                Level::Note,
                "it is sent rows and no changes of tables: change its tables too",
            ),
            Kind::Archive => (Level::Note, "nobody reads there"),
        };
        Finding::new(What::Standby, level, format!("{seen}; {rest}"))
    }
}

/// Those that are about to lose WAL, have lost it, or are read by nobody; the settings are in megabytes.
pub(super) const SLOTS: &str = "SELECT s.slot_name::text, coalesce(s.wal_status, ''), s.safe_wal_size, s.active, s.endangered FROM \
    (SELECT r.*, coalesce(r.wal_status IN ('unreserved', 'lost'), false) \
        OR coalesce(k.setting::bigint > 0 AND r.safe_wal_size < k.setting::bigint * 1024 * 1024 / 10, false) AS endangered \
     FROM pg_catalog.pg_replication_slots AS r, pg_catalog.pg_settings AS k WHERE k.name = 'max_slot_wal_keep_size') AS s \
    WHERE s.endangered OR NOT s.active ORDER BY NOT s.endangered, s.safe_wal_size NULLS FIRST, 1";

pub(super) fn slot(row: &Row) -> Result<Finding, Error> {
    let (name, status): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let safe: Option<i64> = row.try_get(2)?;
    let (active, endangered): (bool, bool) = (row.try_get(3)?, row.try_get(4)?);
    let drop = format!("SELECT pg_drop_replication_slot({})", quote_literal(&name));
    let (level, text) = if status == "lost" {
        let text = format!(
            "the replication slot {name} has lost WAL that it needs: who follows it must be made anew; {drop}"
        );
        (Level::Blocks, text)
    } else if endangered {
        let left = safe.unwrap_or_default().max(0);
        let reads = if active { "is slow" } else { "is away" };
        let text = format!(
            "the replication slot {name} ({status}) loses what it needs after {left} more bytes of WAL, and its reader {reads}: \
             let it catch up, or {drop}"
        );
        (Level::Blocks, text)
    } else {
        let kept = if status.is_empty() {
            "nothing is"
        } else {
            "all WAL is"
        };
        let text = format!(
            "nobody reads the replication slot {name}, and {kept} kept for it: start its reader, or {drop}"
        );
        (Level::Note, text)
    };
    Ok(Finding::new(What::Slot, level, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m15_a_standby_is_unknown_until_somebody_answers_for_its_readers() {
        let bounds = |replicas_acknowledged| Bounds {
            lag_bytes: 10,
            replicas_acknowledged,
            ..Bounds::default()
        };
        let streams = Some("streaming");
        let (unknown, note) = (
            (What::Standby, Level::Unknown),
            (What::Standby, Level::Note),
        );
        let behind = (What::Lag, Level::Blocks);
        for (kind, state, lag, acknowledged, want) in [
            (Kind::Standby, streams, Some(10), false, vec![unknown]),
            (Kind::Standby, streams, Some(10), true, vec![note]),
            (Kind::Standby, streams, Some(11), true, vec![note, behind]),
            (Kind::Standby, Some("startup"), None, true, vec![unknown]),
            (Kind::Standby, None, None, true, vec![unknown]),
            (
                Kind::Subscriber,
                streams,
                Some(11),
                false,
                vec![note, behind],
            ),
            (Kind::Archive, streams, Some(0), false, vec![note]),
        ] {
            let follower = Follower {
                pid: 7,
                name: "replica".to_owned(),
                kind,
                state: state.map(str::to_owned),
                lag,
                feedback: None,
            };
            let found = follower.findings("app", &bounds(acknowledged));
            let found: Vec<(What, Level)> = found.iter().map(|f| (f.what, f.level)).collect();
            assert_eq!(found, want, "{follower:?}");
        }
    }
}
