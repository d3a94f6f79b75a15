//! A restore for the bad day: a backup into an empty database of the user's own, compared afterwards.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::archive::Archive;
use super::failure::Failure;
use super::verify::{Subject, observe};
use crate::api::Reason;
use crate::codec::Identities;
use crate::manifest::Phase;
use crate::objects::ObjectStore;
use crate::postgres::compare::{Comparison, compare};
use crate::postgres::judge::Judged;
use crate::postgres::load::{LoadOrder, Roles, load};
use crate::postgres::{Observer, PgDump, PgError, connect, preflight};

/// Names of what is there already that an error holds.
const NAMED: i64 = 5;
/// `application_name` of the sessions that load.
const NAME: &str = "lifeboat/restore";

/// What to restore, and where to.
#[derive(Debug)]
pub struct Plan {
    /// Where from.
    pub store: Arc<dyn ObjectStore>,
    /// What opens it.
    pub identities: Option<Arc<Identities>>,
    /// Folder of the backup in the store.
    pub at: String,
    /// Where to, and the means.
    pub subject: Subject,
    /// Folder for the dump, decrypted; gone with the command.
    pub volume: PathBuf,
    /// What becomes of the roles.
    pub roles: Roles,
    /// Sessions that load at the same time.
    pub jobs: usize,
}

/// How it went.
#[derive(Debug)]
pub struct Restored {
    /// The backup.
    pub archive: Archive,
    /// What the server refused.
    pub errors: Vec<Judged>,
    /// Whether the database is now what was backed up.
    pub comparison: Comparison,
    /// How long each part took.
    pub phases: Vec<Phase>,
}

/// Restores. The database must be empty; nothing is loaded before every digest was checked.
///
/// # Errors
/// [`Failure`]; that something was refused or differs is none.
pub async fn run(plan: &Plan, observer: &dyn Observer) -> Result<Restored, Failure> {
    let store = plan.store.as_ref();
    let archive = Archive::open(store, &plan.at, plan.identities.as_deref()).await?;
    let subject = &plan.subject;
    let found = preflight(&subject.target, &subject.application_name).await?;
    suits(subject, &archive).await?;
    let tool = PgDump::find(found.major(), &subject.postgres_folders).await?;
    let program = tool.beside("pg_restore").ok_or_else(|| {
        refused(
            Reason::ToolsMissing,
            &format!("there is no pg_restore beside {}", tool.path.display()),
        )
    })?;
    let mut phases = Vec::new();
    let began = Instant::now();
    let fetched = archive
        .fetch(store, plan.identities.clone(), &plan.volume, observer)
        .await?;
    phases.push(phase("fetch", began));
    if let Some(lie) = fetched.contradictions.first() {
        let text = format!(
            "the backup contradicts itself: {} {}: {} and {}",
            lie.what, lie.object, lie.expected, lie.found
        );
        return Err(refused(Reason::BackupDamaged, &text));
    }
    let loaded = load(
        &LoadOrder {
            target: &subject.target,
            program,
            major: tool.major,
            dump: &fetched.dump,
            toc: &fetched.toc,
            globals: &fetched.globals,
            roles: plan.roles,
            left_out: |_, _| false,
            jobs: plan.jobs,
            rows: archive.manifest.counts.rows,
            scratch: &subject.scratch,
            application_name: NAME,
            log: None,
            collation_differs: false,
        },
        observer,
    )
    .await?;
    phases.extend(loaded.phases);
    let began = Instant::now();
    let now = observe(subject, &archive.contents, observer).await?;
    let comparison = compare(&archive.contents, &now);
    phases.push(phase("verify", began));
    Ok(Restored {
        archive,
        errors: loaded.errors,
        comparison,
        phases,
    })
}

fn phase(name: &str, began: Instant) -> Phase {
    Phase {
        name: name.to_owned(),
        seconds: began.elapsed().as_secs_f64(),
    }
}

/// Everything that a look can tell before anything is written: an empty database, of the same encoding, with the
/// extensions at hand.
async fn suits(subject: &Subject, archive: &Archive) -> Result<(), Failure> {
    let session = connect(&subject.target, &subject.application_name).await?;
    let failed = |e: tokio_postgres::Error| PgError::query("look at the database", &e);
    let sql = "\
        WITH mine AS ( \
          SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS class, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name \
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
          UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, pg_catalog.format('%I.%I()', n.nspname, p.proname) \
            FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
          UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, pg_catalog.format('%I.%I', n.nspname, t.typname) \
            FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.typrelid = 0 AND t.typelem = 0 \
          UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid, pg_catalog.format('schema %I', n.nspname) \
            FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'public') \
          UNION ALL SELECT 'pg_catalog.pg_largeobject_metadata'::pg_catalog.regclass, l.oid, pg_catalog.format('large object %s', l.oid) \
            FROM pg_catalog.pg_largeobject_metadata l) \
        SELECT name FROM mine WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d \
          WHERE d.classid = mine.class AND d.objid = mine.oid AND d.deptype = 'e') ORDER BY 1 LIMIT $1";
    let rows = session.client.query(sql, &[&NAMED]).await.map_err(failed)?;
    let names: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    let names = names.map_err(failed)?;
    if !names.is_empty() {
        return Err(refused(
            Reason::DatabaseNotEmpty,
            &format!(
                "{} is not empty: it has {} …; make a new one (createdb --template=template0) and restore into that",
                subject.target.display(),
                names.join(", ")
            ),
        ));
    }
    let row = session
        .client
        .query_one("SELECT pg_catalog.getdatabaseencoding()::text", &[])
        .await
        .map_err(failed)?;
    let encoding: String = row.try_get(0).map_err(failed)?;
    let wanted = &archive.manifest.server.encoding;
    if encoding != *wanted {
        return Err(refused(
            Reason::InvalidSpec,
            &format!(
                "the backup is in {wanted} and {} in {encoding}: make it with createdb --template=template0 --encoding={wanted}",
                subject.target.display()
            ),
        ));
    }
    let rows = session
        .client
        .query(
            "SELECT name::text FROM pg_catalog.pg_available_extensions",
            &[],
        )
        .await
        .map_err(failed)?;
    let there: Result<std::collections::BTreeSet<String>, _> =
        rows.iter().map(|row| row.try_get(0)).collect();
    let there = there.map_err(failed)?;
    let wanted = archive
        .contents
        .extensions
        .iter()
        .map(|(name, _)| name.as_str());
    let missing: Vec<&str> = wanted.filter(|name| !there.contains(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(refused(
        Reason::ExtensionMissing,
        &format!(
            "the server lacks the extensions of the database: {}; install them there first",
            missing.join(", ")
        ),
    ))
}

fn refused(reason: Reason, text: &str) -> Failure {
    Failure::Postgres(PgError::never(reason, text))
}
