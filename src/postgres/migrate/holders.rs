//! Who holds the tables that a segment needs, asked before each try (M16).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::Client;

use super::failure::{Failure, Stop};
use super::lock::Mode;
use crate::api::Reason;

/// Who has been in a transaction longer will not leave soon.
const OLD: Duration = Duration::from_secs(1);
/// Above deadlock_timeout, after which PostgreSQL ends an autovacuum that is in the way.
const BEYOND: Duration = Duration::from_millis(200);

/// What to do about those who hold a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Approach {
    /// Queue for so long.
    Try(Duration),
    /// Do not queue at all yet: whoever queues makes readers queue behind.
    Wait(String),
    /// Only a person may end this one.
    Hold(String),
}

/// A lock that is in our way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: i32,
    pub(super) name: String,
    pub(super) table: String,
    pub(super) autovacuum: bool,
    pub(super) wraparound: bool,
    pub(super) age: Duration,
}

/// Decides, of those who conflict with us.
pub(super) fn approach(holders: &[Holder], deadlock: Duration) -> Approach {
    if let Some(h) = holders.iter().find(|h| h.wraparound) {
        return Approach::Hold(format!(
            "autovacuum (pid {}) works on {} to prevent wraparound: it must not be ended, and it makes everybody behind us wait",
            h.pid, h.table
        ));
    }
    let old = holders.iter().filter(|h| !h.autovacuum && h.age > OLD);
    if let Some(h) = old.max_by_key(|h| h.age) {
        return Approach::Wait(format!(
            "pid {} ({}) has held {} for {} s",
            h.pid,
            h.name,
            h.table,
            h.age.as_secs()
        ));
    }
    if !holders.is_empty() && holders.iter().all(|h| h.autovacuum) {
        return Approach::Try(deadlock + BEYOND);
    }
    Approach::Try(deadlock / 2)
}

/// Those who hold what conflicts with the locks that the segment will take.
pub(super) async fn look(
    watch: &Client,
    ours: &[i32],
    locks: &BTreeMap<String, Mode>,
) -> Result<Vec<Holder>, Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("look who holds the tables", &e);
    let names: Vec<&str> = locks.keys().map(String::as_str).collect();
    // By name in the catalogue: to look a name up asks for a right to its schema. A prepared transaction has no pid and does not leave.
    let sql = "SELECT w.name, l.mode, coalesce(l.pid, 0), coalesce(a.application_name, 'a prepared transaction'), \
          coalesce(a.backend_type = 'autovacuum worker', l.pid IS NOT NULL AND a.usesysid IS NULL), \
          coalesce(a.query LIKE 'autovacuum:%(to prevent wraparound)', false), \
          coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8, CASE WHEN l.pid IS NULL THEN 1000000 ELSE 0 END) \
        FROM pg_catalog.unnest($1::text[]) AS w(name) \
        JOIN pg_catalog.pg_class AS c ON true JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
          AND pg_catalog.format('%I.%I', n.nspname, c.relname) = w.name \
        JOIN pg_catalog.pg_locks AS l ON l.locktype = 'relation' AND l.relation = c.oid \
          AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
        LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid \
        WHERE l.granted AND (l.pid IS NULL OR l.pid <> ALL ($2))";
    let rows = watch.query(sql, &[&names, &ours]).await.map_err(failed)?;
    let mut holders = Vec::new();
    for row in &rows {
        let table: String = row.try_get(0).map_err(failed)?;
        let mode = Mode::parse(row.try_get(1).map_err(failed)?);
        let wanted = locks.get(&table);
        let conflicts = mode
            .zip(wanted)
            .is_some_and(|(has, wants)| has.conflicts(*wants));
        if conflicts {
            holders.push(Holder {
                pid: row.try_get(2).map_err(failed)?,
                name: row.try_get(3).map_err(failed)?,
                table,
                autovacuum: row.try_get(4).map_err(failed)?,
                wraparound: row.try_get(5).map_err(failed)?,
                age: Duration::try_from_secs_f64(row.try_get(6).map_err(failed)?)
                    .unwrap_or_default(),
            });
        }
    }
    Ok(holders)
}

/// Says who holds what was waited for, where that is known still.
pub(super) fn name(stop: Stop, holders: &[Holder]) -> Stop {
    // An autovacuum gives way.
    let Some(h) = holders.iter().max_by_key(|h| (!h.autovacuum, h.age)) else {
        return stop;
    };
    let who = match (h.pid, h.age.as_secs()) {
        // A prepared transaction: of nobody, and of no known age.
        (0, _) => format!("{} holds {}", h.name, h.table),
        // Since when may not be ours to see.
        (pid, 0) => format!("pid {pid} ({}) holds {}", h.name, h.table),
        (pid, seconds) => format!(
            "pid {pid} ({}) holds {}, in a transaction for {seconds} s",
            h.name, h.table
        ),
    };
    let message = format!("{}: {who}", stop.message);
    Stop { message, ..stop }
}

/// Which of these tables there are.
pub(super) async fn there(client: &Client, names: &[&str]) -> Result<Vec<String>, Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("look which tables there are", &e);
    let sql = "SELECT w.name FROM pg_catalog.unnest($1::pg_catalog.text[]) AS w(name) WHERE EXISTS (\
          SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
          WHERE pg_catalog.format('%I.%I', n.nspname, c.relname) OPERATOR(pg_catalog.=) w.name)";
    let rows = client.query(sql, &[&names]).await.map_err(failed)?;
    rows.iter().map(|r| r.try_get(0).map_err(failed)).collect()
}

/// How long to queue for one lock and for all those of a segment, or why not now.
pub(super) async fn patience(
    watch: &Client,
    ours: &[i32],
    locks: &BTreeMap<String, Mode>,
    deadlock: Duration,
    limit: Duration,
) -> Result<(Duration, Duration), Failure> {
    match approach(&look(watch, ours, locks).await?, deadlock) {
        // An autovacuum gives way only to one who waits longer than the server's deadlock_timeout.
        Approach::Try(patience) if patience > deadlock => Ok((patience, patience.max(limit))),
        // Zero would be no limit.
        Approach::Try(patience) => Ok((patience.min(limit).max(Duration::from_millis(1)), limit)),
        Approach::Wait(why) => Err(Failure::again(Reason::WouldBlock, why)),
        Approach::Hold(why) => Err(Failure::hold(Reason::WraparoundVacuum, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m16_who_holds_a_table_decides_whether_we_queue() {
        let second = Duration::from_secs(1);
        let holder = |autovacuum: bool, age: u64| Holder {
            pid: 7,
            name: "shop".to_owned(),
            table: "public.orders".to_owned(),
            autovacuum,
            wraparound: false,
            age: Duration::from_secs(age),
        };
        let half = Approach::Try(second / 2);
        assert_eq!(approach(&[], second), half);
        assert_eq!(approach(&[holder(false, 0)], second), half);
        assert_eq!(
            approach(&[holder(false, 1), holder(true, 900)], second),
            half
        );
        let beyond = Approach::Try(Duration::from_millis(1_200));
        assert_eq!(approach(&[holder(true, 900)], second), beyond);
        assert!(
            matches!(approach(&[holder(false, 2), holder(true, 0)], second), Approach::Wait(why) if why.contains("pid 7 (shop)"))
        );
        let wraparound = Holder {
            wraparound: true,
            ..holder(true, 1)
        };
        assert!(matches!(approach(&[wraparound], second), Approach::Hold(_)));
    }
}
