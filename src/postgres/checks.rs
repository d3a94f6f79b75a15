//! The user's own questions to a restored database (G29): each in a read-only transaction, with a timeout.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use regex::Regex;
use tokio_postgres::SimpleQueryMessage;

use super::connect::connect;
use super::error::{PgError, sanitise};
use super::target::Target;
use crate::api::restore_drill::{AsOf, Check};
use crate::manifest::CheckProof;

/// Until a check must have answered.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// What a session to it may take besides.
const GRACE: Duration = Duration::from_secs(10);
/// What says the time of the drill, where the time of the dump is meant.
const CLOCKS: &str = r"(?i)(^|[^a-z0-9_])(now\s*\(|current_timestamp|current_date|current_time|localtime|localtimestamp|clock_timestamp\s*\(|statement_timestamp\s*\(|transaction_timestamp\s*\(|timeofday\s*\(|'\s*(now|today|tomorrow|yesterday)\s*'|age\s*\([^(),]*\))";
/// Longest answer that is shown, in characters.
const MAX_ANSWER: usize = 200;

/// Asks all of them, in a session each that ends after `timeout`. Never fails: what could not be asked says so.
pub async fn ask(
    target: &Target,
    checks: &[Check],
    dump_time: Timestamp,
    timeout: Duration,
) -> Vec<CheckProof> {
    let mut answers = Vec::with_capacity(checks.len());
    for check in checks {
        let began = Instant::now();
        let expect = check.expect.clone().unwrap_or_else(|| "t".to_owned());
        let within = tokio::time::timeout(
            timeout.saturating_add(GRACE),
            one(target, check, dump_time, timeout),
        );
        let answer = within
            .await
            .unwrap_or_else(|_| Err(format!("it did not answer within {} s", timeout.as_secs())));
        let passed = matches!(&answer, Ok(got) if *got == expect);
        let (got, error) = match answer {
            Ok(got) => (Some(got.chars().take(MAX_ANSWER).collect()), None),
            Err(error) => (None, Some(sanitise(&error))),
        };
        answers.push(CheckProof {
            name: check.name.clone(),
            sql: check.sql.clone(),
            expect,
            got,
            error,
            required: check.required.unwrap_or(true),
            passed,
            seconds: began.elapsed().as_secs_f64(),
        });
    }
    answers
}

async fn one(
    target: &Target,
    check: &Check,
    dump_time: Timestamp,
    timeout: Duration,
) -> Result<String, String> {
    if check.as_of.unwrap_or_default() == AsOf::Dump && says_the_time(&check.sql) {
        return Err("it asks the clock, which speaks of the drill and not of the dump: write :dump_time, or asOf: Now".to_owned());
    }
    let session = connect(target, "lifeboat/check")
        .await
        .map_err(|e| e.to_string())?;
    let client = &session.client;
    let said = |e: tokio_postgres::Error| PgError::query("ask", &e).to_string();
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {}",
        timeout.as_millis()
    );
    client.batch_execute(&begin).await.map_err(said)?;
    let sql = with_dump_time(&check.sql, dump_time);
    // Prepared, it cannot be two statements: a COMMIT before another would leave the transaction.
    client.prepare(&sql).await.map_err(said)?;
    let answer = client.simple_query(&sql).await.map_err(said)?;
    let first = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    });
    first.ok_or_else(|| "it answered no row".to_owned())
}

fn says_the_time(sql: &str) -> bool {
    Regex::new(CLOCKS).is_ok_and(|clocks| clocks.is_match(sql))
}

/// `:dump_time` becomes a literal; `::dump_time` would be a cast and stays.
fn with_dump_time(sql: &str, dump_time: Timestamp) -> String {
    let literal = format!("${{1}}TIMESTAMP WITH TIME ZONE '{dump_time}'");
    match Regex::new(r"(^|[^:]):dump_time\b") {
        Ok(place) => place.replace_all(sql, literal.as_str()).into_owned(),
        Err(_) => sql.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g29_the_clock_is_told_from_columns_that_sound_like_it() {
        for sql in [
            "select now() - max(at) < interval '1 day' from t",
            "select CURRENT_DATE = d",
            "select clock_timestamp ()",
            "select max(at) < 'now'::timestamptz from t",
            "select max(at) > date 'Today' from t",
            "select age(max_at) < interval '1 day' from t",
        ] {
            assert!(says_the_time(sql), "{sql}");
        }
        for sql in [
            "select snow(1)",
            "select my_current_date from t",
            "select known",
            "select age(at, :dump_time) from t",
            "select average(a) from t where b = 'now and then'",
            "select max(at) > :dump_time - interval '1 day' from t",
        ] {
            assert!(!says_the_time(sql), "{sql}");
        }
        let at: Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
        assert_eq!(
            with_dump_time("select a > :dump_time and b::dump_time", at),
            "select a > TIMESTAMP WITH TIME ZONE '2026-11-21T02:00:00Z' and b::dump_time"
        );
    }
}
