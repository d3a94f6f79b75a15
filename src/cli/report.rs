//! `lifeboat report`: what drills found, as a document that an auditor can read.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::proofs;
use super::store::StoreArg;
use super::{CommandError, backups, out};
use crate::objects::ObjectStore;
use crate::report::{Page, Standing, directory, drill};
use crate::work::human::count;

/// Arguments of `lifeboat report`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    proof: Option<ProofArgs>,
}

/// Reports of other things than proofs.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// What a MigrationRun was to do, what stood behind it, what its rehearsal saw, who approved, and what stands.
    Migrationrun(super::migration_report::Args),
}

/// Of proofs.
#[derive(Debug, clap::Args)]
struct ProofArgs {
    /// Where the backups are: s3://bucket/prefix?endpoint=… or file:///path. S3 keys come from AWS's own environment and profiles.
    #[arg(long, value_name = "URL")]
    from: StoreArg,
    /// The backup, as `lifeboat list` prints its folder: shop.orders/20261121T020000Z-0123456789ab; with --all a directory: shop.orders
    backup: String,
    /// The drill, by the name of its run. Default: the one that ended last.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    run: Option<String>,
    /// One line for each proof in a whole directory, the newest first.
    #[arg(long)]
    all: bool,
    /// With --all: look at so many attempts at most, the newest first.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, requires = "all")]
    limit: usize,
    /// Form of the report; json is the proof as it is stored. Default: as the end of --output says, or markdown.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file, over what it holds. Default: print.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Markdown,
    Html,
    Json,
}

/// Runs `lifeboat report`. Exit code 0: it was written, whatever the verdict.
///
/// # Errors
/// What kept it from being read or written; after writing, that the backup is no longer the one that was drilled, or
/// that a proof cannot be read.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let args = match (args.what, args.proof) {
        (Some(What::Migrationrun(args)), _) => return super::migration_report::run(args).await,
        (None, Some(args)) => args,
        (None, None) => return Err("name a backup and --from, or `migrationrun NAME`".into()),
    };
    let store = args.from.open().await?;
    let report = report(store.as_ref(), &args).await?;
    match &args.output {
        Some(path) => std::fs::write(path, &report.text)
            .map_err(|error| format!("failed to write {}: {error}", path.display()))?,
        None => out::print(&report.text),
    }
    report.flaw.map_or(Ok(()), |flaw| Err(flaw.into()))
}

/// What is written, and what is wrong with what it speaks of.
#[derive(Debug)]
struct Report {
    text: Vec<u8>,
    flaw: Option<String>,
}

async fn report(store: &dyn ObjectStore, args: &ProofArgs) -> Result<Report, CommandError> {
    let format = format(args.format, args.output.as_deref());
    let at = backups::folder(&args.backup);
    if args.all {
        let keep = format == Format::Json;
        let all = proofs::all(store, at, args.limit, keep).await?;
        let flaw = match all.directory.unreadable.len() {
            0 => None,
            n => Some(format!("{} unreadable", count(n, "proof or manifest"))),
        };
        let text = match keep {
            true => array(&all.stored),
            false => write(&directory(&all.directory), format),
        };
        return Ok(Report { text, flaw });
    }
    let found = proofs::one(store, at, args.run.as_deref()).await?;
    let text = match format {
        Format::Json => found.bytes.to_vec(),
        _ => write(&drill(&found.proof, &found.source), format),
    };
    let at = backups::plain(at);
    let flaw = match found.source.standing {
        Standing::AsDrilled | Standing::Gone => None,
        Standing::Damaged => Some(format!(
            "{at} was damaged after the drill: objects of it are missing or cut"
        )),
        Standing::Changed => Some(format!(
            "the manifest of {at} is not the one that was drilled: the proof says nothing of what is there now"
        )),
    };
    Ok(Report { text, flaw })
}

fn write(page: &Page, format: Format) -> Vec<u8> {
    match format {
        Format::Html => page.html().into_bytes(),
        Format::Markdown | Format::Json => page.markdown().into_bytes(),
    }
}

fn format(asked: Option<Format>, output: Option<&Path>) -> Format {
    let end = output.and_then(|path| path.extension()?.to_str());
    let said = match end.map(str::to_ascii_lowercase).as_deref() {
        Some("html" | "htm") => Format::Html,
        Some("json") => Format::Json,
        _ => Format::Markdown,
    };
    asked.unwrap_or(said)
}

/// Documents, each as it is, in one.
fn array(documents: &[Bytes]) -> Vec<u8> {
    let texts: Vec<&[u8]> = documents.iter().map(|d| d.trim_ascii()).collect();
    let mut out = b"[\n".to_vec();
    out.extend(texts.join(&b",\n"[..]));
    out.extend(b"\n]\n");
    out
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
