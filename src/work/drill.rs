//! A drill: a backup is restored into a scratch server and everything in it is compared (P9, P10).
//!
//! ```text
//! pick ─► manifest, contents ─► scratch server ─► extensions there? ─► fetch, every digest ─► database
//!   ─► roles, definitions, properties, data, indexes, ANALYZE ─► read again, compare ─► checks ─► verdict ─► proof
//! ```
//!
//! What goes wrong before there is a backup to speak of is a [`Failure`]; everything after is a [`Proof`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::archive::Archive;
use super::break_glass::BreakGlassOrder;
use super::failure::Failure;
use super::pick::{Choice, pick};
use super::proof::{Facts, proof};
use super::restored::{Reaches, Scratch};
use super::verdict::{self, Judgement};
use super::{clock, random};
use crate::api::Reason;
use crate::api::restore_drill::{Check, Compare, DrillMode, Verdict};
use crate::codec::Identities;
use crate::manifest::{Objective, Phase, Proof, Source};
use crate::objects::ObjectStore;
use crate::postgres::running::Running;
use crate::postgres::scratch::{Network, Refused, ScratchOrder, ScratchServer};
use crate::postgres::{Observer, PgError, Programs, Step};

/// Until the source must have answered to count as reachable.
const REACH: Duration = Duration::from_secs(3);

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
    /// Until each of them must have answered; usually [`super::checks::TIMEOUT`].
    pub check_timeout: Duration,
    /// The drill fails below this score.
    pub minimum_score: i32,
    /// Settings of the scratch server.
    pub parameters: BTreeMap<String, String>,
    /// Locales that it needs besides those that the backup names.
    pub locales: Vec<String>,
    /// What no dump holds and somebody accepted, by name: a backup is proven all the same.
    pub accepted: std::collections::BTreeSet<String>,
    /// Its image, for the report.
    pub image: String,
    /// What passed is restored by the break-glass script too.
    pub break_glass: Option<BreakGlassOrder>,
    /// What the policy promises for the time to restore.
    pub rto_objective: Option<Duration>,
    /// What the policy promises for the age of the data.
    pub rpo_objective: Option<Duration>,
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
    /// Started by this process, and cut off from every other server where this machine can do that (P9); its socket goes
    /// into this folder.
    Here(PathBuf),
    /// The same, with this machine's network.
    HereOpen(PathBuf),
    /// In the container beside, which waits for an order in this folder.
    Beside(PathBuf),
    /// There already, on the socket in this folder, with the superuser of the backup's server and no other role.
    /// Only roles and database are made, and removed again: the next drill takes it as it was. Its settings are its
    /// own, so [`Plan::parameters`] and those that the backup carries (G14) do not reach it.
    Running(PathBuf),
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
    let (manifest, manifest_sha256) = super::archive::manifest(plan.store.as_ref(), &at).await?;
    let mut facts = Facts::new(plan, &at, &manifest, manifest_sha256, clock.started);
    let (mut wrong_major, mut isolated) = (None, None);
    let told = &mut isolated;
    let judgement = match restored(plan, &at, &mut facts, &mut clock, told, observer).await {
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
pub(super) struct Phases {
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

    pub(super) fn lap(&mut self, name: &str) {
        self.phases.push(Phase {
            name: name.to_owned(),
            seconds: self.last.elapsed().as_secs_f64(),
        });
        self.last = Instant::now();
    }

    pub(super) fn adopt(&mut self, phases: Vec<Phase>) {
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
    isolated: &mut Option<bool>,
    observer: &dyn Observer,
) -> Result<Judgement, Failure> {
    let began = Instant::now();
    let archive = Archive::open(plan.store.as_ref(), at, plan.identities.as_deref()).await?;
    facts.open(&archive);
    // Before any program is looked for: which one suits is said by the same documents.
    let lies = archive.contradictions();
    if let Some(judgement) = verdict::contradictory(&lies) {
        clock.lap("open");
        facts.lies(lies);
        return Ok(judgement);
    }
    *isolated = is_isolated(archive.contents.source.as_ref()).await;
    let major = archive.manifest.server.major;
    let tool = programs(&plan.server, major, &plan.postgres_folders).await?;
    clock.lap("open");
    observer.reached(Step::StartingServer).await;
    let database = &archive.manifest.server.database;
    let order = ScratchOrder::of(&archive.contents, &plan.parameters);
    let order = order.in_database(&archive.contents, database);
    let mut order = order.without_event_triggers(major);
    order.locales.extend(plan.locales.iter().cloned());
    order.application_role = plan.application_role.clone();
    order.reader = Some(reader()?);
    let place = (&plan.server, plan.volume.as_path());
    let (server, socket, refused) = start(place, &tool, &order, database).await?;
    clock.lap("server");
    let scratch = Scratch {
        socket,
        superuser: order.superuser,
        refused,
        tool,
        began,
        reader: order.reader.unwrap_or_default(),
        reaches: reaches(&plan.server, &server),
    };
    facts.runs_without(&scratch.refused);
    facts.network(scratch.reaches);
    let judged = scratch.judged(plan, &archive, facts, clock, observer).await;
    let outcome = match judged {
        Err(failure) if failure.reason() == Reason::ConnectionLost => Err(scratch.gone(failure)),
        other => other,
    };
    server.leave().await?;
    outcome
}

/// A name that no role of a database has.
fn reader() -> Result<String, Failure> {
    let random: [u8; 16] = random::bytes().map_err(|e| Failure::Internal(e.to_string()))?;
    let hex: String = random.iter().map(|b| format!("{b:02x}")).collect();
    Ok(format!("lifeboat_{hex}"))
}

/// What becomes of a server afterwards.
pub(super) enum Used {
    /// It is stopped.
    Ours(ScratchServer),
    /// It goes with its container.
    Beside,
    /// It is given back.
    Lent(Running),
}

/// What a server that was started here can reach.
fn reaches(place: &Place, used: &Used) -> Reaches {
    match (place, used) {
        (Place::HereOpen(_), _) => Reaches::Allowed,
        (_, Used::Ours(server)) if !server.apart => Reaches::Unwanted,
        _ => Reaches::Nothing,
    }
}

impl Used {
    /// Lets go of it.
    pub(super) async fn leave(self) -> Result<(), Failure> {
        match self {
            Used::Ours(server) => server.stop().await,
            Used::Beside => {}
            Used::Lent(server) => server.clean().await?,
        }
        Ok(())
    }
}

/// The programs that restore a backup of this major, and those of a server where one is made here.
pub(super) async fn programs(
    place: &Place,
    major: i32,
    folders: &[PathBuf],
) -> Result<Programs, PgError> {
    match place {
        Place::Here(_) | Place::HereOpen(_) => Programs::with_server(major, folders).await,
        Place::Beside(_) | Place::Running(_) => Programs::find(major, folders).await,
    }
}

/// A server that answers, where its socket is, and the settings of the source that it runs without.
pub(super) async fn start(
    (place, volume): (&Place, &Path),
    tool: &Programs,
    order: &ScratchOrder,
    database: &str,
) -> Result<(Used, PathBuf, Vec<Refused>), Failure> {
    match place {
        Place::Here(socket) | Place::HereOpen(socket) => {
            let network = match place {
                Place::HereOpen(_) => Network::Host,
                _ => Network::Own,
            };
            let programs = tool.server().await?;
            let server = ScratchServer::start(&programs, order, volume, socket, network).await?;
            let refused = server.refused.clone();
            Ok((Used::Ours(server), socket.clone(), refused))
        }
        Place::Beside(folder) => {
            let refused = super::beside::order(folder, order).await?;
            Ok((Used::Beside, folder.clone(), refused))
        }
        Place::Running(socket) => {
            let server = Running::look(socket, &order.superuser, database).await?;
            Ok((Used::Lent(server), socket.clone(), Vec::new()))
        }
    }
}

/// Whether the source cannot be reached from here (G30); not tried where the backup does not say where it was.
async fn is_isolated(source: Option<&Source>) -> Option<bool> {
    let source = source?;
    let reach = tokio::net::TcpStream::connect((source.host.as_str(), source.port));
    let reached = tokio::time::timeout(REACH, reach).await;
    Some(!reached.is_ok_and(|stream| stream.is_ok()))
}
