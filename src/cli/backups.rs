//! What `lifeboat list` and `lifeboat inspect` share: finding manifests in a store, and words for people.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{CellAlignment, Table, presets};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::CommandError;
use crate::api::Reason;
use crate::api::restore_drill::Select;
use crate::manifest::{
    MANIFEST, MAX_MANIFEST_BYTES, Manifest, ObjectInfo, ObjectRole, PINS, PROOFS, Pin, is_run,
    pins_of,
};
use crate::objects::{Depth, ObjectStore, StoreError, join};
use crate::work::clock;
use crate::work::failure::Failure;
pub(super) use crate::work::human::{number, size};
use crate::work::pick::{Choice, pick};
use crate::work::pins;

/// Manifests that are read at the same time.
const READERS: usize = 8;
/// Most attempts that one look goes over (STYLE 11).
const MAX_RUNS: usize = 100_000;
/// Most directories that an error names.
const MAX_NAMES: usize = 20;

/// A backup where it was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Backup {
    /// Its folder. The manifest names the one it was made in: a copy lies elsewhere.
    pub(super) at: String,
    /// Objects that are missing or not as long as the manifest says, and where that contradicts itself or its place; a
    /// sentence each; empty: none.
    pub(super) faults: Vec<String>,
    /// Who wants it kept; read by [`find`] only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) pins: Vec<Pin>,
    /// What the last drill of it said; read by `lifeboat list` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drill: Option<String>,
    /// Drills left proofs beside it.
    #[serde(skip)]
    pub(super) drilled: bool,
    /// What it says of itself.
    #[serde(flatten)]
    pub(super) manifest: Manifest,
}

impl Backup {
    /// The object that says what is inside.
    pub(super) fn contents(&self) -> Option<&ObjectInfo> {
        let objects = &self.manifest.objects;
        objects.iter().find(|o| o.role == ObjectRole::Contents)
    }
}

/// What stands in a store.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Backups, newest first.
    pub(super) backups: Vec<Backup>,
    /// Prefixes without a manifest: under way, or garbage (P1).
    pub(super) unfinished: Vec<String>,
    /// Prefixes whose manifest cannot be read, and why.
    pub(super) unreadable: Vec<(String, String)>,
    /// Older attempts that were not looked at.
    pub(super) older: usize,
}

/// Looks at the newest `limit` attempts, in one directory or in all.
///
/// # Errors
/// [`StoreError`], or that there is no such directory. A manifest that cannot be read is no error: the
/// others go on.
pub(super) async fn find(
    store: &dyn ObjectStore,
    directory: Option<&str>,
    limit: usize,
) -> Result<Found, CommandError> {
    let all = folders(store, "").await?;
    let directories = match directory {
        Some(one) => {
            let one = format!("{}/", one.trim_matches('/'));
            if !all.contains(&one) {
                return Err(no_directory(store, &one, &all));
            }
            vec![one]
        }
        None => all,
    };
    let mut runs = Vec::new();
    for directory in directories.iter().filter(|d| !d.starts_with('.')) {
        runs.extend(
            folders(store, directory)
                .await?
                .into_iter()
                // Beside them lie `pins/`, `owners/` ….
                .filter(|r| is_run(run_name(r))),
        );
        if runs.len() >= MAX_RUNS {
            break;
        }
    }
    // The name of an attempt begins with its due time, so its order is the order of time.
    runs.sort_by(|a, b| run_name(b).cmp(run_name(a)).then_with(|| a.cmp(b)));
    let older = runs.len().saturating_sub(limit);
    runs.truncate(limit);
    let looks = runs.into_iter().map(|run| async move {
        let prefix = run.trim_end_matches('/').to_owned();
        let read = read(store, &prefix).await?;
        Ok::<_, StoreError>((prefix, read))
    });
    let looked: Vec<(String, Read)> = stream::iter(looks).buffered(READERS).try_collect().await?;
    let mut found = Found {
        older,
        ..Found::default()
    };
    for (prefix, read) in looked {
        match read {
            Read::Backup(backup) => found.backups.push(*backup),
            Read::Unfinished => found.unfinished.push(prefix),
            Read::Unreadable(why) => found.unreadable.push((prefix, why)),
        }
    }
    pinned(store, &directories, &mut found).await?;
    Ok(found)
}

/// Reads the pins of those backups that have some.
async fn pinned(
    store: &dyn ObjectStore,
    directories: &[String],
    found: &mut Found,
) -> Result<(), StoreError> {
    let mut some = BTreeSet::new();
    for directory in directories {
        some.extend(folders(store, &format!("{directory}{PINS}/")).await?);
    }
    for backup in &mut found.backups {
        let folder = pins_of(&backup.at);
        if !some.contains(&folder) {
            continue;
        }
        match pins::pins(store, &backup.at).await {
            Ok(pins) => backup.pins = pins,
            Err(Failure::Store(error)) => return Err(error),
            Err(failure) => found.unreadable.push((folder, failure.to_string())),
        }
    }
    Ok(())
}

/// The folder of a backup, however it was pasted.
pub(super) fn folder(text: &str) -> &str {
    text.trim_end_matches("manifest.json").trim_matches('/')
}

/// The folder of a backup: the one that was named, or the newest of a directory, said on standard error.
///
/// # Errors
/// Those of the store; that there is no backup below.
pub(super) async fn folder_or_newest(
    store: &dyn ObjectStore,
    text: &str,
) -> Result<String, CommandError> {
    let named = folder(text).to_owned();
    if is_run(run_name(&named)) {
        return Ok(named);
    }
    let now = clock::now();
    let choice = Choice {
        directory: named.clone(),
        select: Select::default(),
        decided_at: now,
        due: now,
    };
    let newest = pick(store, &choice).await;
    let newest = newest.map_err(|failure| match failure.reason() {
        Reason::NoBackup => {
            let (named, place) = (plain(&named), store.place());
            format!("there is no backup {named} in {place}: it has no manifest.json, and nothing below it has one").into()
        }
        _ => CommandError::from(failure),
    })?;
    if newest != named {
        super::out::complain(format!(
            "the newest backup of {}: {}",
            plain(&named),
            plain(&newest)
        ));
    }
    Ok(newest)
}

/// What stands under one prefix.
#[derive(Debug)]
pub(super) enum Read {
    /// A backup.
    Backup(Box<Backup>),
    /// No manifest.
    Unfinished,
    /// A manifest that cannot be read.
    Unreadable(String),
}

fn no_directory(store: &dyn ObjectStore, wanted: &str, all: &[String]) -> CommandError {
    let names = all.iter().map(|d| d.trim_end_matches('/'));
    let mut names: Vec<String> = names.filter(|d| !d.starts_with('.')).map(plain).collect();
    let more = names.len() > MAX_NAMES;
    names.truncate(MAX_NAMES);
    let there = match names.len() {
        0 => "there is none at all".to_owned(),
        _ if more => format!("there are {} and more", names.join(", ")),
        _ => format!("there are {}", names.join(", ")),
    };
    let (wanted, place) = (plain(wanted.trim_end_matches('/')), store.place());
    format!("there is no directory {wanted} in {place}; {there}").into()
}

/// Reads the manifest under a prefix, and looks whether its objects are there.
///
/// # Errors
/// [`StoreError`], but not that it is missing.
pub(super) async fn read(store: &dyn ObjectStore, prefix: &str) -> Result<Read, StoreError> {
    let most = u64::try_from(MAX_MANIFEST_BYTES).unwrap_or(u64::MAX);
    Ok(match store.get(&join(prefix, MANIFEST), most).await {
        Ok(bytes) => match Manifest::parse(&bytes) {
            Ok(manifest) => {
                let (faults, drilled) = faults(store, prefix, &manifest).await?;
                Read::Backup(Box::new(Backup {
                    faults: faults.into_iter().chain(lies(prefix, &manifest)).collect(),
                    at: prefix.to_owned(),
                    pins: Vec::new(),
                    drill: None,
                    drilled,
                    manifest,
                }))
            }
            Err(error) => Read::Unreadable(error.to_string()),
        },
        Err(error) if error.is_missing() => Read::Unfinished,
        Err(error) if error.reason() == Reason::StoreFailed => Read::Unreadable(error.to_string()),
        Err(error) => return Err(error),
    })
}

/// What is not as the manifest says: which objects are there, and how long they are. Their content is
/// only proved by reading it. And whether proofs lie beside them.
async fn faults(
    store: &dyn ObjectStore,
    prefix: &str,
    manifest: &Manifest,
) -> Result<(Vec<String>, bool), StoreError> {
    let mut there = BTreeMap::new();
    let mut after = None;
    loop {
        let page = match store
            .list(&join(prefix, ""), Depth::All, after.as_deref())
            .await
        {
            Ok(page) => page,
            // A key that may read one object and list nothing can still look at it.
            Err(error) if error.reason() == Reason::StoreAccessDenied => {
                return Ok((Vec::new(), false));
            }
            Err(error) => return Err(error),
        };
        there.extend(page.objects.into_iter().map(|o| (o.key, o.bytes)));
        if page.next.is_none() || there.len() >= MAX_RUNS {
            break;
        }
        after = page.next;
    }
    let fault = |object: &ObjectInfo| {
        let name = plain(&object.name);
        match there.get(&join(prefix, &object.name)) {
            None => Some(format!("{name} is missing")),
            Some(bytes) if i64::try_from(*bytes) != Ok(object.bytes) => Some(format!(
                "{name} has {bytes} bytes instead of {}",
                object.bytes
            )),
            Some(_) => None,
        }
    };
    let proofs = join(prefix, &format!("{PROOFS}/"));
    let drilled = there.keys().any(|key| key.starts_with(&proofs));
    Ok((manifest.objects.iter().filter_map(fault).collect(), drilled))
}

/// Where it contradicts itself or the folder that it lies in.
fn lies(prefix: &str, manifest: &Manifest) -> impl Iterator<Item = String> {
    let lies = manifest.contradictions(prefix, clock::now());
    lies.into_iter().take(MAX_NAMES).map(|lie| {
        let text = format!("{}: {}, but {}", lie.object, lie.expected, lie.found);
        plain(&format!("{MANIFEST} contradicts itself: {text}"))
    })
}

/// All folders directly under a prefix.
async fn folders(store: &dyn ObjectStore, prefix: &str) -> Result<Vec<String>, StoreError> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(prefix, Depth::Folder, after.as_deref()).await?;
        all.extend(page.folders);
        if page.next.is_none() || all.len() >= MAX_RUNS {
            return Ok(all);
        }
        after = page.next;
    }
}

fn run_name(folder: &str) -> &str {
    let folder = folder.trim_end_matches('/');
    folder.rsplit_once('/').map_or(folder, |(_, name)| name)
}

/// A table without frames; `right` are the columns of numbers.
pub(super) fn table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.to_vec());
    for index in 0..header.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if right.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
}

/// Text from a manifest on one line of a terminal: whoever can write the bucket can write it.
pub(super) fn plain(text: &str) -> String {
    first(text, 200)
}

/// A sentence of a drill, as long as they are: its remedy or fingerprint stands at the end.
pub(super) fn sentence(text: &str) -> String {
    first(&super::words::at_a_shell(text), 2_000)
}

fn first(text: &str, most: usize) -> String {
    text.chars()
        .take(most)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
