//! `lifeboat drill`: a proof on a laptop. A scratch server is made of the PostgreSQL programs that are here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::database::{ProgramsArgs, Scratch, explain_failure};
use super::inspect::read_identity;
use super::restore::phases;
use super::store::StoreArg;
use super::{CommandError, backups, differences, out};
use crate::api::Reason;
use crate::api::restore_drill::{Check, Compare, DrillMode, Select, Verdict};
use crate::api::rules::is_locale;
use crate::drill::validate::OWN_PARAMETERS;
use crate::manifest::{BreakGlassProof, Proof, ProofDifference};
use crate::postgres::compare::Difference;
use crate::work::break_glass::BreakGlassOrder;
use crate::work::drill::{Place, Plan};
use crate::work::failure::Failure;
use crate::work::pick::Choice;
use crate::work::progress::{Progress, Show};
use crate::work::{clock, drill, human, proof, random, stopped};

/// Most lines of the break-glass script that are shown; the proof has all.
const COMPLAINTS: usize = 20;

/// Arguments of `lifeboat drill`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the backups are: s3://bucket/prefix?endpoint=… or file:///path. S3 keys come from AWS's own environment and profiles.
    #[arg(long, value_name = "URL")]
    from: StoreArg,
    /// A backup, as `lifeboat list` prints its folder, or a directory, of which the newest is taken: shop.orders
    backup: String,
    /// age identity file (AGE-SECRET-KEY-1…) that opens the backup.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    #[command(flatten)]
    programs: ProgramsArgs,
    /// A question to the restored database that must answer `t`; :dump_time is the moment of the dump. Repeat for several.
    #[arg(long, value_name = "SQL")]
    check: Vec<String>,
    /// A setting of the scratch server, for example maintenance_work_mem=1GB. Repeat for several.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    parameter: Vec<(String, String)>,
    /// A locale that this machine lacks and that is made from its own sources, for example es_CL.UTF-8, besides those that
    /// the backup names. Repeat for several.
    #[arg(long, value_name = "NAME", value_parser = locale)]
    locale: Vec<String>,
    #[command(flatten)]
    accept: differences::AcceptArgs,
    /// Folder in which the scratch server's data lies meanwhile. Default: the folder for temporary files.
    #[arg(long, value_name = "FOLDER")]
    work_dir: Option<PathBuf>,
    /// `none` cuts the scratch server off from every other server, where this machine lets this user; else what would reach out
    /// is not restored, and nothing is proven. `host` gives it this machine's network: a materialized view or a foreign server
    /// of the backup may then write to the database that was backed up.
    #[arg(long, value_enum, default_value_t = NetworkArg::None)]
    network: NetworkArg,
    /// Restore what passed once more, by the script docs/break-glass.sh that needs no Lifeboat, into the emptied scratch server,
    /// and compare again. Needs bash and psql. Exit code 0 only if that is equal too.
    #[arg(long)]
    break_glass: bool,
    /// Leave the proof beside the backup, where `lifeboat report` finds it. Needs the right to write there.
    #[arg(long)]
    keep_proof: bool,
    /// Print the whole proof as JSON.
    #[arg(long)]
    json: bool,
}

/// What the scratch server may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum NetworkArg {
    /// No other server.
    None,
    /// What this machine reaches.
    Host,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("write name=value, for example maintenance_work_mem=1GB")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
    if OWN_PARAMETERS.contains(&name) {
        return Err(format!("{name} is set by Lifeboat itself"));
    }
    if !name.chars().all(plain) || value.contains(['\n', '\r', '\0']) {
        return Err(format!("{name} is not the name of a setting"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// A manifest that cannot be read is a verdict too.
fn unreadable(failure: &Failure) -> CommandError {
    let why = explain_failure(failure);
    match failure.reason() {
        Reason::BackupDamaged => format!("Failed: {why}").into(),
        _ => why,
    }
}

fn random() -> std::io::Result<String> {
    let bytes: [u8; 2] = random::bytes()?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

fn locale(text: &str) -> Result<String, String> {
    match is_locale(text) {
        true => Ok(text.to_owned()),
        false => Err("write the name of a locale, for example es_CL.UTF-8".to_owned()),
    }
}

/// Runs `lifeboat drill`. Exit code 0: the backup is proven.
///
/// # Errors
/// What kept it from being drilled; after printing, that it failed, is inconclusive or less than everything was compared.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let scratch = Scratch::make()?;
    let socket = Scratch::make()?;
    let volume = Scratch::below(args.work_dir.as_deref())?;
    let identities = args.identity.as_deref().map(read_identity).transpose()?;
    let now = clock::now();
    let plan = Plan {
        store: args.from.open().await?,
        identities: identities.map(Arc::new),
        choice: Choice {
            directory: args
                .backup
                .trim_end_matches("manifest.json")
                .trim_matches('/')
                .to_owned(),
            select: Select::default(),
            decided_at: now,
            due: now,
        },
        // Two may begin in one second.
        run: format!("cli-{}-{}", now.strftime("%Y%m%dt%H%M%Sz"), random()?),
        drill: String::new(),
        namespace: String::new(),
        mode: DrillMode::Verify,
        compare: Compare {
            accept: args.accept.accept.clone(),
            ..Compare::default()
        },
        application_role: None,
        checks: args.check.iter().enumerate().map(check).collect(),
        check_timeout: crate::postgres::checks::TIMEOUT,
        minimum_score: 0,
        locales: args.locale.clone(),
        accepted: args.accept.accepted().lost,
        parameters: args.parameter.iter().cloned().collect::<BTreeMap<_, _>>(),
        image: String::new(),
        break_glass: args.break_glass.then_some(BreakGlassOrder { until: None }),
        rto_objective: None,
        rpo_objective: None,
        server: match args.network {
            NetworkArg::None => Place::Here(socket.path().to_owned()),
            NetworkArg::Host => Place::HereOpen(socket.path().to_owned()),
        },
        volume: volume.path().to_owned(),
        scratch: scratch.path().to_owned(),
        postgres_folders: args.programs.folders()?,
    };
    let progress = Progress::new(Show::Person);
    let outcome = tokio::select! {
        outcome = drill::run(&plan, &progress) => outcome.map_err(|e: Failure| unreadable(&e)),
        () = stopped() => Err("stopped".into()),
    };
    progress.finish();
    let drilled = outcome?;
    let proof = drilled.proof;
    if args.json {
        out::line(serde_json::to_string_pretty(&proof)?);
    } else {
        out::print(text(&proof));
    }
    if args.keep_proof {
        let kept = proof::write(plan.store.as_ref(), &drilled.at, &proof).await;
        kept.map_err(|e| format!("the proof could not be kept: {}", explain_failure(&e)))?;
    }
    match proof.result {
        Verdict::Passed if proof.proves => match &proof.break_glass {
            Some(script) if script.result != Verdict::Passed => Err(format!(
                "the backup is proven, but not the way to restore it without Lifeboat: {}",
                backups::sentence(&script.message)
            )
            .into()),
            _ => Ok(()),
        },
        Verdict::Passed => Err("equal, but nothing is proven: not everything was compared".into()),
        Verdict::Failed | Verdict::Inconclusive => {
            let result = proof.result.as_str();
            Err(format!(
                "{result}: {}: {}",
                proof.reason,
                backups::sentence(&proof.message)
            )
            .into())
        }
    }
}

fn check((index, sql): (usize, &String)) -> Check {
    Check {
        name: format!("check-{}", index + 1),
        sql: sql.clone(),
        expect: None,
        as_of: None,
        required: None,
    }
}

fn text(proof: &Proof) -> String {
    let mut out = String::new();
    let differing: Vec<Difference> = proof.differences.iter().map(shown).collect();
    differences::add(&mut out, &differing, "RESTORED");
    for error in &proof.errors {
        let _ = writeln!(
            out,
            "{}: {} {}: {}",
            error.judged.as_str(),
            error.sqlstate,
            backups::plain(&error.entry),
            backups::sentence(&error.message)
        );
    }
    for check in &proof.checks {
        let says = match (&check.error, &check.got) {
            (Some(error), _) => error.clone(),
            (None, got) => got.clone().unwrap_or_default(),
        };
        let word = if check.passed { "passed" } else { "failed" };
        let _ = writeln!(out, "{} {word}: {}", check.name, backups::plain(&says));
    }
    for note in &proof.notes {
        let _ = writeln!(out, "note: {}", backups::sentence(note));
    }
    for what in &proof.not_compared {
        let _ = writeln!(out, "not compared: {}", backups::sentence(what));
    }
    out.push_str(&phases(&proof.phases));
    let equal = proof.tables.iter().filter(|t| t.equal).count();
    let rows: i64 = proof.tables.iter().map(|t| t.rows).sum();
    let score = proof
        .score
        .map_or(String::new(), |s| format!(", score {s}"));
    let version = proof
        .server
        .as_ref()
        .map_or(String::new(), |s| format!(", on PostgreSQL {}", s.version));
    let _ = writeln!(
        out,
        "{}{score}: {} of {} equal, {} in them; {} as of {}{version}",
        proof.result.as_str(),
        human::thousands(equal),
        human::count(proof.tables.len(), "table"),
        human::count(usize::try_from(rows).unwrap_or_default(), "row"),
        backups::plain(&proof.backup.prefix),
        proof.backup.data_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    if proof.proves {
        out.push_str("proven: rows, content, schema, owners, privileges, roles, sequences, large objects, properties of the database (of materialized views the definition)\n");
    }
    if let Some(script) = &proof.break_glass {
        break_glass(&mut out, script);
    }
    out
}

fn break_glass(out: &mut String, script: &BreakGlassProof) {
    let shown: Vec<Difference> = script.differences.iter().map(shown).collect();
    differences::add(out, &shown, "RESTORED BY SCRIPT");
    for complaint in script.complaints.iter().take(COMPLAINTS) {
        let _ = writeln!(out, "break-glass.sh: {}", backups::plain(complaint));
    }
    if let Some(more @ 1..) = script.complaints.len().checked_sub(COMPLAINTS) {
        let _ = writeln!(out, "break-glass.sh: … and {more} more lines");
    }
    let _ = writeln!(
        out,
        "break-glass: {} after {:.1} s: {}",
        script.result.as_str(),
        script.seconds,
        backups::sentence(&script.message)
    );
}

fn shown(difference: &ProofDifference) -> Difference {
    Difference {
        what: difference.what.clone(),
        object: difference.object.clone(),
        expected: difference.expected.clone(),
        found: difference.found.clone(),
    }
}
