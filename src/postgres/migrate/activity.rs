//! Sessions that a migration would wait for, or that would wait for it (M17).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::{Client, Error, Row};

use super::Worker;
use super::precheck::{Bounds, Finding, Level, What};
use crate::postgres::who;

/// Sessions in a transaction, the oldest first, and those that hide whether they are. CREATE INDEX CONCURRENTLY does not wait for
/// VACUUM, and who leads parallel workers stands for them. There are no more than `max_connections`.
const SESSIONS: &str = "SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), coalesce(a.datname::text, ''), \
      coalesce(a.datname = pg_catalog.current_database(), false), a.backend_type IS NULL, \
      CASE WHEN a.state LIKE 'idle in transaction%' \
        THEN extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change)::float8 END, \
      extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 \
    FROM pg_catalog.pg_stat_activity AS a \
    WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.usesysid IS NOT NULL AND a.datid IS NOT NULL \
      AND (a.xact_start IS NOT NULL OR a.backend_type IS NULL) AND a.backend_type IS DISTINCT FROM 'parallel worker' \
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum AS v WHERE v.pid = a.pid) \
    ORDER BY a.xact_start, a.pid";

/// What stands in the way because of others' sessions.
pub(super) async fn look(
    client: &Client,
    role: &str,
    bounds: &Bounds,
) -> Result<Vec<Finding>, Error> {
    let rows = client.query(SESSIONS, &[]).await?;
    let sessions: Result<Vec<Session>, Error> = rows.iter().map(Session::read).collect();
    Ok(of_sessions(&sessions?, role, bounds))
}

/// Somebody else's session.
#[derive(Debug, Clone, PartialEq)]
struct Session {
    pid: i32,
    name: String,
    user: String,
    database: String,
    /// Of our database.
    here: bool,
    /// We may not see what it does.
    hidden: bool,
    /// It does nothing, in a transaction.
    idle: Option<Duration>,
    /// It is in a transaction.
    age: Option<Duration>,
}

impl Session {
    fn read(row: &Row) -> Result<Self, Error> {
        let since = |at: usize| -> Result<Option<Duration>, Error> {
            let seconds: Option<f64> = row.try_get(at)?;
            Ok(seconds.map(|s| Duration::try_from_secs_f64(s).unwrap_or_default()))
        };
        Ok(Self {
            pid: row.try_get(0)?,
            name: row.try_get(1)?,
            user: row.try_get(2)?,
            database: row.try_get(3)?,
            here: row.try_get(4)?,
            hidden: row.try_get(5)?,
            idle: since(6)?,
            age: since(7)?,
        })
    }

    fn who(&self) -> String {
        who::session(self.pid, &self.name, &self.user)
    }

    /// The dump of anybody, or any session of ours that belongs to no run: they call themselves so, to whoever looks.
    /// Where we may not see whether it is in a transaction, it is.
    fn dumps(&self) -> bool {
        let ours = self.name.starts_with("lifeboat") && !self.name.starts_with(Worker::PREFIX);
        self.here && (self.name == "pg_dump" || ours)
    }

    /// Does nothing, and keeps its locks.
    fn idles(&self, bounds: &Bounds) -> Option<Finding> {
        let idle = self.idle.filter(|idle| *idle >= bounds.idle_in_transaction);
        let idle = idle.filter(|_| self.here && !self.dumps())?.as_secs();
        let text = format!(
            "{} has been idle in transaction for {idle} s and keeps its locks: end the transaction there, \
             or SELECT pg_terminate_backend({})",
            self.who(),
            self.pid
        );
        let what = What::IdleInTransaction;
        Some(Finding::new(what, Level::Blocks, text))
    }

    /// Has been in a transaction for long. A dump is always, and that is no neglect: it is told of by its name.
    fn is_old(&self, bounds: &Bounds) -> Option<Finding> {
        let age = self.age.filter(|age| *age >= bounds.oldest_snapshot);
        let age = age.filter(|_| !self.dumps())?.as_secs();
        let who = self.who();
        let (level, text) = if self.here {
            let text = format!(
                "{who} has been in a transaction for {age} s, and CREATE INDEX CONCURRENTLY waits for it: \
                 let it end, or SELECT pg_terminate_backend({})",
                self.pid
            );
            (Level::Blocks, text)
        } else {
            let text = format!(
                "{who} has been in a transaction of the database {} for {age} s: nothing to do, \
                 CREATE INDEX CONCURRENTLY waits for those of its own database only",
                self.database
            );
            (Level::Note, text)
        };
        Some(Finding::new(What::OldSnapshot, level, text))
    }
}

/// Of sessions that stand with the oldest transaction first.
fn of_sessions(sessions: &[Session], role: &str, bounds: &Bounds) -> Vec<Finding> {
    let mut by_idle: Vec<&Session> = sessions.iter().collect();
    by_idle.sort_by_key(|s| Reverse(s.idle));
    let idle = by_idle.into_iter().filter_map(|s| s.idles(bounds));
    let mut found: Vec<Finding> = idle.collect();
    // Said once: who idles is told of by that.
    let old = sessions.iter().filter(|s| s.idles(bounds).is_none());
    found.extend(old.filter_map(|s| s.is_old(bounds)));
    let hidden = sessions.iter().filter(|s| s.hidden && s.here).count();
    if hidden > 0 {
        let text = format!(
            "{role} may not see what {hidden} session(s) of this database do, nor since when: GRANT pg_monitor TO {role}"
        );
        let what = What::IdleInTransaction;
        found.push(Finding::new(what, Level::Unknown, text));
    }
    // A backup has several sessions of one name.
    let mut dumps: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for dump in sessions.iter().filter(|s| s.dumps()) {
        let pids = dumps.entry(&dump.name).or_default();
        pids.push(dump.pid.to_string());
    }
    found.extend(dumps.into_iter().map(|(name, pids)| {
        let text = format!(
            "{} (pid {}) is at work in this database: CREATE INDEX CONCURRENTLY waits for its snapshot, \
             and it would wait for the locks of a migration; let it end",
            who::application(name),
            pids.join(", ")
        );
        Finding::new(What::Dump, Level::Blocks, text)
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m17_a_session_is_told_of_once_and_by_what_it_is() {
        let seconds = |s: Option<u64>| s.map(Duration::from_secs);
        for (name, here, idle, age, want) in [
            ("shop", true, None, Some(599), None),
            ("shop", true, Some(59), Some(59), None),
            (
                "shop",
                true,
                Some(60),
                Some(900),
                Some((What::IdleInTransaction, Level::Blocks)),
            ),
            (
                "shop",
                true,
                Some(1),
                Some(600),
                Some((What::OldSnapshot, Level::Blocks)),
            ),
            (
                "shop",
                false,
                Some(900),
                Some(900),
                Some((What::OldSnapshot, Level::Note)),
            ),
            (
                "pg_dump",
                true,
                Some(900),
                Some(900),
                Some((What::Dump, Level::Blocks)),
            ),
            (
                "lifeboat/uid/1",
                true,
                Some(0),
                Some(0),
                Some((What::Dump, Level::Blocks)),
            ),
            ("lifeboat-run/uid/pod", true, Some(0), Some(0), None),
            (
                "lifeboat-run/uid/pod",
                true,
                Some(60),
                Some(60),
                Some((What::IdleInTransaction, Level::Blocks)),
            ),
            (
                "pg_dump",
                false,
                None,
                Some(600),
                Some((What::OldSnapshot, Level::Note)),
            ),
        ] {
            let session = Session {
                pid: 7,
                name: name.to_owned(),
                user: "app".to_owned(),
                database: "shop".to_owned(),
                here,
                hidden: false,
                idle: seconds(idle),
                age: seconds(age),
            };
            let found = of_sessions(&[session], "app", &Bounds::default());
            let found: Vec<(What, Level)> = found.iter().map(|f| (f.what, f.level)).collect();
            assert_eq!(found, Vec::from_iter(want), "{name} {idle:?} {age:?}");
        }
    }
}
