//! The user's own questions, before a migration and after it (M11): each in a session of its own, read-only, bounded.
//!
//! A query is asked through a cursor: the server itself takes nothing but one SELECT there, and reads no more than the row that
//! counts. What it answers stays in the worker; errors are told by SQLSTATE and position, never in the server's words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio_postgres::error::{ErrorPosition, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::Acting;
use crate::api::migration_run::MigrationCheck;
use crate::postgres::connect::connect;
use crate::postgres::error::sanitise;
use crate::postgres::names::quote_ident;
use crate::postgres::sqlstate::named;
use crate::postgres::target::Target;

/// Until a check must have answered.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// What a session to it may take besides.
const GRACE: Duration = Duration::from_secs(10);
/// Longest number that is remembered, in bytes.
const MOST_VALUE: usize = 1_000;
/// Before the user's text, which the server counts from.
const CURSOR: &str = "DECLARE lifeboat NO SCROLL CURSOR FOR ";
/// VERBOSE, or the plan names no schema. Never ANALYZE: the query would run.
const EXPLAIN: &str = "EXPLAIN (VERBOSE, FORMAT JSON) ";
/// Where the server has them: it looks each second whether we are still there, and no limit of the role's is in force beside ours.
const SETTINGS: [&str; 2] = [
    "SELECT pg_catalog.set_config(name, '1s', false) FROM pg_catalog.pg_settings WHERE name = 'client_connection_check_interval'",
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'",
];

/// What is wanted of the checks.
#[derive(Debug, Clone, Copy)]
pub enum Want<'a> {
    /// The values that checks with `maxDriftPercent` are to be held against; no other check is asked.
    Values,
    /// Whether each passes, against the values from before the migration, by the checks' names.
    Verdicts(&'a BTreeMap<String, String>),
}

/// What became of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The check's.
    pub name: String,
    /// It answered, and as it should. Of [`Want::Values`]: it answered a number.
    pub passed: bool,
    /// Why it did not pass, for everybody: `None` where it answered, and not as it should.
    pub error: Option<String>,
    /// Of a check with `maxDriftPercent`, the number. It may be data: it never leaves the worker.
    pub value: Option<String>,
}

/// Asks all of them, one after the other, each for at most `timeout`. Never fails: what could not be asked says so.
pub async fn ask(
    target: &Target,
    acting: &Acting,
    checks: &[MigrationCheck],
    want: Want<'_>,
    timeout: Duration,
) -> Vec<Asked> {
    let mut all = Vec::new();
    for check in checks {
        if matches!(want, Want::Values) && check.max_drift_percent.is_none() {
            continue;
        }
        let mut value = None;
        let one = one(target, acting, check, want, timeout, &mut value);
        let within = tokio::time::timeout(timeout.saturating_add(GRACE), one);
        let answer = within.await.unwrap_or_else(|_| Err(late(timeout)));
        all.push(Asked {
            name: check.name.clone(),
            passed: answer == Ok(true),
            error: answer.err().map(|e| sanitise(&e)),
            value,
        });
    }
    all
}

fn late(timeout: Duration) -> String {
    format!("it did not answer within {} s", timeout.as_secs_f64())
}

/// One check, in a session that ends with it.
async fn one(
    target: &Target,
    acting: &Acting,
    check: &MigrationCheck,
    want: Want<'_>,
    timeout: Duration,
    value: &mut Option<String>,
) -> Result<bool, String> {
    let session = connect(target, "lifeboat/check")
        .await
        .map_err(|e| e.to_string())?;
    let room = Room {
        client: &session.client,
        acting,
        timeout,
    };
    let judged = judge(&room, check, want, value).await;
    // What is idle and not in a transaction is in nobody's way until it has gone.
    let _ = session.client.batch_execute("ROLLBACK").await;
    judged
}

async fn judge(
    room: &Room<'_>,
    check: &MigrationCheck,
    want: Want<'_>,
    value: &mut Option<String>,
) -> Result<bool, String> {
    room.open().await?;
    match (&check.sql, &check.index) {
        (None, None) => Err("it asks nothing: write sql or index".to_owned()),
        (None, Some(index)) => room.is_sound(index).await,
        (Some(sql), Some(index)) => room.is_used(sql, index).await,
        (Some(sql), None) => {
            let answer = room.answer("its query", sql).await?;
            if let Some(percent) = check.max_drift_percent {
                let now = number(answer.as_deref()).ok_or("its answer is not a number")?;
                *value = Some(now.to_owned());
                let Want::Verdicts(before) = want else {
                    return Ok(true);
                };
                let before = before.get(&check.name);
                let before = before.ok_or("no value from before the migration is known")?;
                let before =
                    number(Some(before)).ok_or("its value before the migration is not a number")?;
                return room.is_near(before, now, percent).await;
            }
            if let Some(other) = &check.equals {
                return Ok(answer == room.answer("the query of equals", other).await?);
            }
            // As psql prints it: NULL is nothing.
            Ok(answer.as_deref().unwrap_or_default() == check.expect.as_deref().unwrap_or("t"))
        }
    }
}

/// What can be compared: no NaN, nothing infinite.
fn number(text: Option<&str>) -> Option<&str> {
    let text = text?.trim();
    let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
    Some(text).filter(|t| finite && t.len() <= MOST_VALUE)
}

/// A session in a transaction that writes nothing.
struct Room<'a> {
    client: &'a Client,
    acting: &'a Acting,
    timeout: Duration,
}

impl Room<'_> {
    /// What went wrong, and where: not in the server's words, which may quote rows.
    fn told(&self, what: &str, before: &str, error: &Error) -> String {
        let Some(db) = error.as_db_error() else {
            return format!("{what} was not answered: the connection to the server was lost");
        };
        if *db.code() == SqlState::QUERY_CANCELED {
            return late(self.timeout);
        }
        let state = named(db.code().code());
        let before = u32::try_from(before.chars().count()).unwrap_or_default();
        match db.position() {
            Some(ErrorPosition::Original(at)) if *at > before => {
                let at = at - before;
                format!("{what} failed with SQLSTATE {state}, at its character {at}")
            }
            _ => format!("{what} failed with SQLSTATE {state}"),
        }
    }

    async fn open(&self) -> Result<(), String> {
        for setting in SETTINGS {
            // Not every platform can do the first.
            let _ = self.client.batch_execute(setting).await;
        }
        // Said to the session too: whatever should end the transaction, what follows it writes nothing either.
        let begin = "SET default_transaction_read_only = on; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let begun = self.client.batch_execute(begin).await;
        begun.map_err(|e| self.told("the beginning of a transaction", "", &e))
    }

    /// As the migration acts. Before every text of the user's: the last one may have changed it.
    async fn act(&self) -> Result<(), String> {
        let role = self.acting.role.as_deref();
        let role = role.map_or_else(|| "NONE".to_owned(), quote_ident);
        let ms = self.timeout.as_millis();
        let set = format!(
            "SET LOCAL statement_timeout = '{ms}ms'; SET LOCAL lock_timeout = '{ms}ms'; \
             SET LOCAL idle_in_transaction_session_timeout = '{ms}ms'; \
             SET LOCAL search_path = {}; SET LOCAL ROLE {role}",
            self.acting.search_path
        );
        let set = self.client.batch_execute(&set).await;
        set.map_err(|e| self.told("taking on the migration's role and search_path", "", &e))
    }

    /// First column of the first row, as psql prints it.
    async fn answer(&self, what: &str, sql: &str) -> Result<Option<String>, String> {
        self.act().await?;
        let failed = |e: Error| self.told(what, CURSOR, &e);
        // By the extended protocol, which refuses two statements; of one, a cursor takes a SELECT or VALUES alone.
        let declare = format!("{CURSOR}{sql}");
        let declared = self.client.execute_typed(&declare, &[]).await;
        declared.map_err(failed)?;
        let rows = self.client.simple_query("FETCH 1 FROM lifeboat").await;
        let rows = rows.map_err(failed)?;
        let closed = self.client.batch_execute("CLOSE lifeboat").await;
        closed.map_err(failed)?;
        let first = rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) if row.is_empty() => None,
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        });
        first.ok_or_else(|| format!("{what} answered no row"))
    }

    /// The server reckons: counts may be longer than what a float can tell apart.
    async fn is_near(&self, before: &str, now: &str, percent: i32) -> Result<bool, String> {
        let sql = "SELECT pg_catalog.abs($2::pg_catalog.text::pg_catalog.numeric OPERATOR(pg_catalog.-) $1::pg_catalog.text::pg_catalog.numeric) \
              OPERATOR(pg_catalog.*) 100 OPERATOR(pg_catalog.<=) \
              (pg_catalog.abs($1::pg_catalog.text::pg_catalog.numeric) OPERATOR(pg_catalog.*) $3::pg_catalog.int4)";
        let near = async {
            let values: [&(dyn ToSql + Sync); 3] = [&before, &now, &percent];
            self.client.query_one(sql, &values).await?.try_get(0)
        };
        let near: Result<bool, Error> = near.await;
        near.map_err(|e| self.told("comparing with the value from before", "", &e))
    }

    async fn resolve(&self, index: &str) -> Result<u32, String> {
        self.act().await?;
        let sql = "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid";
        let found = async { self.client.query_one(sql, &[&index]).await?.try_get(0) };
        let found: Result<Option<u32>, Error> = found.await;
        let found = found.map_err(|e| self.told("looking for the index", "", &e))?;
        found.ok_or_else(|| "the index is not there".to_owned())
    }

    /// It is there, and holds what it should.
    async fn is_sound(&self, index: &str) -> Result<bool, String> {
        let oid = self.resolve(index).await?;
        let sql = "SELECT indisvalid, indisready FROM pg_catalog.pg_index WHERE indexrelid OPERATOR(pg_catalog.=) $1";
        let failed = |e: Error| self.told("looking at the index", "", &e);
        let row = self.client.query_opt(sql, &[&oid]).await.map_err(failed)?;
        let row = row.ok_or("what is there of that name is not an index")?;
        let valid: bool = row.try_get(0).map_err(failed)?;
        let ready: bool = row.try_get(1).map_err(failed)?;
        if valid && ready {
            return Ok(true);
        }
        Err("the index is there and is not valid".to_owned())
    }

    /// The planner would read it for this query.
    async fn is_used(&self, sql: &str, index: &str) -> Result<bool, String> {
        self.is_sound(index).await?;
        let oid = self.resolve(index).await?;
        // A query of a partitioned table reads the indexes of its partitions.
        let names = "SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c \
            JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
            WHERE c.oid OPERATOR(pg_catalog.=) $1 \
              OR c.oid IN (SELECT t.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) AS t)";
        let failed = |e: Error| self.told("looking at the index", "", &e);
        let rows = self.client.query(names, &[&oid]).await.map_err(failed)?;
        let mut wanted = BTreeSet::new();
        for row in &rows {
            wanted.insert((
                row.try_get(0).map_err(failed)?,
                row.try_get(1).map_err(failed)?,
            ));
        }
        let failed = |e: Error| self.told("its query", EXPLAIN, &e);
        let explain = format!("{EXPLAIN}{sql}");
        // Prepared first: it cannot be two statements.
        self.client.prepare(&explain).await.map_err(failed)?;
        let lines = self.client.simple_query(&explain).await.map_err(failed)?;
        let lines = lines.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        let plan = lines.collect::<Vec<_>>().join("\n");
        let plan: Value =
            serde_json::from_str(&plan).map_err(|_| "the server gave no plan for its query")?;
        Ok(reads(&plan, None, &wanted))
    }
}

/// Whether a node of the plan reads one of the indexes. An index has its table's schema, and below a bitmap scan only the node
/// above says which that is.
fn reads(node: &Value, above: Option<&str>, wanted: &BTreeSet<(String, String)>) -> bool {
    match node {
        Value::Array(nodes) => nodes.iter().any(|n| reads(n, above, wanted)),
        Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str);
            let schema = text("Schema").or(above);
            let named = schema.zip(text("Index Name"));
            named.is_some_and(|(s, n)| wanted.contains(&(s.to_owned(), n.to_owned())))
                || fields.values().any(|n| reads(n, schema, wanted))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m11_a_number_is_what_can_be_compared() {
        for text in ["0", "-1.5", "1e3", " 7 ", "12345678901234567890"] {
            assert_eq!(number(Some(text)), Some(text.trim()));
        }
        for text in ["", "NaN", "Infinity", "$1.00", "1,000", "t", "1e999"] {
            assert_eq!(number(Some(text)), None, "{text}");
        }
        assert_eq!(number(None), None);
    }

    #[test]
    fn m11_an_index_is_told_by_its_schema_too() {
        let plan: Value = serde_json::from_str(
            r#"[{"Plan": {"Node Type": "Nested Loop", "Plans": [
                {"Node Type": "Bitmap Heap Scan", "Schema": "a", "Plans": [{"Node Type": "BitmapAnd", "Plans": [
                    {"Node Type": "Bitmap Index Scan", "Index Name": "i"}]}]},
                {"Node Type": "Index Scan", "Index Name": "j", "Schema": "b"}]}}]"#,
        )
        .unwrap();
        for (schema, name, used) in [
            ("a", "i", true),
            ("b", "i", false),
            ("b", "j", true),
            ("a", "j", false),
        ] {
            let wanted = BTreeSet::from([(schema.to_owned(), name.to_owned())]);
            assert_eq!(reads(&plan, None, &wanted), used, "{schema}.{name}");
        }
    }
}
