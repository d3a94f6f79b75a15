//! `lifeboat restore`: a backup into an empty database, compared afterwards.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::database::{MeansArgs, Scratch, explain, random_hex};
use super::inspect::read_identity;
use super::store::StoreArg;
use super::{CommandError, backups, differences, out};
use crate::manifest::{Phase, RestoreError};
use crate::postgres::LockPatience;
use crate::postgres::compare::Comparison;
use crate::postgres::load::Roles;
use crate::work::progress::{Progress, Show};
use crate::work::restore::{Plan, Restored};
use crate::work::verify::Subject;
use crate::work::{human, restore, stopped};

/// Most refusals that are printed; `--json` has all.
const MAX_LINES: usize = 20;

/// Arguments of `lifeboat restore`.
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
    /// An empty database, as a `postgresql://` URI without a password. Passwords come from ~/.pgpass or the
    /// file that PGPASSFILE names, whole services from PGSERVICE.
    #[arg(long, value_name = "URI")]
    into: String,
    #[command(flatten)]
    means: MeansArgs,
    /// Do not make roles: those that the backup names are there already.
    #[arg(long)]
    no_roles: bool,
    /// Sessions that load at the same time.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    #[command(flatten)]
    accept: differences::AcceptArgs,
    /// Folder in which the decrypted dump lies meanwhile. Default: the folder for temporary files.
    #[arg(long, value_name = "FOLDER")]
    work_dir: Option<PathBuf>,
    /// Print JSON, with every difference.
    #[arg(long)]
    json: bool,
}

/// Runs `lifeboat restore`. Exit code 0: everything is there and was compared; on a server of another major all but the
/// definitions was, and none was refused.
///
/// # Errors
/// What kept it from being restored; after printing, that something was refused or differs.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let scratch = Scratch::make()?;
    let volume = Scratch::below(args.work_dir.as_deref())?;
    let identities = args.identity.as_deref().map(read_identity).transpose()?;
    let store = args.from.open().await?;
    let at = backups::folder_or_newest(store.as_ref(), &args.backup).await?;
    let plan = Plan {
        store,
        identities: identities.map(Arc::new),
        at,
        subject: Subject {
            target: args.means.target(&args.into)?,
            scratch: scratch.path().to_owned(),
            postgres_folders: args.means.postgres_folders()?,
            patience: LockPatience::default(),
            application_name: format!("lifeboat/cli/{}", random_hex()?),
        },
        volume: volume.path().to_owned(),
        roles: if args.no_roles {
            Roles::Skip
        } else {
            Roles::Create
        },
        jobs: usize::from(args.jobs),
        accepted: args.accept.accepted(),
    };
    let progress = Progress::new(Show::Person);
    let outcome = tokio::select! {
        outcome = restore::run(&plan, &progress) => outcome.map_err(CommandError::from),
        () = stopped() => Err("stopped; what was loaded so far is there: drop the database and make it anew".into()),
    };
    progress.finish();
    let restored = outcome.map_err(|error| explain(error, &plan.subject.target))?;
    if args.json {
        out::line(serde_json::to_string_pretty(&Document::of(&restored))?);
    } else {
        out::print(text(&restored, &plan.subject.target.display()));
    }
    let comparison = &restored.comparison;
    let open = comparison.not_compared.len() + comparison.undecided.len();
    match (comparison.differences.len(), open) {
        (0, 0) => Ok(()),
        // An upgrade: what the server took without a word is as good as it can be told here.
        (0, 1) if comparison.other_major && restored.errors.is_empty() => Ok(()),
        (0, 1) if comparison.other_major => Err(format!(
            "restored, but the server refused {}",
            human::count(restored.errors.len(), "statement")
        )
        .into()),
        (0, n) => Err(format!(
            "restored, but {} could not be compared",
            human::count(n, "part")
        )
        .into()),
        (n, _) => Err(format!(
            "restored, but not as it was backed up: {}",
            human::count(n, "difference")
        )
        .into()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    backup: &'a str,
    data_at: jiff::Timestamp,
    proves: bool,
    phases: &'a [Phase],
    refused: Vec<&'a RestoreError>,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

impl<'a> Document<'a> {
    fn of(restored: &'a Restored) -> Self {
        Self {
            backup: &restored.archive.at,
            data_at: restored.archive.manifest.data_at,
            proves: restored.comparison.proves(),
            phases: &restored.phases,
            refused: restored.errors.iter().map(|e| &e.error).collect(),
            comparison: &restored.comparison,
        }
    }
}

fn text(restored: &Restored, target: &str) -> String {
    let mut out = String::new();
    let comparison = &restored.comparison;
    for judged in restored.errors.iter().take(MAX_LINES) {
        let error = &judged.error;
        let _ = writeln!(
            out,
            "refused: {}: {}",
            backups::plain(&error.entry),
            backups::sentence(&error.message)
        );
    }
    if restored.errors.len() > MAX_LINES {
        let more = restored.errors.len() - MAX_LINES;
        let _ = writeln!(out, "… and {more} more refused (--json has all)");
    }
    differences::told(&mut out, comparison, "RESTORED");
    out.push_str(&phases(&restored.phases));
    let rows = usize::try_from(comparison.rows).unwrap_or_default();
    let _ = writeln!(
        out,
        "{} of {} restored and equal, {} in them; data as of {}; into {target}",
        human::thousands(comparison.equal),
        human::count(comparison.tables, "table"),
        human::count(rows, "row"),
        restored
            .archive
            .manifest
            .data_at
            .strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    out
}

/// `fetch 0.2 s, data 3.1 s, …`
pub(super) fn phases(phases: &[Phase]) -> String {
    let parts = phases
        .iter()
        .filter(|p| p.seconds >= 0.05)
        .map(|p| format!("{} {:.1} s", p.name, p.seconds));
    let text = parts.collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        return text;
    }
    text + "\n"
}
