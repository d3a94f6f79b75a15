//! A restore for the bad day: a backup into an empty database of the user's own, compared afterwards.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::archive::{Archive, agree};
use super::expected::{more_by_somebody, taken_out};
use super::failure::Failure;
use super::verify::{Accepted, Subject, observe};
use crate::api::Reason;
use crate::codec::Identities;
use crate::manifest::Phase;
use crate::objects::ObjectStore;
use crate::postgres::compare::{Comparison, Reference, compare_with, keep, mend};
use crate::postgres::empty::look;
use crate::postgres::judge::Judged;
use crate::postgres::load::{LoadOrder, Roles, load};
use crate::postgres::{Observer, PgError, Programs, preflight};

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
    /// What somebody has found good enough.
    pub accepted: Accepted,
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
    archive.agrees()?;
    let subject = &plan.subject;
    let found = preflight(&subject.target, &subject.application_name).await?;
    newer(found.major(), archive.manifest.server.major)?;
    suits(subject, &archive).await?;
    let tool = Programs::find(found.major(), &subject.postgres_folders).await?;
    let program = tool.client("pg_restore").await?;
    let mut phases = Vec::new();
    let began = Instant::now();
    let fetched = archive
        .fetch(store, plan.identities.clone(), &plan.volume, observer)
        .await?;
    phases.push(phase("fetch", began));
    agree(&fetched.contradictions)?;
    let mut loaded = load(
        &LoadOrder {
            target: &subject.target,
            program,
            major: tool.major,
            dump: &fetched.dump,
            toc: &fetched.toc,
            globals: &fetched.globals,
            roles: plan.roles,
            contents: &archive.contents,
            left_out: std::collections::BTreeSet::new(),
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
    phases.append(&mut loaded.phases);
    let began = Instant::now();
    let mut now = observe(subject, &archive.contents, observer).await?;
    let mut expected = archive.contents.clone();
    taken_out(&mut expected, &mut now, &loaded);
    let reference = Reference {
        entries: None,
        accepted: &plan.accepted.definitions,
    };
    let mut comparison = compare_with(&expected, &now, Some(&reference));
    more_by_somebody(&mut comparison, &expected, &loaded);
    keep(&mut comparison, &loaded.there);
    mend(&mut comparison, &expected, &now);
    comparison.settle(&plan.accepted.lost);
    comparison.notes.extend(loaded.notes);
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

/// The programs of an older server cannot read the dump of a newer one.
fn newer(server: i32, backup: i32) -> Result<(), Failure> {
    if server >= backup {
        return Ok(());
    }
    Err(refused(
        Reason::WrongMajor,
        &format!(
            "the backup is of PostgreSQL {backup} and the server of {server}: restore into {backup} or newer"
        ),
    ))
}

/// Everything that a look can tell before anything is written: an empty database, of the same encoding, with the
/// extensions at hand.
async fn suits(subject: &Subject, archive: &Archive) -> Result<(), Failure> {
    let empty = look(&subject.target, &subject.application_name).await?;
    let target = subject.target.display();
    if !empty.objects.is_empty() {
        return Err(refused(
            Reason::DatabaseNotEmpty,
            &format!(
                "{target} is not empty: it has {} …; make a new one (createdb --template=template0) and restore into that",
                empty.objects.join(", ")
            ),
        ));
    }
    let wanted = &archive.manifest.server.encoding;
    if empty.encoding != *wanted {
        return Err(refused(
            Reason::InvalidSpec,
            &format!(
                "the backup is in {wanted} and {target} in {}: make it with createdb --template=template0 --encoding={wanted}",
                empty.encoding
            ),
        ));
    }
    let missing = empty.lacks(&archive.contents);
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
