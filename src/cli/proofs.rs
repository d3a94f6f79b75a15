//! Finding and reading the proofs beside backups, for `lifeboat report`.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::CommandError;
use super::backups::{self, Backup, Found, Read};
use crate::codec::hex;
use crate::manifest::{
    Beside, MANIFEST, MAX_MANIFEST_BYTES, MAX_PROOF_BYTES, Manifest, PROOFS, Proof,
};
use crate::objects::{Depth, ObjectStore, StoreError, join};
use crate::report::{Directory, Line, Source, Standing};
use crate::work::clock;
use crate::work::contradictions::sentence;

/// Proofs that are read at the same time: each may be large.
const READERS: usize = 4;
/// Most proofs of one backup that are looked at (STYLE 11).
const MAX_PROOFS: usize = 1_000;
/// Most runs that an error names.
const MAX_NAMES: usize = 20;

/// One proof as it is stored, and read.
#[derive(Debug)]
pub(super) struct Stored {
    /// Its bytes.
    pub(super) bytes: Bytes,
    /// What they say.
    pub(super) proof: Proof,
    /// Where they were found.
    pub(super) source: Source,
}

/// The proofs of a directory.
#[derive(Debug, Default)]
pub(super) struct All {
    /// What the report needs of them.
    pub(super) directory: Directory,
    /// If they were asked for: as they are stored, newest first.
    pub(super) stored: Vec<Bytes>,
}

/// The proof of a run, or the one that ended last.
///
/// # Errors
/// Those of the store; that there is no such backup, run or proof, saying what there is. Also a proof that cannot be
/// read, unless a run is named: it may be the newest.
pub(super) async fn one(
    store: &dyn ObjectStore,
    at: &str,
    run: Option<&str>,
) -> Result<Stored, CommandError> {
    let runs = runs(store, at).await?;
    let wanted: Vec<&String> = match run {
        Some(name) => runs.iter().filter(|r| *r == name).collect(),
        None => runs.iter().collect(),
    };
    if wanted.is_empty() {
        return Err(missing(store, at, run, &runs).await?);
    }
    let today = today(store, at).await?;
    let proofs = stream::iter(wanted).map(|run| proof(store, at, run, &today));
    let newest =
        proofs
            .buffered(READERS)
            .try_fold(None, |newest: Option<Stored>, next| async move {
                Ok(Some(match newest {
                    Some(old) if old.proof.finished_at >= next.proof.finished_at => old,
                    _ => next,
                }))
            });
    match newest.await {
        Ok(Some(newest)) => Ok(newest),
        Ok(None) => Err(missing(store, at, run, &runs).await?),
        Err(error) if run.is_none() && runs.len() > 1 => {
            Err(format!("{error}; --run takes another: {}", names(&runs)).into())
        }
        Err(error) => Err(error),
    }
}

/// Every proof in a directory; of the newest `limit` attempts.
///
/// # Errors
/// Those of the store, or that there is no such directory. What cannot be read is no error: the others go on.
pub(super) async fn all(
    store: &dyn ObjectStore,
    name: &str,
    limit: usize,
    keep: bool,
) -> Result<All, CommandError> {
    let found = backups::find(store, Some(name), limit).await?;
    let mut all = All::default();
    // Also where no manifest is left: what was proven once still was.
    let places = found.backups.iter().map(|b| b.at.as_str());
    let places = places.chain(found.unfinished.iter().map(String::as_str));
    let places = places.chain(found.unreadable.iter().map(|(at, _)| at.as_str()));
    let reads = stream::iter(places).map(|at| async move {
        let runs = runs(store, at).await?;
        let today = match runs.is_empty() {
            true => Today::default(),
            false => today(store, at).await?,
        };
        Ok::<_, CommandError>((at, runs, today))
    });
    let places: Vec<_> = reads.buffered(2 * READERS).try_collect().await?;
    let wanted = places
        .iter()
        .flat_map(|(at, runs, today)| runs.iter().map(move |run| (*at, run, today)));
    let reads = stream::iter(wanted).map(|(at, run, today)| async move {
        // One line is all that stays of it: a proof may name every table of a large database.
        let read = proof(store, at, run, today).await;
        read.map(|stored| {
            let line = Line::of(&stored.proof, at, stored.source.standing);
            (line, keep.then_some(stored.bytes))
        })
    });
    let read: Vec<_> = reads.buffered(READERS).collect().await;
    let mut lines = Vec::new();
    for result in read {
        match result {
            Ok(line) => lines.push(line),
            Err(error) => all.directory.unreadable.push(error.to_string()),
        }
    }
    lines.sort_by(|(a, _), (b, _)| {
        let newest = b.finished_at.cmp(&a.finished_at);
        newest.then_with(|| (&a.at, &a.run).cmp(&(&b.at, &b.run)))
    });
    for (line, bytes) in lines {
        all.directory.lines.push(line);
        all.stored.extend(bytes);
    }
    describe(&mut all.directory, &found);
    all.directory.name = name.to_owned();
    all.directory.place = store.place();
    Ok(all)
}

fn describe(directory: &mut Directory, found: &Found) {
    let whole = |backup: &&Backup| backup.faults.is_empty();
    let points = found.backups.iter().filter(whole);
    directory.points = points.map(|b| b.manifest.data_at).collect();
    for backup in found.backups.iter().filter(|b| !whole(b)) {
        let faults = backup.faults.join("; ");
        directory.damaged.push(format!("{}: {faults}", backup.at));
    }
    let unreadable = found.unreadable.iter();
    let unreadable = unreadable.map(|(at, why)| format!("{at}: {why}"));
    directory.unreadable.extend(unreadable);
    directory.older = found.older;
}

/// Names of the runs that left a proof beside a backup, ordered.
async fn runs(store: &dyn ObjectStore, at: &str) -> Result<Vec<String>, StoreError> {
    let folder = format!("{}/", join(at, PROOFS));
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(&folder, Depth::Folder, after.as_deref()).await?;
        let keys = page.objects.iter();
        let found = keys.filter_map(|o| o.key.strip_prefix(&folder)?.strip_suffix(".json"));
        names.extend(found.map(str::to_owned));
        if page.next.is_none() || names.len() >= MAX_PROOFS {
            names.truncate(MAX_PROOFS);
            return Ok(names);
        }
        after = page.next;
    }
}

async fn proof(
    store: &dyn ObjectStore,
    at: &str,
    run: &str,
    today: &Today,
) -> Result<Stored, CommandError> {
    let key = join(at, &format!("{PROOFS}/{run}.json"));
    let most = u64::try_from(MAX_PROOF_BYTES).unwrap_or(u64::MAX);
    let bytes = store.get(&key, most).await?;
    let proof =
        Proof::parse(&bytes).map_err(|error| format!("{}: {error}", backups::plain(&key)))?;
    let beside = Beside {
        at,
        run,
        manifest: today.document.as_ref().zip(today.manifest.as_deref()),
        now: clock::now(),
    };
    if let Some(said) = sentence(&proof.contradictions(&beside)) {
        let (key, said) = (backups::plain(&key), backups::plain(&said));
        let text = format!("{key} contradicts itself, and counts for nothing: {said}");
        return Err(text.into());
    }
    let standing = match &today.manifest {
        None => Standing::Gone,
        Some(sha256) if *sha256 != proof.backup.manifest_sha256 => Standing::Changed,
        Some(_) if today.damaged => Standing::Damaged,
        Some(_) => Standing::AsDrilled,
    };
    let source = Source {
        place: store.place(),
        key,
        sha256: sha256(&bytes),
        standing,
    };
    Ok(Stored {
        bytes,
        proof,
        source,
    })
}

/// What stands there now.
#[derive(Debug, Clone, Default)]
struct Today {
    /// Digest of the manifest, if there is one.
    manifest: Option<String>,
    /// The manifest itself, if it can be read.
    document: Option<Manifest>,
    /// Objects are missing, or not as long as it says.
    damaged: bool,
}

async fn today(store: &dyn ObjectStore, at: &str) -> Result<Today, StoreError> {
    let most = u64::try_from(MAX_MANIFEST_BYTES).unwrap_or(u64::MAX);
    let bytes = match store.get(&join(at, MANIFEST), most).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(Today::default()),
        Err(error) => return Err(error),
    };
    let damaged = match backups::read(store, at).await? {
        Read::Backup(backup) => !backup.faults.is_empty(),
        Read::Unfinished | Read::Unreadable(_) => true,
    };
    Ok(Today {
        manifest: Some(sha256(&bytes)),
        document: Manifest::parse(&bytes).ok(),
        damaged,
    })
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Why there is nothing to report, and what there is.
async fn missing(
    store: &dyn ObjectStore,
    at: &str,
    run: Option<&str>,
    runs: &[String],
) -> Result<CommandError, StoreError> {
    let place = store.place();
    let at_plain = backups::plain(at);
    if let (Some(run), false) = (run, runs.is_empty()) {
        let run = backups::plain(run);
        let text = format!(
            "--run: no drill {run} left a proof beside {at_plain} in {place}; there are {}",
            names(runs)
        );
        return Ok(text.into());
    }
    let text = match backups::read(store, at).await? {
        Read::Unfinished => format!(
            "there is no backup {at_plain} in {place}: it has no manifest.json; if it is a directory, --all reports everything in it"
        ),
        Read::Backup(_) | Read::Unreadable(_) => {
            format!(
                "no drill left a proof beside {at_plain} in {place}: nothing proves this backup yet"
            )
        }
    };
    Ok(text.into())
}

fn names(runs: &[String]) -> String {
    let named: Vec<String> = runs
        .iter()
        .take(MAX_NAMES)
        .map(|r| backups::plain(r))
        .collect();
    let more = match runs.len() > MAX_NAMES {
        true => " and more",
        false => "",
    };
    format!("{}{more}", named.join(", "))
}
