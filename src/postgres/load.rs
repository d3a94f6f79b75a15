//! A dump becomes a database: roles, definitions, settings of the database, data, the rest, statistics
//! (G14, G16, G17). Stock pg_restore does the loading; what goes wrong is collected and judged (G27).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::connect::{Connection, connect_with};
use super::error::PgError;
use super::judge::{Judged, judge, judge_one, of_extension};
use super::load_statements::{Statements, properties, role_statements};
use super::names::quote_ident;
use super::pg_restore::{RestoreOrder, Section, ToolError, restore};
use super::step::{Observer, Step};
use super::target::Target;
use super::toc::Toc;
use crate::api::Reason;
use crate::manifest::{Name, Phase};

/// Most of the scratch server's log that is read for SQLSTATEs, in bytes.
const MAX_LOG: u64 = 16 * 1024 * 1024;
/// Between two looks at how far the data is.
const LOOK: Duration = Duration::from_secs(1);
/// What becomes of the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// As they were; those that exist are left alone.
    Create,
    /// All of them without LOGIN and password, also those that exist: a scratch server (G17).
    NoLogin,
    /// Not made: they are expected to be there.
    Skip,
}

/// What to load, and where to.
#[derive(Debug)]
pub struct LoadOrder<'a> {
    /// The database, empty.
    pub target: &'a Target,
    /// pg_restore.
    pub program: PathBuf,
    /// Its major version.
    pub major: i32,
    /// The dump, every digest of which was checked.
    pub dump: &'a Path,
    /// Its table of contents.
    pub toc: &'a Toc,
    /// The roles, as the backup has them.
    pub globals: &'a str,
    /// What becomes of them.
    pub roles: Roles,
    /// Entries that are left out, by their number in the dump (G18, G30).
    pub left_out: BTreeSet<i64>,
    /// Sessions at the same time.
    pub jobs: usize,
    /// Rows in all, for progress.
    pub rows: i64,
    /// A folder of ours for service and password file.
    pub scratch: &'a Path,
    /// As the server shows it.
    pub application_name: &'a str,
    /// Log of the server, where it is ours to read.
    pub log: Option<&'a Path>,
    /// The server's collations are of another version than the source's.
    pub collation_differs: bool,
    /// Relations that extensions own and fill (G4).
    pub of_extensions: BTreeSet<(&'a Name, &'a Name)>,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What went wrong, judged.
    pub errors: Vec<Judged>,
    /// How long each part took.
    pub phases: Vec<Phase>,
}

/// What a drill does not restore, because it would reach out to another server (G30): it is compared as text only.
#[must_use]
pub fn reaches_out(desc: &str, tag: &Name) -> bool {
    match desc {
        "SUBSCRIPTION" | "SUBSCRIPTION TABLE" | "USER MAPPING" => true,
        "COMMENT" | "SECURITY LABEL" => tag.display().starts_with("SUBSCRIPTION "),
        _ => false,
    }
}

/// Loads a dump.
///
/// # Errors
/// Only that it could not be tried. What went wrong with entries is in the answer.
pub async fn load(order: &LoadOrder<'_>, observer: &dyn Observer) -> Result<Loaded, PgError> {
    // Beside the dump: the folder for passwords is small. It goes, however the load ends.
    let list = order.dump.with_file_name("entries.list");
    write_list(order, &list)?;
    let loaded = load_listed(order, &list, observer).await;
    let _ = std::fs::remove_file(&list);
    loaded
}

async fn load_listed(
    order: &LoadOrder<'_>,
    list: &Path,
    observer: &dyn Observer,
) -> Result<Loaded, PgError> {
    let mut loaded = Loaded::default();
    let mut clock = Instant::now();
    let mut lap = |loaded: &mut Loaded, name: &str| {
        loaded.phases.push(Phase {
            name: name.to_owned(),
            seconds: clock.elapsed().as_secs_f64(),
        });
        clock = Instant::now();
    };

    observer.reached(Step::LoadingSchema).await;
    let session = session(order).await?;
    let late_roles = roles(order, &session, &mut loaded).await?;
    section(order, Section::PreData, list, &mut loaded).await?;
    let (early, late) = properties(order);
    statements(order, &session, &early, &mut loaded).await?;
    lap(&mut loaded, "schema");

    observer.reached(Step::LoadingData).await;
    {
        let data = section(order, Section::Data, list, &mut loaded);
        tokio::select! {
            ended = data => ended?,
            never = watch(order, &session, observer) => match never {},
        }
    }
    lap(&mut loaded, "data");

    observer.reached(Step::Indexing).await;
    section(order, Section::PostData, list, &mut loaded).await?;
    lap(&mut loaded, "indexes");

    observer.reached(Step::Analyzing).await;
    let analyze = [("ANALYZE".to_owned(), "ANALYZE".to_owned())];
    statements(order, &session, &analyze, &mut loaded).await?;
    statements(order, &session, &late_roles, &mut loaded).await?;
    statements(order, &session, &late, &mut loaded).await?;
    lap(&mut loaded, "analyze");
    Ok(loaded)
}

/// A session of ours that no setting of role or database hinders.
async fn session(order: &LoadOrder<'_>) -> Result<Connection, PgError> {
    let session = connect_with(order.target, order.application_name, None).await?;
    let settings = "SET default_transaction_read_only = off; SET statement_timeout = 0; SET lock_timeout = 0; \
        SET idle_in_transaction_session_timeout = 0; SET search_path = ''";
    session
        .client
        .batch_execute(settings)
        .await
        .map_err(|e| PgError::query("set up a session", &e))?;
    Ok(session)
}

/// pg_restore reads the number before the first semicolon of each line.
fn write_list(order: &LoadOrder<'_>, list: &Path) -> Result<(), PgError> {
    let wanted = order
        .toc
        .entries
        .iter()
        .filter(|e| !order.left_out.contains(&e.dump_id));
    let text: String = wanted.map(|e| format!("{};\n", e.dump_id)).collect();
    std::fs::write(list, text).map_err(|e| {
        PgError::later(
            Reason::InternalError,
            format!("failed to write the list of entries: {e}"),
        )
    })
}

async fn section(
    order: &LoadOrder<'_>,
    section: Section,
    list: &Path,
    loaded: &mut Loaded,
) -> Result<(), PgError> {
    let before = log_length(order.log);
    let errors = restore(&RestoreOrder {
        target: order.target,
        program: &order.program,
        major: order.major,
        dump: order.dump,
        toc: order.toc,
        list,
        section,
        // Definitions hang on each other.
        jobs: match section {
            Section::PreData => 1,
            Section::Data | Section::PostData => order.jobs,
        },
        scratch: order.scratch,
        application_name: order.application_name,
    })
    .await?;
    if !errors.is_empty() {
        let log = read_log(order.log, before);
        let judged = judge(errors, &log, order.collation_differs).into_iter();
        loaded
            .errors
            .extend(judged.map(|error| match fills_extension(order, &error) {
                true => of_extension(error),
                false => error,
            }));
    }
    Ok(())
}

/// Whether it speaks of the data of a relation that an extension makes.
fn fills_extension(order: &LoadOrder<'_>, error: &Judged) -> bool {
    let entry = error.error.entry.replace('"', "");
    order.of_extensions.iter().any(|(schema, name)| {
        let full = format!("{}.{}", schema.display(), name.display());
        let of = |kind: &str| entry.strip_prefix(kind).and_then(|e| e.strip_prefix(&full));
        // Sessions beside each other name the statement, or only the table.
        let copy = format!("COPY failed for table \"{}\":", name.display());
        of("TABLE DATA ")
            .or(of("SEQUENCE SET "))
            .is_some_and(str::is_empty)
            || of("COPY ").is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            || entry.is_empty() && error.error.message.contains(&copy)
    })
}

fn log_length(log: Option<&Path>) -> u64 {
    let meta = log.and_then(|path| std::fs::metadata(path).ok());
    meta.map_or(0, |m| m.len())
}

fn read_log(log: Option<&Path>, from: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    if let Some(mut file) = log.and_then(|path| std::fs::File::open(path).ok())
        && file.seek(SeekFrom::Start(from)).is_ok()
    {
        // Without the log errors have no SQLSTATE, and are judged as unknown ones.
        let _ = file.take(MAX_LOG).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Makes the roles (G15, G17). Answers what of them must come last: their settings would reach into the load.
async fn roles(
    order: &LoadOrder<'_>,
    session: &Connection,
    loaded: &mut Loaded,
) -> Result<Statements, PgError> {
    if order.roles == Roles::Skip {
        return Ok(Vec::new());
    }
    let rows = session
        .client
        .query("SELECT rolname::text FROM pg_catalog.pg_roles", &[])
        .await
        .map_err(|e| PgError::query("read the roles", &e))?;
    let there: Result<BTreeSet<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    let there = there.map_err(|e| PgError::query("read the roles", &e))?;
    let there: BTreeSet<String> = there.iter().map(|name| quote_ident(name)).collect();
    let (now, late) = role_statements(order.globals, order.roles, &there);
    statements(order, session, &now, loaded).await?;
    Ok(late)
}

/// Runs statements one by one; what is refused is judged, the others go on.
async fn statements(
    order: &LoadOrder<'_>,
    session: &Connection,
    all: &[(String, String)],
    loaded: &mut Loaded,
) -> Result<(), PgError> {
    for (entry, sql) in all {
        let Err(error) = session.client.batch_execute(sql).await else {
            continue;
        };
        let failed = PgError::query(&format!("apply {entry}"), &error);
        let state = error.code().map(|c| c.code().to_owned());
        let Some(state) = state else {
            return Err(failed);
        };
        let tool = ToolError {
            desc: "GLOBAL".to_owned(),
            entry: entry.clone(),
            message: failed.to_string(),
        };
        loaded
            .errors
            .push(judge_one(tool, state, order.collation_differs));
    }
    Ok(())
}

/// Tells how many rows the running COPYs have taken, and those that ended before them.
async fn watch(
    order: &LoadOrder<'_>,
    session: &Connection,
    observer: &dyn Observer,
) -> std::convert::Infallible {
    let total = u64::try_from(order.rows).unwrap_or_default();
    let sql = "SELECT coalesce((SELECT sum(n_tup_ins) FROM pg_catalog.pg_stat_user_tables), 0)::bigint \
        + coalesce((SELECT sum(tuples_processed) FROM pg_catalog.pg_stat_progress_copy WHERE command = 'COPY FROM'), 0)::bigint";
    loop {
        tokio::time::sleep(LOOK).await;
        if order.major < 14 || total == 0 {
            continue;
        }
        // That nothing is shown is no reason to fail.
        let looked = session.client.query_one(sql, &[]).await;
        if let Ok(Ok(rows)) = looked.map(|row| row.try_get::<_, i64>(0)) {
            let rows = u64::try_from(rows).unwrap_or_default().min(total);
            observer.rows(rows, total);
            observer.bytes(0);
        }
    }
}
