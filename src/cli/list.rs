//! `lifeboat list`: the backups in a store, read from the bucket alone (P1).

use std::fmt::Write as _;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::backups::{self, Found};
use super::proofs;
use super::store::StoreArg;
use super::{CommandError, out};
use crate::api::restore_drill::Verdict;
use crate::manifest::{Kept, Manifest, Pin, Proof, kept};
use crate::objects::ObjectStore;
use crate::work::clock;
use crate::work::human::count;

/// Proofs that are read at the same time.
const READERS: usize = 4;

/// Arguments of `lifeboat list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the backups are: s3://bucket/prefix?endpoint=… or file:///path. S3 keys come from AWS's own environment and profiles.
    #[arg(long, value_name = "URL")]
    from: StoreArg,
    /// Only this directory of the store, for example shop.orders.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<String>,
    /// Look at so many attempts at most, the newest first.
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    limit: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lifeboat list`.
///
/// # Errors
/// When the store cannot be read; after printing, when a backup in it is damaged or unreadable.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let store = args.from.open().await?;
    let mut found = backups::find(store.as_ref(), args.directory.as_deref(), args.limit).await?;
    drills(store.as_ref(), &mut found).await;
    out::print(show(&found, &store.place(), args.json)?);
    verdict(&found)
}

/// What the last drill of each backup said.
async fn drills(store: &dyn ObjectStore, found: &mut Found) {
    let drilled = found.backups.iter_mut().filter(|b| b.drilled);
    stream::iter(drilled)
        .for_each_concurrent(READERS, |backup| async {
            backup.drill = Some(match proofs::one(store, &backup.at, None).await {
                Ok(stored) => said(&stored.proof),
                Err(_) => "unreadable".to_owned(),
            });
        })
        .await;
}

/// `Passed`, `Failed (Differs)`; a drill that passed and does not prove everything says so.
fn said(proof: &Proof) -> String {
    match (proof.result, proof.proves) {
        (Verdict::Passed, true) => "Proven".to_owned(),
        (verdict, _) => backups::plain(&format!("{verdict:?} ({})", proof.reason)),
    }
}

fn show(found: &Found, place: &str, json: bool) -> Result<String, CommandError> {
    if json {
        return Ok(serde_json::to_string_pretty(&document(found))? + "\n");
    }
    Ok(text(found, place, clock::now()))
}

/// A script must not take a store for whole in which something is not.
fn verdict(found: &Found) -> Result<(), CommandError> {
    let damaged = found
        .backups
        .iter()
        .filter(|b| !b.faults.is_empty())
        .count();
    match (damaged, found.unreadable.len()) {
        (0, 0) => Ok(()),
        (d, 0) => Err(format!("{} damaged", count(d, "backup")).into()),
        (0, u) => Err(format!("{} unreadable", count(u, "manifest")).into()),
        (d, u) => Err(format!(
            "{} damaged, {} unreadable",
            count(d, "backup"),
            count(u, "manifest")
        )
        .into()),
    }
}

fn text(found: &Found, place: &str, now: Timestamp) -> String {
    let mut out = String::new();
    if !found.backups.is_empty() {
        let header = [
            "FOLDER", "BACKUP", "WHY", "TABLES", "ROWS", "STORED", "FINISHED", "DRILL", "PINNED",
        ];
        // Many stores have none of either.
        let wanted = |column: &&str| match *column {
            "DRILL" => found.backups.iter().any(|b| b.drill.is_some()),
            "PINNED" => found.backups.iter().any(|b| !b.pins.is_empty()),
            _ => true,
        };
        let columns: Vec<&str> = header.into_iter().filter(|c| wanted(c)).collect();
        let mut table = backups::table(&columns, &[3, 4, 5]);
        for backup in &found.backups {
            let manifest = &backup.manifest;
            let row = [
                // As `lifeboat inspect` takes it.
                backups::plain(&backup.at),
                backups::plain(&manifest.backup),
                why(manifest),
                backups::number(manifest.counts.tables),
                backups::number(manifest.counts.rows),
                backups::size(manifest.counts.stored_bytes),
                manifest
                    .finished_at
                    .strftime("%Y-%m-%dT%H:%M:%SZ")
                    .to_string(),
                backup.drill.clone().unwrap_or_default(),
                pinned_until(&backup.pins, now),
            ];
            let cells = row.into_iter().zip(header).filter(|(_, c)| wanted(c));
            table.add_row(cells.map(|(cell, _)| cell));
        }
        for line in table.lines() {
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out.push('\n');
    }
    let _ = write!(out, "{} in {place}", count(found.backups.len(), "backup"));
    if !found.unfinished.is_empty() {
        let attempts = count(found.unfinished.len(), "unfinished attempt");
        let _ = write!(out, ", {attempts} (no manifest: under way, or failed)");
    }
    if found.older > 0 {
        let _ = write!(
            out,
            ", {} not looked at (--limit)",
            count(found.older, "older attempt")
        );
    }
    out.push('\n');
    for backup in &found.backups {
        for fault in &backup.faults {
            let _ = writeln!(out, "damaged: {}: {fault}", backups::plain(&backup.at));
        }
    }
    for (prefix, why) in &found.unreadable {
        let _ = writeln!(
            out,
            "unreadable: {}: {}",
            backups::plain(prefix),
            backups::plain(why)
        );
    }
    out
}

fn pinned_until(pins: &[Pin], now: Timestamp) -> String {
    match kept(pins, now) {
        None => String::new(),
        Some(Kept::Until(until)) => until.strftime("until %Y-%m-%d").to_string(),
        Some(Kept::Open) => "without end".to_owned(),
    }
}

fn why(manifest: &Manifest) -> String {
    if manifest.tiers.is_empty() {
        return format!("{:?}", manifest.reason);
    }
    backups::plain(&manifest.tiers.join(","))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    backups: &'a [backups::Backup],
    unfinished: &'a [String],
    unreadable: Vec<Unreadable<'a>>,
    older: usize,
}

#[derive(Serialize)]
struct Unreadable<'a> {
    prefix: &'a str,
    why: &'a str,
}

fn document(found: &Found) -> Document<'_> {
    Document {
        backups: &found.backups,
        unfinished: &found.unfinished,
        unreadable: found
            .unreadable
            .iter()
            .map(|(prefix, why)| Unreadable { prefix, why })
            .collect(),
        older: found.older,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::inspect::tests::{manifest, put};
    use crate::manifest::{ObjectInfo, ObjectRole, PinHolder};
    use crate::objects::{Memory, ObjectStore};

    fn pin(prefix: &str) -> Pin {
        Pin {
            format: 1,
            backup: "nightly".to_owned(),
            prefix: prefix.to_owned(),
            holder: PinHolder {
                kind: "MigrationRun".to_owned(),
                namespace: "shop".to_owned(),
                name: "notes".to_owned(),
                uid: "0123".to_owned(),
            },
            order: 2,
            why: "a migration has begun".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            until: None,
        }
    }

    async fn list(
        store: &Memory,
        directory: Option<&str>,
        limit: usize,
        json: bool,
    ) -> Result<String, CommandError> {
        let found = backups::find(store, directory, limit).await?;
        show(&found, &store.place(), json)
    }

    #[tokio::test]
    async fn backups_come_newest_first_and_what_has_no_manifest_is_unfinished() {
        // Pages of two, so that paging is on the way.
        let store = Memory::new().with_page(2);
        let runs = [
            "shop.orders/20261120T020000Z-0123456789ab",
            "shop.orders/20261121T020000Z-0123456789ab",
            "shop.users/20261120T120000Z-0123456789ab",
        ];
        for run in runs {
            let json = manifest(run, vec![]).to_json().unwrap();
            put(&store, &format!("{run}/manifest.json"), json).await;
        }
        put(
            &store,
            "shop.orders/20261122T020000Z-0123456789ab/dump.pgc.age",
            b"x".to_vec(),
        )
        .await;
        put(
            &store,
            "shop.orders/20261119T020000Z-0123456789ab/manifest.json",
            b"{}".to_vec(),
        )
        .await;
        let held = pin(runs[1]);
        put(&store, &held.key(), serde_json::to_vec(&held).unwrap()).await;
        put(&store, ".lifeboat/probe/key", b"x".to_vec()).await;

        let text = list(&store, None, 100, false).await.unwrap();
        let days: Vec<&str> = text.lines().skip(1).take(3).collect();
        assert!(days[0].contains("20261121T02"), "{text}");
        assert!(days[0].ends_with("without end"), "{text}");
        assert!(days[1].trim_end().ends_with('Z'), "{text}");
        assert!(
            days[1].contains("shop.users") && days[2].contains("20261120T02"),
            "{text}"
        );
        assert!(
            text.contains("3 backups in memory:, 1 unfinished attempt"),
            "{text}"
        );
        assert!(
            text.contains("unreadable: shop.orders/20261119T020000Z"),
            "{text}"
        );

        let one = list(&store, Some("shop.users"), 100, true).await.unwrap();
        let value: serde_json::Value = serde_json::from_str(&one).unwrap();
        assert_eq!(value["backups"][0]["directory"], "shop.users");
        assert_eq!(value["backups"].as_array().unwrap().len(), 1);

        let few = list(&store, None, 2, false).await.unwrap();
        assert!(
            few.contains("1 backup in") && few.contains("3 older attempts"),
            "{few}"
        );
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_an_error_that_names_those_that_are() {
        let store = Memory::new();
        let error = list(&store, Some("shop"), 10, false).await.unwrap_err();
        assert!(
            error.to_string().contains("there is none at all"),
            "{error}"
        );
        put(&store, "shop.orders/x", b"x".to_vec()).await;
        let error = list(&store, Some("shop"), 10, false).await.unwrap_err();
        assert!(
            error.to_string().ends_with("there are shop.orders"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_backup_whose_objects_are_missing_or_cut_is_damaged() {
        let store = Memory::new();
        let object = |name: &str| ObjectInfo {
            name: name.to_owned(),
            role: ObjectRole::Dump,
            bytes: 3,
            raw_bytes: 3,
            sha256: "5e".repeat(32),
            raw_sha256: Some("6f".repeat(32)),
        };
        let made = "shop.orders/20261121T020000Z-0123456789ab";
        // A copy in another folder says where it is, not where it was made.
        let copy = "copies/20261121T020000Z-0123456789ab";
        let json = manifest(
            made,
            vec![object("dump.pgc.age"), object("dump.pgc.age.0002")],
        )
        .to_json()
        .unwrap();
        put(&store, &format!("{copy}/manifest.json"), json).await;
        put(&store, &format!("{copy}/dump.pgc.age"), b"12".to_vec()).await;
        let found = backups::find(&store, None, 10).await.unwrap();
        let text = text(&found, "memory:", Timestamp::UNIX_EPOCH);
        assert!(
            text.contains(&format!(
                "damaged: {copy}: dump.pgc.age has 2 bytes instead of 3"
            )) && text.contains(&format!("damaged: {copy}: dump.pgc.age.0002 is missing"))
                && !text.contains(made),
            "{text}"
        );
        let error = verdict(&found).unwrap_err();
        assert_eq!(error.to_string(), "1 backup damaged");

        store.delete(&format!("{copy}/dump.pgc.age")).await.unwrap();
        put(&store, &format!("{copy}/dump.pgc.age"), b"123".to_vec()).await;
        put(
            &store,
            &format!("{copy}/dump.pgc.age.0002"),
            b"123".to_vec(),
        )
        .await;
        let found = backups::find(&store, None, 10).await.unwrap();
        verdict(&found).unwrap();
    }

    /// P10: a manifest that lies about its place, its time or its own sums is no backup to rely on.
    #[tokio::test]
    async fn p10_a_manifest_that_contradicts_itself_is_damaged() {
        type Lie = fn(&mut crate::manifest::Manifest);
        let lies: [(&str, Lie); 4] = [
            ("major of the server", |m| m.server.major = 16),
            ("finishedAt", |m| {
                m.finished_at = "2099-01-01T00:00:00Z".parse().unwrap()
            }),
            ("prefix", |m| m.directory = "shop.users".to_owned()),
            ("stored bytes", |m| m.counts.stored_bytes += 1),
        ];
        for (what, lie) in lies {
            let (store, run) = (Memory::new(), "shop.orders/20261121T020000Z-0123456789ab");
            let mut lying = manifest(run, vec![]);
            lie(&mut lying);
            let json = lying.to_json().unwrap();
            put(&store, &format!("{run}/manifest.json"), json).await;
            let found = backups::find(&store, None, 10).await.unwrap();
            let text = text(&found, "memory:", Timestamp::UNIX_EPOCH);
            let words = format!("damaged: {run}: manifest.json contradicts itself: {what}");
            assert!(text.contains(&words), "{text}");
            assert_eq!(verdict(&found).unwrap_err().to_string(), "1 backup damaged");
        }
    }

    #[tokio::test]
    async fn an_empty_store_says_so() {
        let text = list(&Memory::new(), None, 10, false).await.unwrap();
        assert_eq!(text, "0 backups in memory:\n");
    }
}
