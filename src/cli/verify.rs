//! `lifeboat verify`: is a database what was backed up? Reads everything, changes nothing.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::backups::{self, Backup, Read};
use super::database::{DatabaseArgs, DeadlineArgs, Scratch, explain, random_hex};
use super::differences;
use super::inspect::{read_contents, read_identity};
use super::store::StoreArg;
use super::{CommandError, out};
use crate::manifest::Contents;
use crate::objects::ObjectStore;
use crate::postgres::LockPatience;
use crate::postgres::compare::Comparison;
use crate::work::human;
use crate::work::progress::{Progress, Show};
use crate::work::verify::{Subject, verify};

/// Arguments of `lifeboat verify`.
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
    database: DatabaseArgs,
    #[command(flatten)]
    accept: differences::AcceptArgs,
    #[command(flatten)]
    deadline: DeadlineArgs,
    /// Print JSON, with every difference.
    #[arg(long)]
    json: bool,
}

/// Runs `lifeboat verify`. Exit code 0: everything was compared and is equal.
///
/// # Errors
/// What kept it from being compared; after printing, that something differs or was not compared.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let scratch = Scratch::make()?;
    let target = args.database.target()?;
    let identities = args.identity.as_deref().map(read_identity).transpose()?;
    let store = args.from.open().await?;
    let backup = find(store.as_ref(), &args.backup).await?;
    let recorded = recorded(store.as_ref(), &backup, identities.as_ref()).await?;
    let subject = Subject {
        target,
        scratch: scratch.path().to_owned(),
        postgres_folders: args.database.postgres_folders()?,
        patience: LockPatience::default(),
        application_name: format!("lifeboat/cli/{}", random_hex()?),
    };
    let progress = Progress::new(Show::Person);
    let accepted = args.accept.accepted();
    let work = verify(&subject, &recorded, &accepted, &progress);
    let outcome = args.deadline.within(work, "").await;
    progress.finish();
    let comparison = outcome.map_err(|error| explain(error, &subject.target))?;
    if args.json {
        let document = Document {
            backup: &backup.at,
            data_at: backup.manifest.data_at,
            proves: comparison.proves(),
            comparison: &comparison,
        };
        out::line(serde_json::to_string_pretty(&document)?);
    } else {
        out::print(text(&backup, &comparison));
    }
    let open = comparison.not_compared.len() + comparison.undecided.len();
    match (comparison.differences.len(), open) {
        (0, 0) if !backup.faults.is_empty() => {
            Err("the database is what was backed up, but the backup itself is damaged".into())
        }
        (0, 0) => Ok(()),
        (0, n) => Err(format!("{} could not be compared", human::count(n, "part")).into()),
        (n, _) => Err(format!(
            "the database is not what was backed up: {}",
            human::count(n, "difference")
        )
        .into()),
    }
}

async fn find(store: &dyn ObjectStore, name: &str) -> Result<Backup, CommandError> {
    let prefix = &backups::folder_or_newest(store, name).await?;
    match backups::read(store, prefix).await? {
        Read::Backup(backup) => Ok(*backup),
        Read::Unreadable(why) => Err(why.into()),
        Read::Unfinished => {
            let place = store.place();
            Err(format!("there is no backup {prefix} in {place}: it has no manifest.json").into())
        }
    }
}

async fn recorded(
    store: &dyn ObjectStore,
    backup: &Backup,
    identities: Option<&crate::codec::Identities>,
) -> Result<Contents, CommandError> {
    let info = backup
        .contents()
        .ok_or("the manifest names no contents.json")?;
    if info.name.ends_with(".age") && identities.is_none() {
        return Err("the backup is encrypted: give --identity FILE, the age identity of one of its recipients".into());
    }
    read_contents(store, &backup.at, info, identities).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    backup: &'a str,
    data_at: jiff::Timestamp,
    proves: bool,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

fn text(backup: &Backup, comparison: &Comparison) -> String {
    let mut out = String::new();
    differences::told(&mut out, comparison, "IN THE DATABASE");
    for fault in &backup.faults {
        let _ = writeln!(out, "damaged: {fault}");
    }
    let rows = usize::try_from(comparison.rows).unwrap_or_default();
    let _ = writeln!(
        out,
        "{} of {} equal, {} in them; data as of {}",
        human::thousands(comparison.equal),
        human::count(comparison.tables, "table"),
        human::count(rows, "row"),
        backup.manifest.data_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    if comparison.proves() {
        out.push_str("equal: rows, content, schema, owners, privileges, roles, sequences, large objects, properties of the database (of materialized views the definition)\n");
    }
    out
}
