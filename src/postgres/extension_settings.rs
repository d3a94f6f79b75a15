//! Settings of extensions that change what values look like or what a check accepts (G14): they are recorded, and the scratch
//! server has them too. Never those that start work, reach out, or may hold a secret.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use super::error::PgError;

/// Carried wherever they are set. The server lists a setting only in a session that has loaded its library, so that these are
/// asked for by name.
pub(super) const KNOWN: [&str; 14] = [
    "orafce.nls_date_format",
    "orafce.timezone",
    "orafce.varchar2_null_safe_concat",
    "pg_bigm.enable_recheck",
    "pg_bigm.gin_key_limit",
    "pg_bigm.similarity_limit",
    "pg_trgm.similarity_threshold",
    "pg_trgm.strict_word_similarity_threshold",
    "pg_trgm.word_similarity_threshold",
    "plpgsql.variable_conflict",
    "roaringbitmap.output_format",
    "rum.fts_limit",
    "smlar.threshold",
    "smlar.type",
];
/// In the name of a setting that starts work, names a place, or may hold a secret.
const NEVER: [&str; 33] = [
    "address",
    "audit",
    "auto_explain",
    "bgw",
    "conn",
    "credential",
    "cron",
    "database",
    "dir",
    "dsn",
    "file",
    "host",
    "init",
    "interval",
    "job",
    "key",
    "launch",
    "library",
    "license",
    "log",
    "naptime",
    "passw",
    "path",
    "port",
    "role",
    "schedule",
    "secret",
    "socket",
    "start",
    "token",
    "ur",
    "user",
    "worker",
];
/// Most that are recorded.
const MOST: usize = 100;
/// Longest value, in bytes.
const MAX_VALUE: usize = 200;

/// Whether a setting is one that a backup records and a scratch server gets.
pub(super) fn is_carried(name: &str, value: &str) -> bool {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && part.chars().all(plain)
    };
    let named = name.len() <= 128 && name.contains('.') && name.split('.').all(part);
    let small = name.to_ascii_lowercase();
    let safe = KNOWN.contains(&name) || !NEVER.iter().any(|word| small.contains(word));
    // A connection string, in either form.
    let plain = !value.contains("://") && !value.contains(['=', '@']);
    named && safe && plain && value.len() <= MAX_VALUE && !value.chars().any(char::is_control)
}

/// Those that are set: what the session's libraries have, what the server's files name (where this role may see them), what
/// `ALTER ROLE ALL` has set, and [`KNOWN`].
///
/// # Errors
/// Those of a query.
pub(super) async fn extension_settings(
    client: &Client,
) -> Result<BTreeMap<String, String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the settings of extensions", &e);
    let may = "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')";
    let row = client.query_one(may, &[]).await.map_err(failed)?;
    let files = match row.try_get::<_, bool>(0).map_err(failed)? {
        true => "UNION SELECT name FROM pg_catalog.pg_file_settings WHERE name LIKE '%.%'",
        false => "",
    };
    let sql = format!(
        "SELECT n.name, pg_catalog.current_setting(n.name, true) FROM \
           (SELECT pg_catalog.unnest($1::text[]) AS name {files} \
            UNION SELECT pg_catalog.split_part(c, '=', 1) FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c \
              WHERE s.setdatabase = 0 AND s.setrole = 0 AND c LIKE '%.%=%' \
            UNION SELECT name FROM pg_catalog.pg_settings WHERE name LIKE '%.%' AND context IN ('user', 'superuser')) AS n \
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name = n.name \
              AND (s.setting IS NOT DISTINCT FROM s.boot_val OR s.context NOT IN ('user', 'superuser'))) \
           AND pg_catalog.current_setting(n.name, true) IS NOT NULL ORDER BY 1"
    );
    let known: Vec<&str> = KNOWN.to_vec();
    let rows = client.query(&sql, &[&known]).await.map_err(failed)?;
    let read = |row: &Row| Ok::<(String, String), _>((row.try_get(0)?, row.try_get(1)?));
    let pairs: Result<Vec<_>, _> = rows.iter().map(|row| read(row).map_err(failed)).collect();
    let carried = pairs?.into_iter().filter(|(n, v)| is_carried(n, v));
    Ok(carried.take(MOST).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("pg_trgm.similarity_threshold", "0.1", true)]
    #[case("pg_bigm.gin_key_limit", "5", true)]
    #[case("hnsw.ef_search", "100", true)]
    #[case::starts_work("cron.database_name", "x", false)]
    #[case::starts_work("pg_partman_bgw.interval", "5", false)]
    #[case::may_be_a_secret("app.api_token", "x", false)]
    #[case::reaches_out("some.source", "host=db password=x", false)]
    #[case::reaches_out("some.source", "postgres://u:p@h/d", false)]
    #[case::no_name("some.a b", "x", false)]
    #[case::no_extensions("work_mem", "1", false)]
    fn g14_settings_that_change_meaning_are_carried_and_never_what_starts_work_or_may_be_secret(
        #[case] name: &str,
        #[case] value: &str,
        #[case] carried: bool,
    ) {
        assert_eq!(is_carried(name, value), carried);
    }
}
