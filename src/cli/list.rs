//! `lifeboat list`: the backups in a store, read from the bucket alone (P1).

use std::fmt::Write as _;

use serde::Serialize;

use super::CommandError;
use super::backups::{self, Found};
use crate::manifest::Manifest;
use crate::objects::{Location, ObjectStore};

/// Arguments of `lifeboat list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the backups are: s3://bucket/prefix?endpoint=… or file:///path. S3 keys come from AWS's own environment and profiles.
    #[arg(long, value_name = "URL")]
    from: Location,
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
/// When the store cannot be read.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let store = args.from.open().await?;
    let text = list(
        store.as_ref(),
        args.directory.as_deref(),
        args.limit,
        args.json,
    )
    .await?;
    print!("{text}");
    Ok(())
}

/// What `lifeboat list` prints.
///
/// # Errors
/// When the store cannot be read.
pub async fn list(
    store: &dyn ObjectStore,
    directory: Option<&str>,
    limit: usize,
    json: bool,
) -> Result<String, CommandError> {
    let found = backups::find(store, directory, limit).await?;
    if json {
        return Ok(serde_json::to_string_pretty(&document(&found))? + "\n");
    }
    Ok(text(&found, &store.place()))
}

fn text(found: &Found, place: &str) -> String {
    let mut out = String::new();
    if !found.manifests.is_empty() {
        let header = [
            "FOLDER", "BACKUP", "WHY", "TABLES", "ROWS", "STORED", "FINISHED",
        ];
        let mut table = backups::table(&header, &[3, 4, 5]);
        for manifest in &found.manifests {
            table.add_row([
                // As `lifeboat inspect` takes it.
                backups::plain(&manifest.prefix),
                backups::plain(&manifest.backup),
                why(manifest),
                backups::number(manifest.counts.tables),
                backups::number(manifest.counts.rows),
                backups::size(manifest.counts.stored_bytes),
                manifest
                    .finished_at
                    .strftime("%Y-%m-%dT%H:%M:%SZ")
                    .to_string(),
            ]);
        }
        for line in table.lines() {
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out.push('\n');
    }
    let _ = write!(out, "{} in {place}", count(found.manifests.len(), "backup"));
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

fn why(manifest: &Manifest) -> String {
    if manifest.tiers.is_empty() {
        return format!("{:?}", manifest.reason);
    }
    backups::plain(&manifest.tiers.join(","))
}

fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    backups: &'a [Manifest],
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
        backups: &found.manifests,
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
    use crate::objects::Memory;

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
        put(&store, "shop.orders/pins/x.json", b"{}".to_vec()).await;
        put(&store, ".lifeboat/probe/key", b"x".to_vec()).await;

        let text = list(&store, None, 100, false).await.unwrap();
        let days: Vec<&str> = text.lines().skip(1).take(3).collect();
        assert!(days[0].contains("20261121T02"), "{text}");
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
    async fn an_empty_store_says_so() {
        let text = list(&Memory::new(), None, 10, false).await.unwrap();
        assert_eq!(text, "0 backups in memory:\n");
    }
}
