//! `lifeboat inspect`: one backup; with an identity also what is in it. It reads no dump: stock age does that.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::backups::{self, Read};
use super::store::StoreArg;
use super::{CommandError, out};
use crate::codec::{Identities, read_object};
use crate::manifest::{Contents, MAX_NAMED, Manifest, Name, ObjectInfo, Relation};
use crate::objects::ObjectStore;
use crate::postgres::census::NOT_COUNTED;
use crate::work::contradictions::documents;
use crate::work::{clock, human};

/// Largest `contents.json` that is read, in bytes.
const MAX_CONTENTS: u64 = 256 * 1024 * 1024;
/// Largest identity file, in bytes.
const MAX_IDENTITY: u64 = 64 * 1024;

/// Arguments of `lifeboat inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the backups are: s3://bucket/prefix?endpoint=… or file:///path. S3 keys come from AWS's own environment and profiles.
    #[arg(long, value_name = "URL")]
    from: StoreArg,
    /// A backup, as `lifeboat list` or a Backup's status.prefix names its folder, or a directory, of which the newest is taken: shop.orders
    prefix: String,
    /// age identity file (AGE-SECRET-KEY-1…): also show the tables and their rows.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lifeboat inspect`.
///
/// # Errors
/// When there is no such backup, or it cannot be read.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let identities = match &args.identity {
        None => None,
        Some(path) => Some(read_identity(path)?),
    };
    let store = args.from.open().await?;
    let seen = inspect(store.as_ref(), &args.prefix, identities.as_ref(), args.json).await?;
    out::print(&seen.text);
    match seen.faults.len() {
        0 => Ok(()),
        n => Err(format!(
            "this backup is damaged: {} not as it should be",
            human::count(n, "thing")
        )
        .into()),
    }
}

pub(super) fn read_identity(path: &std::path::Path) -> Result<Identities, CommandError> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_IDENTITY).read_to_string(&mut text))
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    Ok(Identities::parse(&text)?)
}

/// What `lifeboat inspect` prints, and what is wrong with the backup.
struct Seen {
    text: String,
    faults: Vec<String>,
}

async fn inspect(
    store: &dyn ObjectStore,
    prefix: &str,
    identities: Option<&Identities>,
    json: bool,
) -> Result<Seen, CommandError> {
    let prefix = &backups::folder_or_newest(store, prefix).await?;
    let mut backup = match backups::read(store, prefix).await? {
        Read::Backup(backup) => *backup,
        Read::Unfinished => {
            let place = store.place();
            let text = format!("there is no backup {prefix} in {place}: it has no manifest.json");
            return Err(text.into());
        }
        Read::Unreadable(why) => return Err(why.into()),
    };
    let info = backup.contents();
    let contents = match info {
        Some(info) if backup.faults.iter().any(|f| f.starts_with(&info.name)) => None,
        Some(info) if identities.is_some() || !info.name.ends_with(".age") => {
            Some(read_contents(store, prefix, info, identities).await?)
        }
        _ => None,
    };
    if let Some(contents) = &contents {
        let known = backup.manifest.contradictions(prefix, clock::now());
        let lies = documents(&backup.manifest, contents, prefix, clock::now());
        let more = lies.iter().filter(|lie| !known.contains(lie));
        backup.faults.extend(more.take(MAX_NAMED).map(|lie| {
            let (says, is) = (&lie.expected, &lie.found);
            backups::plain(&format!("{} {}: {says}, but {is}", lie.what, lie.object))
        }));
    }
    let text = if json {
        let document = Document {
            at: &backup.at,
            faults: &backup.faults,
            manifest: &backup.manifest,
            contents: contents.as_ref(),
        };
        serde_json::to_string_pretty(&document)? + "\n"
    } else {
        text(&backup, contents.as_ref())
    };
    Ok(Seen {
        text,
        faults: backup.faults,
    })
}

pub(super) async fn read_contents(
    store: &dyn ObjectStore,
    prefix: &str,
    info: &ObjectInfo,
    identities: Option<&Identities>,
) -> Result<Contents, CommandError> {
    let bytes = read_object(store, prefix, info, identities, MAX_CONTENTS).await?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[derive(Serialize)]
struct Document<'a> {
    at: &'a str,
    faults: &'a [String],
    manifest: &'a Manifest,
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<&'a Contents>,
}

fn text(backup: &backups::Backup, contents: Option<&Contents>) -> String {
    let mut out = String::new();
    let manifest = &backup.manifest;
    let made_at = (backup.at != manifest.prefix).then(|| manifest.prefix.clone());
    let server = &manifest.server;
    let counts = &manifest.counts;
    let encryption = match manifest.encryption.recipients.len() {
        0 => manifest.encryption.method.clone(),
        n => format!(
            "{} for {}",
            manifest.encryption.method,
            human::count(n, "recipient")
        ),
    };
    let facts = [
        ("Backup", manifest.backup.clone()),
        ("Prefix", backup.at.clone()),
        ("Copied from", made_at.unwrap_or_default()),
        ("Reason", format!("{:?}", manifest.reason)),
        ("Tiers", manifest.tiers.join(", ")),
        ("Due", manifest.due.to_string()),
        ("Data as of", manifest.data_at.to_string()),
        ("Started", manifest.started_at.to_string()),
        ("Finished", manifest.finished_at.to_string()),
        (
            "Database",
            format!("{} on PostgreSQL {}", server.database, server.version),
        ),
        ("LSN", manifest.base.position.lsn.clone()),
        ("Tables", backups::number(counts.tables)),
        ("Rows", backups::number(counts.rows)),
        ("Sequences", backups::number(counts.sequences)),
        ("Large obj.", backups::number(counts.large_objects)),
        ("Dumped", backups::size(counts.raw_bytes)),
        ("Stored", backups::size(counts.stored_bytes)),
        ("Encryption", encryption),
        (
            "Made by",
            format!(
                "lifeboat {}, pg_dump {}",
                manifest.lifeboat_version, server.pg_dump_version
            ),
        ),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(out, "{name:<12}{}", backups::plain(value));
    }
    let mut objects = backups::table(&["OBJECT", "STORED", "RAW", "SHA-256"], &[1, 2]);
    for object in &manifest.objects {
        objects.add_row([
            backups::plain(&object.name),
            backups::size(object.bytes),
            backups::size(object.raw_bytes),
            backups::plain(&object.sha256),
        ]);
    }
    add(&mut out, &objects);
    if !backup.faults.is_empty() {
        out.push('\n');
    }
    for fault in &backup.faults {
        let _ = writeln!(out, "damaged: {fault}");
    }
    match contents {
        Some(contents) => show(&mut out, contents),
        None if !backup.faults.is_empty() => {}
        None => out.push_str(match backup.contents() {
            Some(info) if info.name.ends_with(".age") => {
                "\nThe tables are encrypted: give --identity FILE to see them.\n"
            }
            Some(_) => "",
            None => "\nThe manifest names no contents.json, so the tables are not known.\n",
        }),
    }
    out
}

fn show(out: &mut String, contents: &Contents) {
    let mut tables = backups::table(&["TABLE", "ROWS"], &[1]);
    // What was left out stands below, with the reason.
    let left_out = |r: &&Relation| {
        let mut all = contents.left_out.iter();
        all.any(|l| (&l.schema, &l.name) == (&r.schema, &r.name))
    };
    let dumped = contents.relations.iter().filter(|r| r.rows.is_some());
    for relation in dumped.filter(|r| !left_out(r)) {
        tables.add_row([
            backups::plain(&format!(
                "{}.{}",
                relation.schema.display(),
                relation.name.display()
            )),
            relation.rows.map(backups::number).unwrap_or_default(),
        ]);
    }
    add(out, &tables);
    if contents.left_out.is_empty() {
        return;
    }
    let mut left_out = backups::table(&["LEFT OUT", "ROWS", "WHY"], &[1]);
    for entry in &contents.left_out {
        let rows = match entry.rows {
            // An index or a tablespace has none.
            _ if entry.schema == Name::default() => String::new(),
            NOT_COUNTED => "not counted".to_owned(),
            rows => backups::number(rows),
        };
        left_out.add_row([
            backups::plain(&entry.display()),
            rows,
            backups::sentence(&entry.why),
        ]);
    }
    add(out, &left_out);
}

fn add(out: &mut String, table: &comfy_table::Table) {
    out.push('\n');
    for line in table.lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
pub(super) mod tests;
