//! A dump becomes a database: roles, definitions, settings of the database, data, the rest, statistics
//! (G14, G16, G17). Stock pg_restore does the loading; what goes wrong is collected and judged (G27).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::connect::{Connection, connect_with};
use super::error::{PgError, sanitise};
use super::judge::{Judged, Versions, judge_one, of_extension, of_other_versions};
use super::load_parts::Parts;
use super::load_statements::{Statements, properties, role_statements};
use super::names::quote_ident;
use super::restore_words::ToolError;
use super::role_closure::readable;
use super::role_settings;
use super::step::{Observer, Step};
use super::taken_out::taken_out;
use super::target::Target;
use super::toc::Toc;
use crate::manifest::{Contents, Name, Phase, Relation};

/// Most roles that a note names.
const NAMED: usize = 20;
/// Between two looks at how far the data is.
const LOOK: Duration = Duration::from_secs(1);
/// What becomes of the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// As they were; those that exist are left alone.
    Create,
    /// As they were, but for passwords, in a scratch server: nobody logs in there, because its `pg_hba.conf` lets nobody in
    /// (G17). Its superuser, the one role that is there, takes what the source's had, and goes on to log in.
    Scratch,
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
    /// What the backup says it holds.
    pub contents: &'a Contents,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What went wrong, judged.
    pub errors: Vec<Judged>,
    /// How long each part took.
    pub phases: Vec<Phase>,
    /// Worth knowing, and no error.
    pub notes: Vec<String>,
    /// Extensions, in the source's own version, whose triggers changed what was loaded into their tables, or may have.
    pub triggered: BTreeSet<String>,
    /// How many rows came into an extension's table out of the dump, by schema and name; without those that a trigger may have had a
    /// hand in.
    pub came: BTreeMap<(Name, Name), i64>,
    /// Kind, schema, name and definition of what was taken out of an extension, which has made it again as its own.
    pub taken_out: Vec<(String, Name, Name, Name)>,
    /// Roles that the server had before.
    pub there: BTreeSet<String>,
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
    let session = session(order).await?;
    // Beside the dump: the folder for passwords is small. It goes, however the load ends.
    let list = order.dump.with_file_name("entries.list");
    let superuser = is_superuser(&session).await?;
    let own =
        role_settings::startup_options(&session, order.contents, order.toc, &order.target.user)
            .await;
    let parts = Parts::new(order, &list, superuser, own);
    let loaded = in_parts(order, &session, &parts, observer).await;
    let _ = std::fs::remove_file(&list);
    loaded
}

async fn in_parts(
    order: &LoadOrder<'_>,
    session: &Connection,
    parts: &Parts<'_>,
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
    let late_roles = roles(order, session, &mut loaded).await?;
    parts.pre_data(session, &mut loaded).await?;
    let (early, late) = properties(order);
    statements(order, session, &early, &mut loaded).await?;
    let versions = versions(session).await?;
    lap(&mut loaded, "schema");

    observer.reached(Step::LoadingData).await;
    {
        let data = parts.data(session, &mut loaded);
        tokio::select! {
            ended = data => ended?,
            never = watch(order, session, observer) => match never {},
        }
    }
    lap(&mut loaded, "data");

    observer.reached(Step::Indexing).await;
    parts.post_data(session, &mut loaded).await?;
    loaded.errors = std::mem::take(&mut loaded.errors)
        .into_iter()
        .map(|error| by_extension(order, parts, &versions, error))
        .collect();
    loaded.taken_out = taken_out(session, &order.toc.entries, &mut loaded.errors).await?;
    loaded.triggered = triggered(session).await?;
    if !loaded.triggered.is_empty() {
        loaded.came.clear();
    }
    loaded.triggered.retain(|name| {
        let mut recorded = order.contents.extensions.iter();
        recorded.any(|(of, was)| of == name && versions.get(name) == Some(was))
    });
    lap(&mut loaded, "indexes");

    observer.reached(Step::Analyzing).await;
    // It makes queries quick and says nothing of a backup: a foreign table in a partition needs its server, an index calls
    // a function that nobody calls any more.
    let analyzed = session.client.batch_execute("ANALYZE").await;
    if let Err(error) = analyzed {
        loaded.notes.push(of_analyze(&error)?);
    }
    statements(order, session, &late_roles, &mut loaded).await?;
    statements(order, session, &late, &mut loaded).await?;
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

async fn is_superuser(session: &Connection) -> Result<bool, PgError> {
    let failed = |e| PgError::query("ask for the rights of the role", &e);
    let sql = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let row = session.client.query_one(sql, &[]).await.map_err(failed)?;
    row.try_get(0).map_err(failed)
}

/// Versions of the extensions that are there.
async fn versions(session: &Connection) -> Result<BTreeMap<String, String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the extensions", &e);
    let sql = "SELECT extname::text, extversion FROM pg_catalog.pg_extension";
    let rows = session.client.query(sql, &[]).await.map_err(failed)?;
    let pairs = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    pairs.collect::<Result<_, _>>().map_err(failed)
}

/// Extensions whose tables have a trigger that comes with the extension and fires for each row that is loaded.
async fn triggered(session: &Connection) -> Result<BTreeSet<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("look at triggers of extensions", &e);
    // INSERT is the third bit of a trigger's kind.
    let sql = "SELECT DISTINCT e.extname::text FROM pg_catalog.pg_trigger AS t \
        JOIN pg_catalog.pg_depend AS r ON r.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.objid = t.tgrelid AND r.deptype = 'e' \
        JOIN pg_catalog.pg_depend AS f ON f.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND f.objid = t.tgfoid AND f.deptype = 'e' \
          AND f.refobjid = r.refobjid \
        JOIN pg_catalog.pg_extension AS e ON e.oid = r.refobjid \
        WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 4 <> 0";
    let rows = session.client.query(sql, &[]).await.map_err(failed)?;
    let names = rows.iter().map(|row| row.try_get(0).map_err(failed));
    names.collect()
}

/// Judges anew what may be the doing of an extension.
fn by_extension(
    order: &LoadOrder<'_>,
    parts: &Parts<'_>,
    versions: &BTreeMap<String, String>,
    error: Judged,
) -> Judged {
    let both = |(name, was): &'_ (String, String)| {
        let (name, is) = versions.get_key_value(name)?;
        Some((name.clone(), was.clone(), is.clone()))
    };
    let recorded: Vec<_> = order.contents.extensions.iter().filter_map(both).collect();
    let mut pairs = recorded
        .iter()
        .map(|(name, was, is)| Versions { name, was, is });
    let mut entries = order.toc.entries.iter();
    let entry = entries.find(|e| Some(e.dump_id) == error.dump_id);
    let Some(entry) = entry else {
        return error;
    };
    if !parts.is_of_extension(entry) {
        let others: Vec<_> = pairs.filter(|pair| pair.was != pair.is).collect();
        return of_other_versions(error, &others);
    }
    let mut relations = order.contents.relations.iter();
    let same = |r: &&Relation| r.schema == entry.namespace && r.name == entry.tag;
    let extension = relations.find(same).and_then(|r| r.extension.as_deref());
    match pairs.find(|pair| Some(pair.name) == extension) {
        Some(pair) => of_extension(error, &pair),
        None => error,
    }
}

/// What ANALYZE could not do, in a sentence.
///
/// # Errors
/// That the connection was lost.
fn of_analyze(error: &tokio_postgres::Error) -> Result<String, PgError> {
    let failed = PgError::query("collect statistics", error);
    match error.as_db_error() {
        None => Err(failed),
        Some(said) => Ok(format!(
            "ANALYZE: {} ({}); queries may be slower, and nothing else hangs on it",
            sanitise(said.message()),
            said.code().code()
        )),
    }
}

/// Makes the roles (G15, G17). Answers what of them must come last: their settings would reach into the load.
async fn roles(
    order: &LoadOrder<'_>,
    session: &Connection,
    loaded: &mut Loaded,
) -> Result<Statements, PgError> {
    let failed = |e| PgError::query("read the roles", &e);
    // One whose name cannot be read here is none of the backup's.
    let sql = format!(
        "SELECT rolname::text FROM pg_catalog.pg_roles WHERE {}",
        readable("rolname")
    );
    let rows = session.client.query(&sql, &[]).await.map_err(failed)?;
    let there: Result<BTreeSet<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    loaded.there = there.map_err(failed)?;
    if order.roles == Roles::Skip {
        return Ok(Vec::new());
    }
    let there: BTreeSet<String> = loaded.there.iter().map(|name| quote_ident(name)).collect();
    let made = role_statements(order.globals, order.roles, &there);
    statements(order, session, &made.now, loaded).await?;
    if order.roles == Roles::Create {
        let there = made.there.into_iter();
        let own = quote_ident(&order.target.user);
        loaded
            .notes
            .extend(kept(&there.filter(|name| *name != own).collect::<Vec<_>>()));
    }
    Ok(made.late)
}

/// What of the server's own stays. How each differs from the backup's is told where they are compared.
fn kept(there: &[String]) -> Option<String> {
    let named: Vec<&str> = there.iter().map(String::as_str).take(NAMED).collect();
    let more = match there.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let all = named.join(", ");
    (!there.is_empty()).then(|| format!("roles that existed before stay as they are: {all}{more}"))
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
            ..ToolError::default()
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
