//! A scratch server with a backup in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::archive::{Archive, Fetched};
use super::failure::Failure;
use super::kept_away::KeptAway;
use super::verify;
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::manifest::Contents;
use crate::postgres::empty::look;
use crate::postgres::judge::Judged;
use crate::postgres::load::{LoadOrder, Loaded, Roles, load, reaches_out};
use crate::postgres::money;
use crate::postgres::providers::{has_rows, makes, provider_of};
use crate::postgres::scratch::{self, Refused};
use crate::postgres::{LockPatience, Observer, PgError, Programs, Target, connect};

/// Sessions that load at the same time, at most.
const MAX_JOBS: usize = 4;
/// `application_name` of our sessions.
pub(super) const NAME: &str = "lifeboat/drill";

/// A file that goes, however its use ends.
pub(super) struct Fleeting<'a>(pub(super) &'a Path);

impl Drop for Fleeting<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}

/// Which other servers a scratch server can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaches {
    /// None; or it is not ours to say, as in a cluster.
    Nothing,
    /// Those that this machine reaches, because it could not be cut off: what would reach for them is not restored (P9).
    Unwanted,
    /// The same, and that was asked for.
    Allowed,
}

/// A scratch server that answers.
pub(super) struct Scratch {
    pub(super) socket: PathBuf,
    pub(super) superuser: String,
    /// Settings of the source that it runs without.
    pub(super) refused: Vec<Refused>,
    pub(super) tool: Programs,
    pub(super) began: Instant,
    /// The role that asks the checks, which the server lets in.
    pub(super) reader: String,
    pub(super) reaches: Reaches,
}

impl Scratch {
    pub(super) fn target(&self, dbname: &str) -> Target {
        scratch::target(&self.socket, &self.superuser, dbname)
    }

    /// That it is set as the source was, but for locales: what hangs on those says so by itself, and what hangs on a time zone
    /// may be another value without an error (G14).
    pub(super) fn is_set_alike(&self) -> Result<(), Failure> {
        let Some(first) = self.refused.iter().find(|r| !r.is_locale()) else {
            return Ok(());
        };
        let reason = match first.why.contains("unrecognized configuration parameter") {
            true => Reason::ExtensionMissing,
            false => Reason::LocaleMissing,
        };
        let text = format!(
            "{}; name an image that has it in spec.postgres.image, or another value in spec.postgres.parameters",
            first.sentence()
        );
        Err(Failure::Postgres(PgError::never(reason, text)))
    }

    /// The connection to a server that only we use was lost: its own words say why.
    pub(super) fn gone(&self, failure: Failure) -> Failure {
        let log = std::fs::read(scratch::log_of(&self.socket)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let reason = match log.contains("No space left") {
            true => Reason::NoRoom,
            false => Reason::ServerFailed,
        };
        let last: String = log.lines().rev().take(3).collect::<Vec<_>>().join("; ");
        Failure::Postgres(PgError::later(
            reason,
            format!("the scratch server went away: {failure}; its last words: {last}"),
        ))
    }

    /// The database as it was, in the server.
    pub(super) async fn restored(
        &self,
        scratch: &Path,
        archive: &Archive,
        (fetched, left): (&Fetched, &BTreeSet<String>),
        observer: &dyn Observer,
    ) -> Result<(Target, Loaded), Failure> {
        let name = archive.manifest.server.database.clone();
        self.create(fetched, &name).await?;
        let target = self.target(&name);
        let loaded = self
            .load(scratch, archive, fetched, (&target, left), observer)
            .await?;
        Ok((target, loaded))
    }

    /// Its version, and whether it has the extensions (P10: a missing one is no fault of the backup). Answers those that
    /// only their provider has and that hold nothing: they are left out (G18).
    pub(super) async fn look(
        &self,
        archive: &Archive,
    ) -> Result<(String, BTreeSet<String>), Failure> {
        let empty = look(&self.target("template1"), NAME).await?;
        let (left, missing): (Vec<&str>, Vec<&str>) = empty
            .lacks(&archive.contents)
            .into_iter()
            .partition(|name| provider_of(name).is_some() && !has_rows(&archive.contents, name));
        if missing.is_empty() {
            let left = left.into_iter().map(str::to_owned).collect();
            return Ok((empty.version, left));
        }
        Err(Failure::Postgres(PgError::never(
            Reason::ExtensionMissing,
            format!(
                "the scratch server lacks the extensions of the database: {}; name an image that has them in spec.postgres.image",
                missing.join(", ")
            ),
        )))
    }

    pub(super) async fn create(&self, fetched: &Fetched, name: &str) -> Result<(), Failure> {
        let entry = fetched.toc.entries.iter().find(|e| e.desc == "DATABASE");
        let sql = entry.map(|e| e.definition.display()).ok_or_else(|| {
            Failure::Postgres(PgError::never(
                Reason::BackupDamaged,
                "the dump does not say how its database was made",
            ))
        })?;
        Ok(scratch::create_database(&self.socket, &self.superuser, name, &sql).await?)
    }

    async fn load(
        &self,
        scratch: &Path,
        archive: &Archive,
        fetched: &Fetched,
        (target, left): (&Target, &BTreeSet<String>),
        observer: &dyn Observer,
    ) -> Result<Loaded, Failure> {
        let program = self.tool.client("pg_restore").await?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let log = scratch::log_of(&self.socket);
        let away = self.kept_away(archive);
        let left_out = self.left_out(archive, fetched, left);
        let order = LoadOrder {
            target,
            program,
            major: self.tool.major,
            dump: &fetched.dump,
            toc: &fetched.toc,
            globals: &fetched.globals,
            roles: Roles::Scratch,
            left_out,
            jobs: cores.min(MAX_JOBS),
            rows: archive.manifest.counts.rows,
            scratch,
            application_name: NAME,
            log: Some(&log),
            collation_differs: self.collation_differs(archive, target).await?,
            contents: &archive.contents,
        };
        let mut loaded = load(&order, observer).await?;
        if !left.is_empty() {
            // It may hang on an extension that was left out: then nobody can tell here.
            loaded.errors = loaded.errors.into_iter().map(may_hang_on_it).collect();
        }
        loaded.errors = loaded.errors.into_iter().map(with_cure).collect();
        if away.servers() {
            // It may hang on a foreign table that was left out.
            loaded.errors = loaded.errors.into_iter().map(may_need_a_server).collect();
        }
        // Money read in another locale may be another amount, or an error that is no fault of the backup (G14).
        let session = connect(target, NAME).await?;
        money::loaded_alike(&session.client, &archive.contents).await?;
        Ok(loaded)
    }

    async fn collation_differs(&self, archive: &Archive, target: &Target) -> Result<bool, Failure> {
        let is = look(target, NAME).await?.collation_version;
        let was = archive.contents.settings.get("collation_version");
        Ok(was.is_some_and(|was| is.is_some_and(|is| is != *was)))
    }

    /// What would reach another server from here.
    fn kept_away(&self, archive: &Archive) -> KeptAway {
        match self.reaches {
            Reaches::Unwanted => KeptAway::of(&archive.contents),
            Reaches::Nothing | Reaches::Allowed => KeptAway::default(),
        }
    }

    /// Entries that are not restored, by their number in the dump.
    pub(super) fn left_out(
        &self,
        archive: &Archive,
        fetched: &Fetched,
        left: &BTreeSet<String>,
    ) -> BTreeSet<i64> {
        let away = self.kept_away(archive);
        let entries = fetched.toc.entries.iter().filter(|e| {
            let reaches = reaches_out(&e.desc, &e.tag) || away.has(&e.desc, &e.namespace, &e.tag);
            reaches || makes(left, &e.desc, &e.tag)
        });
        entries.map(|e| e.dump_id).collect()
    }

    /// Everything that is there now, recorded as it was at the dump.
    pub(super) async fn observe(
        &self,
        scratch: &Path,
        target: &Target,
        recorded: &Contents,
        observer: &dyn Observer,
    ) -> Result<Contents, Failure> {
        let subject = verify::Subject {
            target: target.clone(),
            scratch: scratch.to_owned(),
            postgres_folders: self.tool.folders.clone(),
            patience: LockPatience::default(),
            application_name: NAME.to_owned(),
        };
        verify::observe(&subject, recorded, observer).await
    }
}

/// An error in a server that lacks an extension which the backup has.
fn may_hang_on_it(mut error: Judged) -> Judged {
    if error.error.judged == Verdict::Failed {
        error.error.judged = Verdict::Inconclusive;
        error.reason = Reason::ExtensionMissing;
    }
    error
}

/// A name without a schema that was not found: a dump writes none such itself, but functions do, which run where rows are
/// checked, indexed and made.
fn with_cure(mut error: Judged) -> Judged {
    let said = &mut error.error;
    let missing = |text: &str| {
        let name = text.split_once(" does not exist").map(|(name, _)| name);
        let name = name.and_then(|name| name.split('(').next());
        let kinds = ["function ", "relation ", "type "];
        name.is_some_and(|n| !n.contains('.') && kinds.iter().any(|kind| n.starts_with(kind)))
    };
    let text = said
        .message
        .split_once("ERROR: ")
        .map_or("", |(_, text)| text);
    if said.judged == Verdict::Failed && missing(text.trim_start()) {
        said.message.push_str(
            "; a function that names it without a schema finds it in no restore: in the source qualify the names in its body, or ALTER FUNCTION … SET search_path",
        );
    }
    error
}

/// An error in a server without the foreign servers that the backup has.
fn may_need_a_server(mut error: Judged) -> Judged {
    if error.error.judged == Verdict::Failed {
        error.error.judged = Verdict::Inconclusive;
        error.reason = Reason::NotIsolated;
    }
    error
}

/// Whether the dump itself can lie in the volume; whether the database can, the load will show.
pub(super) fn room(volume: &Path, archive: &Archive) -> Result<(), Failure> {
    let Ok(stat) = rustix::fs::statvfs(volume) else {
        return Ok(());
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let needed = u64::try_from(archive.dump_bytes()).unwrap_or_default();
    if free >= needed {
        return Ok(());
    }
    Err(Failure::Postgres(PgError::never(
        Reason::NoRoom,
        format!(
            "the volume has {} free and the dump alone has {}: give more in spec.postgres.storage.size",
            super::human::bytes(free),
            super::human::bytes(needed)
        ),
    )))
}
