//! A drill: a backup is restored into a scratch server and everything in it is compared (P9, P10).
//!
//! ```text
//! pick ─► manifest, contents ─► scratch server ─► extensions there? ─► fetch, every digest ─► database
//!   ─► roles, definitions, properties, data, indexes, ANALYZE ─► read again, compare ─► checks ─► verdict ─► proof
//! ```
//!
//! What goes wrong before there is a backup to speak of is a [`Failure`]; everything after is a [`Proof`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::archive::{Archive, Fetched};
use super::failure::Failure;
use super::pick::{Choice, pick};
use super::proof::{Facts, proof};
use super::verdict::{self, Findings, Judgement};
use super::{checks, clock, random, verify};
use crate::api::Reason;
use crate::api::restore_drill::{Check, Compare, DrillMode, Verdict};
use crate::codec::Identities;
use crate::manifest::{Contents, Objective, Phase, Proof};
use crate::objects::ObjectStore;
use crate::postgres::compare::{Comparison, Difference, compare};
use crate::postgres::globals::roles_called;
use crate::postgres::load::{LoadOrder, Loaded, Roles, load, reaches_out};
use crate::postgres::scratch::{self, ScratchOrder, ScratchServer};
use crate::postgres::{LockPatience, Observer, PgDump, PgError, Step, Target, connect};

/// Sessions that load at the same time, at most.
const MAX_JOBS: usize = 4;
/// Until the source must have answered to count as reachable.
const REACH: Duration = Duration::from_secs(3);
/// `application_name` of our sessions.
const NAME: &str = "lifeboat/drill";

/// Everything a drill needs to know.
#[derive(Debug)]
pub struct Plan {
    /// Where from.
    pub store: Arc<dyn ObjectStore>,
    /// What opens it.
    pub identities: Option<Arc<Identities>>,
    /// Which backup.
    pub choice: Choice,
    /// Name of this run.
    pub run: String,
    /// Name of the RestoreDrill; empty from the command line.
    pub drill: String,
    /// Its namespace; empty from the command line.
    pub namespace: String,
    /// How much of a disaster is played.
    pub mode: DrillMode,
    /// What is compared.
    pub compare: Compare,
    /// Role that logs in and runs the checks.
    pub application_role: Option<String>,
    /// The user's own checks.
    pub checks: Vec<Check>,
    /// The drill fails below this score.
    pub minimum_score: i32,
    /// Settings of the scratch server.
    pub parameters: BTreeMap<String, String>,
    /// Its image, for the report.
    pub image: String,
    /// What the policy promises for the time to restore.
    pub rto_objective: Option<Duration>,
    /// What the policy promises for the age of the data.
    pub rpo_objective: Option<Duration>,
    /// Where the source is said to be (G30).
    pub source: Option<(String, u16)>,
    /// Where the server is.
    pub server: Place,
    /// Folder for the dump, and the server's data where it is made here.
    pub volume: PathBuf,
    /// Folder for service and password files.
    pub scratch: PathBuf,
    /// Where PostgreSQL's programs are looked for first.
    pub postgres_folders: Vec<PathBuf>,
}

/// Where the scratch server is.
#[derive(Debug, Clone)]
pub enum Place {
    /// Started by this process; its socket goes into this folder.
    Here(PathBuf),
    /// In the container beside, which waits for an order in this folder.
    Beside(PathBuf),
}

/// A drill that came to a backup.
#[derive(Debug)]
pub struct Drilled {
    /// What it found.
    pub proof: Proof,
    /// Whether the source could be reached from here; absent: not tried.
    pub isolated: Option<bool>,
    /// Folder of the backup.
    pub at: String,
    /// Major of the backup's server, where the programs here are of another: the next try takes it (K20).
    pub wrong_major: Option<i32>,
}

/// Drills.
///
/// # Errors
/// [`Failure`], where no backup could be opened.
pub async fn run(plan: &Plan, observer: &dyn Observer) -> Result<Drilled, Failure> {
    let mut clock = Phases::begin(plan.choice.decided_at);
    let at = pick(plan.store.as_ref(), &plan.choice).await?;
    let isolated = is_isolated(plan.source.as_ref()).await;
    let (manifest, manifest_sha256) = super::archive::manifest(plan.store.as_ref(), &at).await?;
    let mut facts = Facts::new(plan, &at, &manifest, manifest_sha256, clock.started);
    let mut wrong_major = None;
    let judgement = match restored(plan, &at, &mut facts, &mut clock, observer).await {
        Ok(judgement) => judgement,
        Err(failure) => {
            wrong_major = failure
                .found_major()
                .filter(|_| failure.reason() == Reason::WrongMajor);
            could_not_tell(&failure)
        }
    };
    facts.phases = clock.phases;
    facts.rto = facts.rto.take().map(|seconds| seconds + clock.before);
    let mut proof = proof(facts, judgement, clock::now());
    proof.rto = proof.rto.map(|rto| met(rto.seconds, plan.rto_objective));
    proof.rpo = proof.rpo.map(|rpo| met(rpo.seconds, plan.rpo_objective));
    Ok(Drilled {
        proof,
        isolated,
        at,
        wrong_major,
    })
}

fn met(seconds: f64, objective: Option<Duration>) -> Objective {
    Objective {
        seconds,
        objective_seconds: objective.map(|o| o.as_secs()),
        met: objective.map(|o| seconds <= o.as_secs_f64()),
    }
}

/// A failure on the way: the backup's fault only where it is damaged (P10).
fn could_not_tell(failure: &Failure) -> Judgement {
    let (result, score) = match failure.reason() {
        Reason::BackupDamaged | Reason::DumpIncomplete => (Verdict::Failed, Some(0)),
        _ => (Verdict::Inconclusive, None),
    };
    Judgement {
        result,
        reason: failure.reason(),
        message: failure.to_string(),
        proves: false,
        score,
        parts: Vec::new(),
    }
}

/// The clock of a drill: what each part of it took.
#[derive(Debug)]
struct Phases {
    started: Timestamp,
    /// Seconds from the decision to the start of this process.
    before: f64,
    last: Instant,
    phases: Vec<Phase>,
}

impl Phases {
    fn begin(decided_at: Timestamp) -> Self {
        let started = clock::now();
        let before = started.duration_since(decided_at).as_secs_f64().max(0.0);
        Self {
            started,
            before,
            last: Instant::now(),
            phases: vec![Phase {
                name: "schedule".to_owned(),
                seconds: before,
            }],
        }
    }

    fn lap(&mut self, name: &str) {
        self.phases.push(Phase {
            name: name.to_owned(),
            seconds: self.last.elapsed().as_secs_f64(),
        });
        self.last = Instant::now();
    }

    fn adopt(&mut self, phases: Vec<Phase>) {
        self.phases.extend(phases);
        self.last = Instant::now();
    }
}

/// From a backup to a judgement; the server is gone afterwards, whatever happened.
async fn restored(
    plan: &Plan,
    at: &str,
    facts: &mut Facts,
    clock: &mut Phases,
    observer: &dyn Observer,
) -> Result<Judgement, Failure> {
    let began = Instant::now();
    let archive = Archive::open(plan.store.as_ref(), at, plan.identities.as_deref()).await?;
    facts.open(&archive);
    let tool = PgDump::find(archive.manifest.server.major, &plan.postgres_folders).await?;
    clock.lap("open");
    observer.reached(Step::StartingServer).await;
    let mut order = ScratchOrder::of(&archive.contents, &plan.parameters);
    order.application_role = plan.application_role.clone();
    let (server, socket) = start(plan, &tool, &order).await?;
    clock.lap("server");
    let scratch = Scratch {
        socket,
        superuser: order.superuser,
        tool,
        began,
    };
    let judged = scratch.judged(plan, &archive, facts, clock, observer).await;
    let outcome = match judged {
        Err(failure) if failure.reason() == Reason::ConnectionLost => Err(scratch.gone(failure)),
        other => other,
    };
    if let Some(server) = server {
        server.stop().await;
    }
    outcome
}

async fn start(
    plan: &Plan,
    tool: &PgDump,
    order: &ScratchOrder,
) -> Result<(Option<ScratchServer>, PathBuf), Failure> {
    match &plan.server {
        Place::Here(socket) => {
            let server = ScratchServer::start(&tool.folder(), order, &plan.volume, socket).await?;
            Ok((Some(server), socket.clone()))
        }
        Place::Beside(folder) => {
            super::beside::order(folder, order).await?;
            Ok((None, folder.clone()))
        }
    }
}

/// A scratch server that answers.
struct Scratch {
    socket: PathBuf,
    superuser: String,
    tool: PgDump,
    began: Instant,
}

impl Scratch {
    fn target(&self, dbname: &str) -> Target {
        scratch::target(&self.socket, &self.superuser, dbname)
    }

    /// The connection to a server that only we use was lost: its own words say why.
    fn gone(&self, failure: Failure) -> Failure {
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

    async fn judged(
        &self,
        plan: &Plan,
        archive: &Archive,
        facts: &mut Facts,
        clock: &mut Phases,
        observer: &dyn Observer,
    ) -> Result<Judgement, Failure> {
        facts.server(self.look(archive).await?, &plan.image);
        room(&plan.volume, archive)?;
        let store = plan.store.as_ref();
        let fetched = archive
            .fetch(store, plan.identities.clone(), &plan.volume, observer)
            .await?;
        clock.lap("fetch");
        let name = archive.manifest.server.database.clone();
        self.create(&fetched, &name).await?;
        let target = self.target(&name);
        let loaded = self
            .load(plan, archive, &fetched, &target, observer)
            .await?;
        // The dump is of no use any more, and room may be short.
        let _ = std::fs::remove_file(&fetched.dump);
        clock.adopt(loaded.phases.clone());
        facts.rto = Some(self.began.elapsed().as_secs_f64());
        let blocked = loaded
            .errors
            .iter()
            .any(|e| e.error.judged == Verdict::Inconclusive);
        let comparison = match blocked {
            true => Comparison::default(),
            false => {
                self.compare(plan, archive, &fetched, &loaded, &target, observer)
                    .await?
            }
        };
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
            checks: &facts.checks,
            minimum_score: plan.minimum_score,
        });
        facts.found(&archive.contents, comparison, loaded.errors);
        Ok(judgement)
    }

    /// Its version, and whether it has the extensions (P10: a missing one is no fault of the backup).
    async fn look(&self, archive: &Archive) -> Result<String, Failure> {
        let session = connect(&self.target("template1"), NAME).await?;
        let failed = |e: tokio_postgres::Error| PgError::query("look at the scratch server", &e);
        let rows = session
            .client
            .query(
                "SELECT name::text FROM pg_catalog.pg_available_extensions",
                &[],
            )
            .await
            .map_err(failed)?;
        let there: Result<BTreeSet<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        let there = there.map_err(failed)?;
        let wanted = archive
            .contents
            .extensions
            .iter()
            .map(|(name, _)| name.as_str());
        let missing: Vec<&str> = wanted.filter(|name| !there.contains(*name)).collect();
        if !missing.is_empty() {
            return Err(Failure::Postgres(PgError::never(
                Reason::ExtensionMissing,
                format!(
                    "the scratch server lacks the extensions of the database: {}; name an image that has them in spec.postgres.image",
                    missing.join(", ")
                ),
            )));
        }
        let row = session
            .client
            .query_one("SELECT pg_catalog.current_setting('server_version')", &[])
            .await
            .map_err(failed)?;
        Ok(row.try_get(0).map_err(failed)?)
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
        target: &Target,
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
        let order = LoadOrder {
            target,
            program,
            major: self.tool.major,
            dump: &fetched.dump,
            toc: &fetched.toc,
            globals: &fetched.globals,
            roles: Roles::NoLogin,
            left_out: reaches_out,
            jobs: cores.min(MAX_JOBS),
            rows: archive.manifest.counts.rows,
            scratch: &plan.scratch,
            application_name: NAME,
            log: Some(&log),
            collation_differs: self.collation_differs(archive, target).await?,
        };
        Ok(load(&order, observer).await?)
    }

    async fn collation_differs(&self, archive: &Archive, target: &Target) -> Result<bool, Failure> {
        let Some(was) = archive.contents.settings.get("collation_version") else {
            return Ok(false);
        };
        let session = connect(target, NAME).await?;
        let sql = "SELECT pg_catalog.to_jsonb(d) ->> 'datcollversion' FROM pg_catalog.pg_database d WHERE datname = pg_catalog.current_database()";
        let row = session.client.query_one(sql, &[]).await;
        let is: Option<String> = row
            .and_then(|row| row.try_get(0))
            .map_err(|e| PgError::query("read the collation version", &e))?;
        Ok(is.as_ref().is_some_and(|is| is != was))
    }

    /// Reads everything again as it was read at the dump, and compares.
    async fn compare(
        &self,
        plan: &Plan,
        archive: &Archive,
        fetched: &Fetched,
        loaded: &Loaded,
        target: &Target,
        observer: &dyn Observer,
    ) -> Result<Comparison, Failure> {
        let subject = verify::Subject {
            target: target.clone(),
            scratch: plan.scratch.clone(),
            postgres_folders: vec![self.tool.folder()],
            patience: LockPatience::default(),
            application_name: NAME.to_owned(),
        };
        let mut found = verify::observe(&subject, &archive.contents, observer).await?;
        let mut expected = archive.contents.clone();
        let names: Vec<String> = expected.roles.iter().map(|r| r.name.clone()).collect();
        let session = connect(target, NAME).await?;
        // As the coordinator of the backup read them (G14).
        let settings = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET search_path = ''";
        let set = session.client.batch_execute(settings).await;
        set.map_err(|e| PgError::query("set up a session", &e))?;
        found.roles = roles_called(&session.client, &names).await?;
        let mut notes = Vec::new();
        not_restored(&mut expected, loaded, &mut notes);
        without_login(&mut expected);
        without_login(&mut found);
        let mut comparison = compare(&expected, &found);
        for lie in &fetched.contradictions {
            comparison.differences.push(Difference {
                what: lie.what.clone(),
                object: lie.object.clone(),
                expected: lie.expected.clone(),
                found: lie.found.clone(),
            });
        }
        comparison.notes.extend(notes);
        Ok(verdict::asked_for(comparison, &plan.compare))
    }

    /// The user's checks, as the application where it is a disaster.
    async fn ask(
        &self,
        plan: &Plan,
        target: &Target,
        dump_time: Timestamp,
    ) -> Result<Vec<crate::manifest::CheckProof>, Failure> {
        let mut target = target.clone();
        if let Some(role) = &plan.application_role {
            let secret: [u8; 16] = random::bytes().map_err(|e| Failure::Internal(e.to_string()))?;
            let password: String = secret.iter().map(|b| format!("{b:02x}")).collect();
            scratch::allow_login(&target, role, &password).await?;
            target.user.clone_from(role);
            target.password = Some(password.into());
            // That it can log in at all is the first thing to know.
            connect(&target, NAME).await?;
        }
        Ok(checks::ask(&target, &plan.checks, dump_time).await)
    }
}

/// Takes out of what is expected what a drill does not restore: the dump's text of it was compared already (G30), and
/// what only a foreign server could fill (G26).
fn not_restored(expected: &mut Contents, loaded: &Loaded, notes: &mut Vec<String>) {
    let before = expected.entries.len();
    expected.entries.retain(|e| !reaches_out(&e.desc, &e.tag));
    if expected.entries.len() < before {
        notes.push(format!(
            "{} subscriptions and user mappings are compared as text and not restored: they would reach other servers",
            before - expected.entries.len()
        ));
    }
    for error in loaded
        .errors
        .iter()
        .filter(|e| e.error.judged == Verdict::Passed)
    {
        let text = &error.error.entry;
        // By its entry, or by the statement where sessions ran beside each other.
        let refresh = |e: &crate::manifest::SchemaEntry| {
            let name = format!("{}.{}", e.namespace.display(), e.tag.display());
            let plain = text.replace('"', "");
            e.desc == "MATERIALIZED VIEW DATA" && plain.ends_with(&format!(" {name}"))
        };
        if expected.entries.iter().any(refresh) {
            expected.entries.retain(|e| !refresh(e));
            notes.push(format!(
                "{text}: not refreshed, because that needs a foreign server"
            ));
        }
    }
}

/// In a scratch server nobody logs in (G17).
fn without_login(contents: &mut Contents) {
    let statements = contents
        .roles
        .iter_mut()
        .flat_map(|role| &mut role.statements);
    for statement in statements.filter(|s| s.starts_with("ALTER ROLE ") && s.contains("INHERIT ")) {
        let head = statement
            .strip_suffix(" NOLOGIN")
            .or_else(|| statement.strip_suffix(" LOGIN"));
        if let Some(head) = head {
            *statement = head.to_owned();
        }
    }
}

/// Whether the source cannot be reached from here (G30); not tried where nobody knows where it is.
async fn is_isolated(source: Option<&(String, u16)>) -> Option<bool> {
    let (host, port) = source?;
    let reach = tokio::net::TcpStream::connect((host.as_str(), *port));
    let reached = tokio::time::timeout(REACH, reach).await;
    Some(!reached.is_ok_and(|stream| stream.is_ok()))
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
