//! A migration on a restored backup: there, back, and there again (M8-M10, M21).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::permitted::caught_up;
use super::scratch::{incomplete, log_in};
use super::stage::Stage;
use crate::api::Reason;
use crate::api::migration_run::MigrationChecks;
use crate::api::restore_drill::Verdict;
use crate::codec::Identities;
use crate::manifest::{Evidence, Phase, Role};
use crate::objects::ObjectStore;
use crate::plan::{self, Plan};
use crate::postgres::migrate::{Acting, Given, Surroundings, Worker};
use crate::postgres::scratch::ScratchOrder;
use crate::postgres::{Observer, PgError, Step};
use crate::sql::File;
use crate::work::archive::{Archive, agree};
use crate::work::clock;
use crate::work::drill::{Place, programs, start};
use crate::work::failure::Failure;
use crate::work::restored::{Fleeting, Reaches, Scratch, room};

/// Everything that a rehearsal needs to know.
#[derive(Debug)]
pub struct Rehearsal {
    /// Where from.
    pub store: Arc<dyn ObjectStore>,
    /// What opens it.
    pub identities: Option<Arc<Identities>>,
    /// Folder of the backup.
    pub at: String,
    /// What is to be rehearsed.
    pub wanted: Wanted,
    /// Every file that there is: the ways back are among them.
    pub files: Vec<File>,
    /// Who migrates.
    pub login: Login,
    /// Rights that they are given in production.
    pub rights: Vec<Given>,
    /// When they were read.
    pub rights_at: jiff::Timestamp,
    /// What surrounds the statements in production; what is empty is not known.
    pub surroundings: Surroundings,
    /// As whom statements run.
    pub acting: Acting,
    /// In the rows of the scratch server's history.
    pub worker: Worker,
    /// Where the backup has no history: everything up to this version counts as applied.
    pub baseline: Option<String>,
    /// Whether Supabase's own history is written too.
    pub supabase: bool,
    /// The user's checks.
    pub checks: MigrationChecks,
    /// Settings of the scratch server.
    pub parameters: BTreeMap<String, String>,
    /// Locales that it needs besides those that the backup names.
    pub locales: Vec<String>,
    /// Its image, for the report.
    pub image: String,
    /// Where the server is.
    pub server: Place,
    /// Folder for the dump, and the server's data where it is made here.
    pub volume: PathBuf,
    /// Folder for service and password files.
    pub scratch: PathBuf,
    /// Where PostgreSQL's programs are looked for first.
    pub postgres_folders: Vec<PathBuf>,
}

/// What is to be rehearsed.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A plan that was made for production: it must fit the backup.
    Frozen(Plan),
    /// What the files ask of the backup.
    Asked(plan::Order),
}

/// Who migrates.
#[derive(Debug, Clone)]
pub struct Login {
    /// The role that logs in.
    pub name: String,
    /// It, and the roles that it is a member of, as they are on the server; what is empty stands in the backup.
    pub roles: Vec<Role>,
}

/// Rehearses.
///
/// # Errors
/// [`Failure`], where nobody can tell: it is inconclusive then.
pub async fn rehearse(rehearsal: &Rehearsal, observer: &dyn Observer) -> Result<Evidence, Failure> {
    let mut clock = Laps::begin();
    let store = rehearsal.store.as_ref();
    let archive = Archive::open(store, &rehearsal.at, rehearsal.identities.as_deref()).await?;
    archive.agrees()?;
    let major = archive.manifest.server.major;
    let tool = programs(&rehearsal.server, major, &rehearsal.postgres_folders).await?;
    clock.lap("open");
    observer.reached(Step::StartingServer).await;
    let database = &archive.manifest.server.database;
    let mut order = ScratchOrder::of(&archive.contents, &rehearsal.parameters)
        .in_database(&archive.contents, database)
        .maintained_as(&rehearsal.surroundings.settings);
    order.locales.extend(rehearsal.locales.iter().cloned());
    // What is written is written as in production (M22).
    order
        .settings
        .insert("wal_level".to_owned(), "replica".to_owned());
    order
        .settings
        .insert("full_page_writes".to_owned(), "on".to_owned());
    if rehearsal.login.name != order.superuser {
        order.application_role = Some(rehearsal.login.name.clone());
    }
    let place = (&rehearsal.server, rehearsal.volume.as_path());
    let (server, socket, refused) = start(place, &tool, &order, database).await?;
    clock.lap("server");
    let scratch = Scratch {
        socket,
        superuser: order.superuser,
        refused,
        tool,
        began: Instant::now(),
        reader: String::new(),
        // A migration may need what would be left out.
        reaches: Reaches::Nothing,
    };
    let outcome = match on(&scratch, rehearsal, &archive, &mut clock, observer).await {
        Err(failure) if failure.reason() == Reason::ConnectionLost => Err(scratch.gone(failure)),
        other => other,
    };
    server.leave().await?;
    outcome
}

/// What each part of it took.
#[derive(Debug)]
pub(super) struct Laps {
    started: Timestamp,
    last: Instant,
    phases: Vec<Phase>,
}

impl Laps {
    fn begin() -> Self {
        Self {
            started: clock::now(),
            last: Instant::now(),
            phases: Vec::new(),
        }
    }

    pub(super) fn lap(&mut self, name: &str) {
        self.phases.push(Phase {
            name: name.to_owned(),
            seconds: self.last.elapsed().as_secs_f64(),
        });
        self.last = Instant::now();
    }
}

/// On a server that answers.
async fn on(
    scratch: &Scratch,
    rehearsal: &Rehearsal,
    archive: &Archive,
    clock: &mut Laps,
    observer: &dyn Observer,
) -> Result<Evidence, Failure> {
    let (version, left) = scratch.look(archive).await?;
    if let Some(name) = left.first() {
        return Err(incomplete(format!(
            "the scratch server lacks the extension {name}, which the database has: what a statement would meet there is not known; \
             name an image that has it in spec.postgres.image of the RestoreDrill"
        )));
    }
    scratch.is_set_alike()?;
    room(&rehearsal.volume, archive)?;
    let store = rehearsal.store.as_ref();
    let identities = rehearsal.identities.clone();
    let fetched = archive.fetch(store, identities, &rehearsal.volume, observer);
    let fetched = fetched.await?;
    agree(&fetched.contradictions)?;
    clock.lap("fetch");
    let dump = Fleeting(&fetched.dump);
    let restored = scratch.restored(&rehearsal.scratch, archive, (&fetched, &left), observer);
    let (superuser, loaded) = restored.await?;
    drop(dump);
    if let Some(first) = loaded
        .errors
        .iter()
        .find(|e| e.error.judged != Verdict::Passed)
    {
        return Err(Failure::Postgres(PgError::never(
            first.reason,
            format!(
                "the backup could not be restored whole: {}: {}",
                first.error.entry, first.error.message
            ),
        )));
    }
    clock.lap("restore");
    let target = log_in(&superuser, &rehearsal.login.name, &rehearsal.login.roles).await?;
    let note = caught_up(&superuser, rehearsal, archive.manifest.data_at).await?;
    let stage = Stage {
        scratch,
        rehearsal,
        archive,
        superuser,
        target,
        observer,
    };
    let mut evidence = stage.blank(version, clock.started);
    evidence.notes.extend(note);
    stage.run(&mut evidence, clock).await?;
    evidence.phases = std::mem::take(&mut clock.phases);
    evidence.finished_at = clock::now();
    Ok(evidence)
}
