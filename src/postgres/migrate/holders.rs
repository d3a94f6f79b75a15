//! Who holds the tables that a segment needs, asked before each try (M16).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::{Client, Error, Row};

use super::failure::{Failure, Stop};
use super::lock::Mode;
use crate::api::Reason;
use crate::postgres::who;

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
    /// Who it is, and nothing of what it says (P8).
    pub(super) who: String,
    pub(super) table: String,
    pub(super) mode: Mode,
    /// It has no session and ends only when somebody ends it.
    pub(super) prepared: bool,
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
    let old = holders.iter().filter(|h| !h.autovacuum);
    let old = old.filter(|h| h.age > OLD || h.prepared);
    if let Some(h) = old.max_by_key(|h| (h.prepared, h.age)) {
        return Approach::Wait(h.sentence());
    }
    if !holders.is_empty() && holders.iter().all(|h| h.autovacuum) {
        return Approach::Try(deadlock + BEYOND);
    }
    Approach::Try(deadlock / 2)
}

impl Holder {
    fn sentence(&self) -> String {
        let since = match (self.prepared, self.age.as_secs()) {
            (true, seconds) => {
                format!(", for {seconds} s: COMMIT PREPARED or ROLLBACK PREPARED ends it")
            }
            // Since when may not be ours to see.
            (false, 0) => String::new(),
            (false, seconds) => format!(", in a transaction for {seconds} s"),
        };
        let (who, mode, table) = (&self.who, self.mode, &self.table);
        format!("{who} holds {mode} on {table}{since}")
    }

    /// A row of [`HOLDERS`], if it stands in the way.
    fn read(row: &Row, locks: &BTreeMap<String, Mode>) -> Result<Option<Self>, Error> {
        let table: String = row.try_get(0)?;
        let mode = Mode::parse(row.try_get(1)?);
        let Some((mode, wanted)) = mode.zip(locks.get(&table)) else {
            return Ok(None);
        };
        if !mode.conflicts(*wanted) {
            return Ok(None);
        }
        let (pid, name): (Option<i32>, &str) = (row.try_get(2)?, row.try_get(3)?);
        let user = row.try_get(4)?;
        Ok(Some(Self {
            pid: pid.unwrap_or_default(),
            who: match pid {
                Some(pid) => who::session(pid, name, user),
                None => who::prepared(name, user),
            },
            table,
            mode,
            prepared: pid.is_none(),
            autovacuum: row.try_get(5)?,
            wraparound: row.try_get(6)?,
            age: Duration::try_from_secs_f64(row.try_get(7)?).unwrap_or_default(),
        }))
    }
}

/// By name in the catalogue: to look a name up asks for a right to its schema. A prepared transaction has no pid; what it holds
/// besides is its own number.
const HOLDERS: &str = "SELECT w.name, l.mode, l.pid, coalesce(a.application_name, p.gid, ''), \
      coalesce(a.usename::text, p.owner::text, ''), \
      coalesce(a.backend_type = 'autovacuum worker', l.pid IS NOT NULL AND a.usesysid IS NULL), \
      coalesce(a.query LIKE 'autovacuum:%(to prevent wraparound)', false), \
      coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8, 0) \
    FROM pg_catalog.unnest($1::text[]) AS w(name) \
    JOIN pg_catalog.pg_class AS c ON true JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
      AND pg_catalog.format('%I.%I', n.nspname, c.relname) = w.name \
    JOIN pg_catalog.pg_locks AS l ON l.locktype = 'relation' AND l.relation = c.oid \
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
    LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid \
    LEFT JOIN pg_catalog.pg_locks AS x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid' \
      AND x.virtualtransaction = l.virtualtransaction \
    LEFT JOIN pg_catalog.pg_prepared_xacts AS p ON p.transaction = x.transactionid \
    WHERE l.granted AND (l.pid IS NULL OR l.pid <> ALL ($2))";

/// Those who hold what conflicts with the locks that the segment will take.
pub(super) async fn look(
    watch: &Client,
    ours: &[i32],
    locks: &BTreeMap<String, Mode>,
) -> Result<Vec<Holder>, Failure> {
    let failed = |e: Error| Failure::ours("look who holds the tables", &e);
    let names: Vec<&str> = locks.keys().map(String::as_str).collect();
    let rows = watch.query(HOLDERS, &[&names, &ours]).await;
    let mut holders = Vec::new();
    for row in &rows.map_err(failed)? {
        holders.extend(Holder::read(row, locks).map_err(failed)?);
    }
    Ok(holders)
}

/// Says who holds what was waited for, where that is known still.
pub(super) fn name(stop: Stop, holders: &[Holder]) -> Stop {
    // An autovacuum gives way.
    let Some(h) = holders
        .iter()
        .max_by_key(|h| (!h.autovacuum, h.prepared, h.age))
    else {
        return stop;
    };
    let message = format!("{}: {}", stop.message, h.sentence());
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
            who: "pid 7 of user app (shop)".to_owned(),
            table: "public.orders".to_owned(),
            mode: Mode::RowExclusive,
            prepared: false,
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
        let waits = approach(&[holder(false, 2), holder(true, 0)], second);
        let why = "pid 7 of user app (shop) holds ROW EXCLUSIVE on public.orders, in a transaction for 2 s";
        assert_eq!(waits, Approach::Wait(why.to_owned()));
        let prepared = Holder {
            who: "the prepared transaction 'x' of user app".to_owned(),
            prepared: true,
            ..holder(false, 0)
        };
        let waits = approach(&[prepared, holder(false, 9)], second);
        let why = "the prepared transaction 'x' of user app holds ROW EXCLUSIVE on public.orders, for 0 s: \
            COMMIT PREPARED or ROLLBACK PREPARED ends it";
        assert_eq!(waits, Approach::Wait(why.to_owned()));
        let wraparound = Holder {
            wraparound: true,
            ..holder(true, 1)
        };
        assert!(matches!(approach(&[wraparound], second), Approach::Hold(_)));
    }
}
