//! What is asked of a database before anything is locked; the check Job asks the same.

use jiff::Timestamp;
use tokio_postgres::{Client, Row};

use super::error::PgError;
use super::facts;
use super::pooler::{self, Pooler};
use super::privileges;
use super::search_path;
use super::servers::Who;
use super::target::Target;
use crate::api::Reason;
use crate::api::backup_policy::DatabaseFacts;

/// Majors that are supported.
pub const MAJORS: std::ops::RangeInclusive<i32> = 13..=19;
/// Settings that read damage as emptiness, and must be off (G3).
const UNSAFE: [&str; 3] = [
    "zero_damaged_pages",
    "ignore_checksum_failure",
    "ignore_system_indexes",
];
/// Most extensions that the facts list.
const MAX_EXTENSIONS: usize = 100;

/// A database that may be backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// What the status shows.
    pub facts: DatabaseFacts,
    /// As `server_version` says, for example `17.2`.
    pub version: String,
    /// Encoding of the database.
    pub encoding: String,
    /// Name of the database, as the server has it.
    pub database: String,
    /// Size in bytes; 0 where it may not be asked.
    pub bytes: i64,
    /// The server is a standby.
    pub in_recovery: bool,
    /// What stands between.
    pub pooler: Pooler,
    /// The server that answered all of our connections.
    pub server: Who,
    /// What a restore by stock tools will stumble over, or what the application may, a sentence each with its cure; at most 22.
    pub warnings: Vec<String>,
}

impl Preflight {
    /// The server's major version.
    #[must_use]
    pub fn major(&self) -> i32 {
        self.facts.major
    }
}

/// Looks at the database: version, pooler, settings, privileges.
///
/// # Errors
/// The first thing that stands against a backup, with what mends it.
pub async fn preflight(target: &Target, application_name: &str) -> Result<Preflight, PgError> {
    // The pooler first: through one in transaction mode no other answer can be trusted.
    let looked = pooler::look(target, application_name).await?;
    let client = &looked.connection.client;
    let asked = "\
        BEGIN READ ONLY; SET LOCAL search_path = ''; SET LOCAL statement_timeout = '60s'; \
        SET LOCAL idle_in_transaction_session_timeout = '180s'; SET LOCAL TimeZone = 'UTC'";
    client
        .batch_execute(asked)
        .await
        .map_err(|e| PgError::query("begin a transaction", &e))?;
    let row = client
        .query_one(FACTS, &[])
        .await
        .map_err(|e| PgError::query("ask the server what it is", &e))?;
    let mut found =
        read_facts(&row, &looked).map_err(|e| PgError::query("ask the server what it is", &e))?;
    let major = found.facts.major;
    if !MAJORS.contains(&major) {
        return Err(PgError::never(
            Reason::UnsupportedVersion,
            format!(
                "the server is PostgreSQL {}; {} to {} are supported",
                found.version,
                MAJORS.start(),
                MAJORS.end()
            ),
        )
        .with_major(major));
    }
    refuse_unsafe(client, &target.user)
        .await
        .map_err(|e| e.with_major(major))?;
    privileges::check(client)
        .await
        .map_err(|e| e.with_major(major))?;
    let room = super::lock_budget::check(client).await;
    let tight = room.map_err(|e| e.with_major(major))?;
    found.facts.system_identifier = system_identifier(client).await?;
    found.facts.extension_data = facts::not_dumped(client)
        .await
        .map_err(|e| e.with_major(major))?;
    if target.password.is_some() {
        found.facts.password_expires = password_expires(client)
            .await
            .map_err(|e| e.with_major(major))?;
    }
    let left_out = super::left_out::left_out(client).await;
    let left_out = left_out.map_err(|e| e.with_major(major))?.into_iter();
    let names = left_out.map(|l| l.name.display());
    found.facts.not_dumped = names.take(MAX_EXTENSIONS).collect();
    client
        .batch_execute("COMMIT")
        .await
        .map_err(|e| PgError::query("end the transaction", &e))?;
    found.warnings = search_path::warnings(client).await;
    found.warnings.extend(tight);
    Ok(found)
}

/// One row of everything. Sizes need CONNECT, which a session has.
const FACTS: &str = "\
    SELECT pg_catalog.current_setting('server_version_num')::int / 10000, pg_catalog.current_setting('server_version'), \
           pg_catalog.getdatabaseencoding()::text, pg_catalog.current_database()::text, \
           pg_catalog.pg_database_size(pg_catalog.current_database()), pg_catalog.pg_is_in_recovery(), \
           (SELECT pg_catalog.array_agg(extname || ' ' || extversion ORDER BY extname) FROM pg_catalog.pg_extension), \
           (SELECT pg_catalog.array_agg(rolname::text) FROM pg_catalog.pg_roles WHERE rolname IN \
               ('rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'supabase_admin', 'neon_superuser', 'azure_pg_admin'))";

fn read_facts(row: &Row, looked: &pooler::Found) -> Result<Preflight, tokio_postgres::Error> {
    let bytes: i64 = row.try_get(4)?;
    let mut extensions: Vec<String> = row.try_get::<_, Option<_>>(6)?.unwrap_or_default();
    extensions.truncate(MAX_EXTENSIONS);
    let roles: Vec<String> = row.try_get::<_, Option<_>>(7)?.unwrap_or_default();
    Ok(Preflight {
        facts: DatabaseFacts {
            major: row.try_get(0)?,
            system_identifier: None,
            name: Some(row.try_get(3)?),
            bytes: Some(bytes),
            provider: Some(provider(&roles).to_owned()),
            extensions: extensions
                .into_iter()
                .map(|e| e.chars().take(160).collect())
                .collect(),
            extension_data: Vec::new(),
            not_dumped: Vec::new(),
            password_expires: None,
            pooler: Some(looked.pooler.as_str().to_owned()),
        },
        version: row
            .try_get::<_, String>(1)?
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned(),
        encoding: row.try_get(2)?,
        database: row.try_get(3)?,
        bytes,
        in_recovery: row.try_get(5)?,
        pooler: looked.pooler,
        server: looked.server.clone(),
        warnings: Vec::new(),
    })
}

/// When this role's password expires: from 19 on a server warns of it at login, and any server refuses the login after that.
async fn password_expires(client: &Client) -> Result<Option<Timestamp>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("ask when the password expires", &e);
    let sql = "\
        SELECT CASE WHEN pg_catalog.isfinite(rolvaliduntil) THEN pg_catalog.date_part('epoch', rolvaliduntil)::bigint END \
        FROM pg_catalog.pg_roles WHERE rolname = session_user";
    let row = client.query_opt(sql, &[]).await.map_err(failed)?;
    let seconds = row.map(|row| row.try_get::<_, Option<i64>>(0)).transpose();
    let seconds = seconds.map_err(failed)?.flatten();
    Ok(seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()))
}

/// Which server it is, whatever it is called; `None` where that may not be asked.
async fn system_identifier(client: &Client) -> Result<Option<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("ask the server who it is", &e);
    let may =
        "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')";
    let row = client.query_one(may, &[]).await.map_err(failed)?;
    if !row.try_get::<_, bool>(0).map_err(failed)? {
        return Ok(None);
    }
    let sql = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    row.try_get(0).map(Some).map_err(failed)
}

/// Who runs the server, told by the role that only they have.
fn provider(roles: &[String]) -> &'static str {
    let known = [
        ("supabase_admin", "Supabase"),
        ("neon_superuser", "Neon"),
        ("alloydbsuperuser", "AlloyDb"),
        ("cloudsqlsuperuser", "CloudSql"),
        ("azure_pg_admin", "Azure"),
        ("rds_superuser", "Rds"),
    ];
    known
        .iter()
        .find(|(role, _)| roles.iter().any(|r| r == role))
        .map_or("None", |(_, name)| name)
}

async fn refuse_unsafe(client: &Client, user: &str) -> Result<(), PgError> {
    let rows = client
        .query(
            "SELECT name, source FROM pg_catalog.pg_settings WHERE name = ANY ($1) AND setting = 'on' ORDER BY name",
            &[&UNSAFE.as_slice()],
        )
        .await
        .map_err(|e| PgError::query("ask for settings", &e))?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let failed = |e: tokio_postgres::Error| PgError::query("ask for settings", &e);
    let name: String = row.try_get(0).map_err(failed)?;
    let source: String = row.try_get(1).map_err(failed)?;
    let user = super::names::quote_ident(user);
    let mend = match source.as_str() {
        "database" => format!("ALTER DATABASE … RESET {name};"),
        "user" => format!("ALTER ROLE {user} RESET {name};"),
        "database user" => format!("ALTER ROLE {user} IN DATABASE … RESET {name};"),
        _ => format!(
            "ALTER SYSTEM RESET {name}; SELECT pg_reload_conf(); (or take it out of postgresql.conf)"
        ),
    };
    Err(PgError::never(
        Reason::UnsafeSetting,
        format!(
            "{name} is on: damaged data would be read as empty and the backup be silently partial. This mends it: {mend}"
        ),
    ))
}
