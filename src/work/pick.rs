//! Which backup a drill takes: from the store alone, because the store is the truth.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::archive;
use super::failure::Failure;
use crate::api::Reason;
use crate::api::restore_drill::{Pick, Select};
use crate::manifest::{CLOCKS, MANIFEST, Manifest};
use crate::objects::{Depth, ObjectStore, join};
use crate::postgres::PgError;

/// Most folders that are listed (STYLE 11).
const MAX_FOLDERS: usize = 100_000;
/// Most manifests that are read to find one that fits.
const MAX_READ: usize = 10_000;

/// What a drill is told of its backup.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Folder of the policy.
    pub directory: String,
    /// What the spec says.
    pub select: Select,
    /// Only backups that were finished by then: another try of the same run picks the same.
    pub decided_at: Timestamp,
    /// Seed of a random pick.
    pub due: Timestamp,
}

/// Finds the folder of the backup.
///
/// # Errors
/// `NoBackup`, saying where was looked; those of the store. A manifest that cannot be read is an error, not a reason to
/// take another backup: what it stands for may be lost.
pub async fn pick(store: &dyn ObjectStore, choice: &Choice) -> Result<String, Failure> {
    let below = choice.select.prefix.as_deref().unwrap_or(&choice.directory);
    let below = below.trim_matches('/');
    if store.head(&join(below, MANIFEST)).await?.is_some() {
        return Ok(below.to_owned());
    }
    let runs = order(folders(store, below).await?, choice);
    for run in runs.iter().take(MAX_READ) {
        match archive::manifest(store, run).await {
            Ok((manifest, _)) if fits(&manifest, choice) => return Ok(run.clone()),
            Ok(_) => {}
            // Under way, or garbage (P1).
            Err(error) if error.reason() == Reason::NoBackup => {}
            Err(error) => return Err(error),
        }
    }
    let what = match (&choice.select.backup, &choice.select.tier) {
        (Some(name), _) => format!("no backup called {name}"),
        (None, Some(tier)) => format!("no backup of the tier {tier}"),
        (None, None) => "no backup".to_owned(),
    };
    let text = format!("there is {what} below {below} in {}", store.place());
    Err(Failure::Postgres(PgError::later(Reason::NoBackup, text)))
}

fn fits(manifest: &Manifest, choice: &Choice) -> bool {
    let select = &choice.select;
    let name = select.backup.as_ref();
    let tier = select.tier.as_ref();
    name.is_none_or(|name| *name == manifest.backup)
        && tier.is_none_or(|tier| manifest.tiers.contains(tier))
        && (name.is_some() || is_over(manifest, choice.decided_at))
}

/// Finished by then; or a date that no clock explains, which must not hide a backup: it contradicts itself, and a drill says so.
fn is_over(manifest: &Manifest, decided_at: Timestamp) -> bool {
    let ahead = manifest.finished_at.duration_since(decided_at);
    ahead.is_zero() || ahead.is_negative() || ahead > CLOCKS
}

/// Names of runs begin with their due time: their order is the order of time. A random one is the first of an
/// order that hangs on the due time of the drill.
fn order(mut runs: Vec<String>, choice: &Choice) -> Vec<String> {
    match choice.select.pick.unwrap_or_default() {
        Pick::Latest => runs.sort_by(|a, b| b.cmp(a)),
        Pick::Oldest => runs.sort(),
        Pick::Random => {
            let seed = choice.due.to_string();
            runs.sort_by_key(|run| {
                let digest: [u8; 32] = Sha256::digest(format!("{seed}\n{run}").as_bytes()).into();
                digest
            });
        }
    }
    runs
}

async fn folders(store: &dyn ObjectStore, below: &str) -> Result<Vec<String>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .list(&format!("{below}/"), Depth::Folder, after.as_deref())
            .await?;
        all.extend(
            page.folders
                .iter()
                .map(|f| f.trim_end_matches('/').to_owned()),
        );
        if page.next.is_none() || all.len() >= MAX_FOLDERS {
            return Ok(all);
        }
        after = page.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(pick: Pick, due: &str) -> Choice {
        Choice {
            directory: "shop.orders".to_owned(),
            select: Select {
                pick: Some(pick),
                ..Select::default()
            },
            decided_at: "2026-11-21T03:00:00Z".parse().unwrap(),
            due: due.parse().unwrap(),
        }
    }

    #[test]
    fn a_random_pick_is_the_same_for_the_same_due_time_and_not_always_the_same() {
        let runs: Vec<String> = (10..30)
            .map(|n| format!("d/202611{n}T000000Z-00"))
            .collect();
        let first = |due: &str| order(runs.clone(), &choice(Pick::Random, due))[0].clone();
        let due = "2026-11-21T03:00:00Z";
        assert_eq!(first(due), first(due));
        let drawn: std::collections::BTreeSet<String> = (1..29)
            .map(|day| first(&format!("2026-11-{day:02}T03:00:00Z")))
            .collect();
        assert!(drawn.len() > 5, "{drawn:?}");
        assert_eq!(order(runs.clone(), &choice(Pick::Latest, due))[0], runs[19]);
        assert_eq!(order(runs.clone(), &choice(Pick::Oldest, due))[0], runs[0]);
    }
}
