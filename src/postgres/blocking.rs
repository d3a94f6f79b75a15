//! Who waits for our locks, who keeps us from them, and when we let go (G8, G9).
//!
//! Whoever holds a lock of a table never queues for it; another session does, even one with our snapshot. So while a TRUNCATE
//! waits for the coordinator, pg_dump waits for the TRUNCATE: a circle that PostgreSQL cannot see, because the coordinator waits
//! for nothing. And whoever reads that table waits too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Row};

use super::contention::Contention;
use super::coordinator::Coordinator;
use super::error::PgError;
use super::names::NAME_BYTES;
use super::step::Observer;

/// Between two looks. Half of what a circle may last.
const OFTEN: Duration = Duration::from_millis(50);
/// And at most; how long somebody may wait for us tells how seldom.
const SELDOM: Duration = Duration::from_secs(5);
/// A look may take this part of the time: with very many locks one is dear.
const PART: u32 = 20;
/// Who waits as long is told of.
const TOLD: Duration = Duration::from_secs(5);
/// Most sessions that are looked at.
const MOST: i64 = 100;

/// A session that waits for a table that we have locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// Its server process.
    pub pid: i32,
    /// Its `application_name`; empty where that may not be read.
    pub application: String,
    /// Its role.
    pub user: String,
    /// The table, qualified and quoted.
    pub table: String,
    /// What it waits for, for example `AccessExclusiveLock`.
    pub mode: String,
    /// Nobody but us holds the table.
    pub only_us: bool,
    /// pg_dump does not hold it.
    pub before_dump: bool,
}

impl Waiter {
    /// Who it is, without a word of its statement: a message is read by more people than the server's activity (P8).
    #[must_use]
    pub fn display(&self) -> String {
        format!(
            "{} waits for {} on {}",
            session(self.pid, &self.application, &self.user),
            self.mode,
            self.table
        )
    }
}

/// `pid 12 (ledger, role app)`
fn session(pid: i32, application: &str, user: &str) -> String {
    let application = match application {
        "" => "no application_name",
        name => name,
    };
    let role = match user {
        "" => String::new(),
        user => format!(", role {user}"),
    };
    format!("pid {pid} ({application}{role})")
}

/// All who wait for a table that a session of this run holds: sessions of our role and application_name. `holders` are those that
/// are not pg_dump's.
pub(super) async fn waiters(monitor: &Client, holders: &[i32]) -> Result<Vec<Waiter>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("look who waits for our locks", &e);
    let sql = format!(
        "WITH locks AS MATERIALIZED (SELECT l.pid, l.relation, l.mode, l.granted FROM pg_catalog.pg_locks AS l \
           WHERE l.locktype = 'relation' \
             AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())), \
         ours AS MATERIALIZED ({OURS}), \
         held AS MATERIALIZED (SELECT DISTINCT relation FROM locks WHERE granted AND pid IN (SELECT pid FROM ours)) \
         SELECT w.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), {NAME_BYTES}, w.mode, \
           NOT EXISTS (SELECT FROM locks AS o WHERE o.relation = w.relation AND o.granted AND o.pid IS DISTINCT FROM w.pid \
             AND (o.pid IS NULL OR o.pid NOT IN (SELECT pid FROM ours))), \
           NOT EXISTS (SELECT FROM locks AS d WHERE d.relation = w.relation AND d.granted AND d.pid <> ALL ($1) \
             AND d.pid IN (SELECT pid FROM ours)) \
         FROM locks AS w JOIN pg_catalog.pg_class AS c ON c.oid = w.relation JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
           LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = w.pid \
         WHERE NOT w.granted AND w.pid NOT IN (SELECT pid FROM ours) AND w.relation IN (SELECT relation FROM held) \
         ORDER BY w.pid LIMIT {MOST}"
    );
    let rows = monitor.query(&sql, &[&holders]).await.map_err(failed)?;
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// The sessions of this run, the monitor's own among them.
const OURS: &str = "\
    SELECT s.pid FROM pg_catalog.pg_stat_activity AS s WHERE s.datname = pg_catalog.current_database() \
      AND s.application_name = pg_catalog.current_setting('application_name') AND s.usename = session_user";

fn read(row: &Row) -> Result<Waiter, tokio_postgres::Error> {
    let name: Vec<u8> = row.try_get(3)?;
    Ok(Waiter {
        pid: row.try_get(0)?,
        application: row.try_get(1)?,
        user: row.try_get(2)?,
        table: String::from_utf8_lossy(&name).into_owned(),
        mode: row.try_get(4)?,
        only_us: row.try_get(5)?,
        before_dump: row.try_get(6)?,
    })
}

/// Who keeps a session of ours from a table, in a sentence; `None` where that is not seen.
pub(super) async fn holder(monitor: &Client, pid: i32) -> Option<String> {
    // Before anybody with a pid: a prepared transaction has none, and stays until it is ended by name.
    let prepared = "\
        SELECT p.gid, p.owner::text FROM pg_catalog.pg_prepared_xacts AS p \
          JOIN pg_catalog.pg_locks AS h ON h.locktype = 'transactionid' AND h.transactionid = p.transaction AND h.pid IS NULL \
          JOIN pg_catalog.pg_locks AS l ON l.virtualtransaction = h.virtualtransaction AND l.pid IS NULL AND l.locktype = 'relation' AND l.granted \
          JOIN pg_catalog.pg_locks AS w ON w.relation = l.relation AND w.database = l.database AND NOT w.granted AND w.pid = $1 \
        LIMIT 1";
    let row = monitor.query_opt(prepared, &[&pid]).await.ok()?;
    if let Some(row) = row {
        let (gid, owner): (String, String) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
        return Some(format!(
            "the prepared transaction {gid:?} of role {owner} holds a stronger lock: end it with COMMIT PREPARED or ROLLBACK PREPARED"
        ));
    }
    let blocking = format!(
        "SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), l.mode, \
          extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::bigint, l.name \
        FROM pg_catalog.pg_stat_activity AS a LEFT JOIN LATERAL ( \
          SELECT l.mode, {NAME_BYTES} AS name FROM pg_catalog.pg_locks AS l \
            JOIN pg_catalog.pg_locks AS w ON w.relation = l.relation AND w.database = l.database \
            JOIN pg_catalog.pg_class AS c ON c.oid = l.relation JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
          WHERE l.locktype = 'relation' AND l.pid = a.pid AND w.pid = $1 AND NOT w.granted LIMIT 1) AS l ON true \
        WHERE a.pid = ANY (pg_catalog.pg_blocking_pids($1)) LIMIT 1"
    );
    let row = monitor.query_opt(&blocking, &[&pid]).await.ok()??;
    let (pid, application): (i32, String) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
    let (user, mode): (String, Option<String>) = (row.try_get(2).ok()?, row.try_get(3).ok()?);
    let since = row.try_get::<_, Option<i64>>(4).ok()?;
    let since = since.map_or(String::new(), |s| format!(", in a transaction for {s} s"));
    let name: Option<Vec<u8>> = row.try_get(5).ok()?;
    let table = name.map_or(String::new(), |name| {
        format!(" on {}", String::from_utf8_lossy(&name))
    });
    Some(format!(
        "{} holds or waits for {}{table}{since}",
        session(pid, &application, &user),
        mode.as_deref().unwrap_or("a stronger lock")
    ))
}

/// Ends every session of this run but the monitor's, at once, whatever they are doing.
pub(super) async fn end_ours(monitor: &Client) {
    let sql = format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM ({OURS}) AS ours WHERE pid <> pg_catalog.pg_backend_pid()"
    );
    // Where that may not be done they end with their connections.
    let _ = monitor.simple_query(&sql).await;
}

/// Pause before the next look: a look is cheap where locks are few.
fn pause(look: Duration, allowed: Option<Duration>) -> Duration {
    let often = allowed.map_or(SELDOM, |allowed| allowed / 8);
    (look * PART).max(often).clamp(OFTEN, SELDOM)
}

/// Looks who waits for us, from the snapshot on, until somebody waits longer than is allowed, or in a circle with pg_dump, which
/// is at its locks until `dump_is_locked`. Returns who that is: then the run lets go and begins anew.
pub async fn watch(
    coordinator: &Coordinator,
    contention: &Contention,
    dump_is_locked: impl Fn() -> bool,
    observer: &dyn Observer,
) -> Waiter {
    let began = Instant::now();
    let holders = coordinator.holders();
    let mut since: BTreeMap<(i32, String), Instant> = BTreeMap::new();
    let mut told = BTreeSet::new();
    let mut last = began;
    loop {
        let look = Instant::now();
        // Known before the look: what it shows may be older than the dump's locks.
        let locking = !dump_is_locked();
        let found = waiters(coordinator.monitor(), &holders).await;
        let found = found.unwrap_or_default();
        let allowed = contention.allowed(began.elapsed());
        since.retain(|(pid, table), _| found.iter().any(|w| w.pid == *pid && w.table == *table));
        let mut longest: Option<(&Waiter, Duration)> = None;
        for waiter in &found {
            if locking && waiter.before_dump {
                return waiter.clone();
            }
            // It may have begun right after the last look.
            let at = since
                .entry((waiter.pid, waiter.table.clone()))
                .or_insert(last);
            let waited = at.elapsed();
            if waiter.only_us && allowed.is_some_and(|allowed| waited >= allowed) {
                return waiter.clone();
            }
            if longest.is_none_or(|(_, most)| waited > most) {
                longest = Some((waiter, waited));
            }
        }
        if let Some((waiter, waited)) = longest.filter(|(_, waited)| *waited >= TOLD)
            && told.len() < 10
            && told.insert(waiter.pid)
        {
            let seconds = waited.as_secs();
            observer.note(&format!(
                "the backup keeps others waiting: {} since {seconds} s",
                waiter.display()
            ));
        }
        observer.blocking(longest.map(|(waiter, waited)| (waiter.display(), waited)));
        last = look;
        let next = if locking {
            pause(look.elapsed(), None).min((look.elapsed() * PART).max(OFTEN))
        } else {
            pause(look.elapsed(), allowed)
        };
        tokio::time::sleep(next).await;
    }
}
