//! A backup in a scratch server: restored, read again, compared, asked (P10).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;

use super::archive::{Archive, Fetched};
use super::drill::{Phases, Plan};
use super::expected::{lies, not_restored, without_login};
use super::failure::Failure;
use super::proof::Facts;
use super::verdict::{self, Findings, Judgement};
use super::{random, sample, verify};
use crate::api::Reason;
use crate::api::restore_drill::{DrillMode, Verdict};
use crate::manifest::{CheckProof, Contents};
use crate::postgres::checks;
use crate::postgres::compare::{Comparison, Difference, NO_HASH, compare};
use crate::postgres::empty::look;
use crate::postgres::globals::roles_called;
use crate::postgres::judge::Judged;
use crate::postgres::load::{LoadOrder, Loaded, Roles, load, reaches_out};
use crate::postgres::money;
use crate::postgres::providers::{has_rows, leave_out, makes, provider_of};
use crate::postgres::scratch;
use crate::postgres::{LockPatience, Observer, PgDump, PgError, Step, Target, connect};

/// Sessions that load at the same time, at most.
const MAX_JOBS: usize = 4;
/// `application_name` of our sessions.
const NAME: &str = "lifeboat/drill";

/// What a dump says of the locale of its database.
const LOCALE: [&str; 4] = ["lc_collate", "lc_ctype", "locale_provider", "locale"];

/// A file that goes, however its use ends.
struct Fleeting<'a>(&'a std::path::Path);

impl Drop for Fleeting<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}

/// A scratch server that answers.
pub(super) struct Scratch {
    pub(super) socket: PathBuf,
    pub(super) superuser: String,
    pub(super) tool: PgDump,
    pub(super) began: Instant,
}

impl Scratch {
    fn target(&self, dbname: &str) -> Target {
        scratch::target(&self.socket, &self.superuser, dbname)
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

    /// Fetches, restores, compares, asks.
    ///
    /// # Errors
    /// [`Failure`], where nobody can tell.
    pub(super) async fn judged(
        &self,
        plan: &Plan,
        archive: &Archive,
        facts: &mut Facts,
        clock: &mut Phases,
        observer: &dyn Observer,
    ) -> Result<Judgement, Failure> {
        let (version, left) = self.look(archive).await?;
        facts.server(version, &plan.image);
        room(&plan.volume, archive)?;
        let store = plan.store.as_ref();
        let fetched = archive
            .fetch(store, plan.identities.clone(), &plan.volume, observer)
            .await?;
        let examined = self
            .examined(plan, archive, (&fetched, &left), facts, clock, observer)
            .await;
        match examined {
            // What a server made of a backup that contradicts itself explains nothing.
            Err(_) if !fetched.contradictions.is_empty() => {
                let comparison = Comparison {
                    differences: lies(&fetched).collect(),
                    ..Comparison::default()
                };
                let judgement = verdict::judge(&Findings {
                    compare: &plan.compare,
                    errors: &[],
                    comparison: &comparison,
                    contradicts: true,
                    checks: &[],
                    minimum_score: plan.minimum_score,
                });
                facts.found(&archive.contents, comparison, Vec::new());
                Ok(Judgement {
                    score: Some(0),
                    parts: Vec::new(),
                    ..judgement
                })
            }
            examined => examined,
        }
    }

    /// Restores, compares, asks.
    async fn examined(
        &self,
        plan: &Plan,
        archive: &Archive,
        (fetched, left): (&Fetched, &BTreeSet<String>),
        facts: &mut Facts,
        clock: &mut Phases,
        observer: &dyn Observer,
    ) -> Result<Judgement, Failure> {
        // The dump in a file is of no use to anybody else.
        let dump = Fleeting(&fetched.dump);
        clock.lap("fetch");
        let name = archive.manifest.server.database.clone();
        self.create(fetched, &name).await?;
        let target = self.target(&name);
        let loaded = self
            .load(plan, archive, fetched, (&target, left), observer)
            .await?;
        // Room may be short.
        drop(dump);
        clock.adopt(loaded.phases.clone());
        facts.rto = Some(self.began.elapsed().as_secs_f64());
        let blocked = loaded
            .errors
            .iter()
            .any(|e| e.error.judged == Verdict::Inconclusive);
        let mut comparison = match blocked {
            true => Comparison::default(),
            false => {
                self.compare(plan, archive, &loaded, (&target, left), observer)
                    .await?
            }
        };
        // What the parts of the backup say against each other, no server is needed to know.
        comparison.differences.extend(lies(fetched));
        let comparison = verdict::asked_for(comparison, &plan.compare);
        clock.lap("verify");
        observer.reached(Step::Checking).await;
        facts.checks = match blocked {
            true => Vec::new(),
            false => self.ask(plan, &target, archive.manifest.data_at).await?,
        };
        clock.lap("checks");
        if plan.mode == DrillMode::Disaster {
            facts.rto = Some(self.began.elapsed().as_secs_f64());
        }
        let judgement = verdict::judge(&Findings {
            compare: &plan.compare,
            errors: &loaded.errors,
            comparison: &comparison,
            contradicts: !fetched.contradictions.is_empty(),
            checks: &facts.checks,
            minimum_score: plan.minimum_score,
        });
        facts.found(&archive.contents, comparison, loaded.errors);
        Ok(judgement)
    }

    /// Its version, and whether it has the extensions (P10: a missing one is no fault of the backup). Answers those that
    /// only their provider has and that hold nothing: they are left out (G18).
    async fn look(&self, archive: &Archive) -> Result<(String, BTreeSet<String>), Failure> {
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

    async fn create(&self, fetched: &Fetched, name: &str) -> Result<(), Failure> {
        let entry = fetched.toc.entries.iter().find(|e| e.desc == "DATABASE");
        let sql = entry.and_then(|e| e.sql.as_deref()).ok_or_else(|| {
            Failure::Postgres(PgError::never(
                Reason::BackupDamaged,
                "the dump does not say how its database was made",
            ))
        })?;
        Ok(scratch::create_database(&self.socket, &self.superuser, name, sql).await?)
    }

    async fn load(
        &self,
        plan: &Plan,
        archive: &Archive,
        fetched: &Fetched,
        (target, left): (&Target, &BTreeSet<String>),
        observer: &dyn Observer,
    ) -> Result<Loaded, Failure> {
        let program = self.tool.beside("pg_restore").ok_or_else(|| {
            Failure::Postgres(PgError::never(
                Reason::ToolsMissing,
                format!("there is no pg_restore beside {}", self.tool.path.display()),
            ))
        })?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let log = scratch::log_of(&self.socket);
        let entries = fetched.toc.entries.iter();
        let left_out = entries
            .filter(|e| reaches_out(&e.desc, &e.tag) || makes(left, &e.desc, &e.tag))
            .map(|e| e.dump_id)
            .collect();
        let order = LoadOrder {
            target,
            program,
            major: self.tool.major,
            dump: &fetched.dump,
            toc: &fetched.toc,
            globals: &fetched.globals,
            roles: Roles::NoLogin,
            left_out,
            jobs: cores.min(MAX_JOBS),
            rows: archive.manifest.counts.rows,
            scratch: &plan.scratch,
            application_name: NAME,
            log: Some(&log),
            collation_differs: self.collation_differs(archive, target).await?,
            of_extensions: archive.contents.of_extensions(),
        };
        let mut loaded = load(&order, observer).await?;
        if !left.is_empty() {
            // It may hang on an extension that was left out: then nobody can tell here.
            loaded.errors = loaded.errors.into_iter().map(may_hang_on_it).collect();
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

    /// Reads everything again as it was read at the dump, and compares.
    async fn compare(
        &self,
        plan: &Plan,
        archive: &Archive,
        loaded: &Loaded,
        (target, left): (&Target, &BTreeSet<String>),
        observer: &dyn Observer,
    ) -> Result<Comparison, Failure> {
        let subject = verify::Subject {
            target: target.clone(),
            scratch: plan.scratch.clone(),
            postgres_folders: vec![self.tool.folder()],
            patience: LockPatience::default(),
            application_name: NAME.to_owned(),
        };
        let mut expected = archive.contents.clone();
        let sampled = sample::draw(&mut expected, &plan.compare, plan.choice.due);
        let mut found = verify::observe(&subject, &expected, observer).await?;
        let names: Vec<String> = expected.roles.iter().map(|r| r.name.clone()).collect();
        found.roles = roles_called(target, NAME, &names).await?;
        let mut notes = Vec::new();
        leave_out(&mut expected, left);
        notes.extend(left.iter().map(|name| {
            let provider = provider_of(name).unwrap_or("its provider");
            format!("extension {name}: only {provider} has it; it holds no rows, and was left out")
        }));
        not_restored(&mut expected, loaded, &mut notes);
        without_login(&mut expected);
        without_login(&mut found);
        let mut comparison = compare(&expected, &found);
        if let Some(sampled) = sampled {
            comparison.not_compared.retain(|w| !w.ends_with(NO_HASH));
            comparison.not_compared.push(sampled);
        }
        // The dump itself made this database, so its locale is not the server's choice.
        let lies = LOCALE.iter().filter_map(|name| {
            let text = |contents: &Contents| {
                let value = contents.settings.get(*name);
                value.map_or("none", String::as_str).to_owned()
            };
            let (expected, found) = (text(&archive.contents), text(&found));
            (expected != found).then(|| Difference {
                what: "contents.json".to_owned(),
                object: (*name).to_owned(),
                expected,
                found,
            })
        });
        comparison.differences.extend(lies);
        comparison.notes.extend(notes);
        Ok(comparison)
    }

    /// The user's checks, as the application where it is a disaster.
    async fn ask(
        &self,
        plan: &Plan,
        target: &Target,
        dump_time: Timestamp,
    ) -> Result<Vec<CheckProof>, Failure> {
        if plan.checks.is_empty() && plan.application_role.is_none() {
            return Ok(Vec::new());
        }
        let mut target = target.clone();
        let secret: [u8; 16] = random::bytes().map_err(|e| Failure::Internal(e.to_string()))?;
        let password: String = secret.iter().map(|b| format!("{b:02x}")).collect();
        if plan.application_role.is_none() {
            // Not the superuser: a check that COPYs to a program would run it.
            let reader = format!("lifeboat_{password}");
            scratch::make_reader(&target, &reader).await?;
            target.user = reader;
        }
        if let Some(role) = &plan.application_role {
            scratch::allow_login(&target, role, &password).await?;
            target.user.clone_from(role);
            target.password = Some(password.into());
            // That it can log in at all is the first thing to know.
            connect(&target, NAME).await?;
        }
        Ok(checks::ask(&target, &plan.checks, dump_time, plan.check_timeout).await)
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

/// Whether the dump itself can lie in the volume; whether the database can, the load will show.
fn room(volume: &std::path::Path, archive: &Archive) -> Result<(), Failure> {
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
