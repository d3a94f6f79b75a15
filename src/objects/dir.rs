//! A folder as a store: `file:///backups`. For trying out and for mounted disks.
//!
//! An object becomes visible whole or not at all: it is written aside, synced, and then linked or renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::memory::page;
use super::{
    Depth, Listed, ObjectStore, Operation, PAGE_ENTRIES, Page, Part, Put, PutMode, StoreError,
    Upload,
};
use crate::api::Reason;

/// Where unfinished objects lie, beside everything else so that a rename stays on one file system.
const ASIDE: &str = ".lifeboat/unfinished";
/// Longest call. A mounted disk can hang.
const LIMIT: Duration = Duration::from_secs(60);
/// Most files that one listing walks over.
const MAX_WALK: usize = 200_000;

/// A folder as a store.
#[derive(Debug)]
pub struct Dir {
    root: PathBuf,
    counter: AtomicU64,
}

impl Dir {
    /// A store in this folder, which is made when the first object is written.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            counter: AtomicU64::new(0),
        }
    }

    /// The path of a key. Keys that would leave the folder are refused.
    fn path(&self, operation: Operation, key: &str) -> Result<PathBuf, StoreError> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if key.split('/').all(plain) && !key.contains(['\0', '\\']) {
            return Ok(self.root.join(key));
        }
        let text = "the key has an empty part, `.` or `..`";
        Err(StoreError::new(
            Reason::InvalidSpec,
            operation,
            &self.place(),
            key,
            text,
        ))
    }

    /// A name for a file aside that no other has: process and count, and the caller makes it with `create_new`.
    fn aside(&self) -> String {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        format!("{}-{count}", std::process::id())
    }

    /// Runs file work on a thread that may wait, bounded in time.
    async fn run<T: Send + 'static>(
        &self,
        operation: Operation,
        key: &str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let error =
            |reason, text: String| StoreError::new(reason, operation, &self.place(), key, text);
        match tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(work)).await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(cause))) => Err(match cause.kind() {
                // A writer makes its folders, so nothing is missing there: it cannot make them.
                ErrorKind::NotFound if !writes(operation) => {
                    StoreError::missing(operation, &self.place(), key)
                }
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    error(Reason::StoreAccessDenied, cause.to_string())
                }
                ErrorKind::AlreadyExists => {
                    error(Reason::AlreadyExists, "the key is taken".to_owned())
                }
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    error(Reason::StoreFull, format!("the store is full ({cause})"))
                }
                _ => error(Reason::StoreFailed, cause.to_string()),
            }),
            Ok(Err(_)) => Err(error(Reason::InternalError, "the work was lost".to_owned())),
            Err(_) => Err(error(
                Reason::StoreUnreachable,
                "no answer in time".to_owned(),
            )),
        }
    }
}

#[async_trait]
impl ObjectStore for Dir {
    fn place(&self) -> String {
        format!("file://{}", self.root.display())
    }

    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<Put, StoreError> {
        let target = self.path(Operation::Put, key)?;
        let (aside, name) = (self.root.join(ASIDE), self.aside());
        self.run(Operation::Put, key, move || {
            let (mut file, path) = create_aside(&aside, &name)?;
            let written = file.write_all(&body).and_then(|()| file.sync_all());
            let placed = written.and_then(|()| publish(&path, &target, mode));
            let _ = fs::remove_file(&path);
            placed
        })
        .await?;
        Ok(Put::default())
    }

    async fn begin(&self, key: &str, part_bytes: u64) -> Result<Upload, StoreError> {
        self.path(Operation::Begin, key)?;
        let (aside, name) = (self.root.join(ASIDE), self.aside());
        let path = self
            .run(Operation::Begin, key, move || {
                create_aside(&aside, &name).map(|(_, path)| path)
            })
            .await?;
        Ok(Upload {
            key: key.to_owned(),
            id: path.display().to_string(),
            part_bytes,
        })
    }

    async fn upload_part(
        &self,
        upload: &Upload,
        number: u32,
        body: Bytes,
    ) -> Result<Part, StoreError> {
        let bytes = super::size(body.len());
        // Every part but the last has the same size, so each has its place at once, in any order.
        let at = u64::from(number.saturating_sub(1)).saturating_mul(upload.part_bytes);
        let path = PathBuf::from(&upload.id);
        self.run(Operation::UploadPart, &upload.key, move || {
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&body)
        })
        .await?;
        Ok(Part {
            number,
            bytes,
            etag: String::new(),
        })
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<(), StoreError> {
        let target = self.path(Operation::Complete, &upload.key)?;
        let path = PathBuf::from(&upload.id);
        let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        self.run(Operation::Complete, &upload.key, move || {
            let file = File::open(&path)?;
            if file.metadata()?.len() != bytes {
                return Err(io::Error::other("parts are missing"));
            }
            file.sync_all()?;
            publish(&path, &target, PutMode::Overwrite)
        })
        .await
    }

    async fn abort(&self, upload: &Upload) -> Result<(), StoreError> {
        let path = PathBuf::from(&upload.id);
        let done = self
            .run(Operation::Abort, &upload.key, move || fs::remove_file(path))
            .await;
        match done {
            Err(error) if error.is_missing() => Ok(()),
            other => other,
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, StoreError> {
        let path = self.path(Operation::Get, key)?;
        let (length, body) = self
            .run(Operation::Get, key, move || {
                let file = File::open(path)?;
                let length = file.metadata()?.len();
                let mut body = Vec::new();
                if length <= max_bytes {
                    file.take(max_bytes).read_to_end(&mut body)?;
                }
                Ok((length, body))
            })
            .await?;
        super::check_size(length, max_bytes, &self.place(), key)?;
        Ok(body.into())
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let path = self.path(Operation::Get, key)?;
        self.run(Operation::Get, key, move || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(range.start))?;
            let mut body = Vec::new();
            file.take(range.end.saturating_sub(range.start))
                .read_to_end(&mut body)?;
            Ok(body.into())
        })
        .await
    }

    async fn head(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let path = self.path(Operation::Head, key)?;
        let found = self
            .run(Operation::Head, key, move || {
                let facts = fs::metadata(path)?;
                Ok(facts.is_file().then_some(facts.len()))
            })
            .await;
        match found {
            Err(error) if error.is_missing() => Ok(None),
            other => other,
        }
    }

    async fn list(
        &self,
        prefix: &str,
        depth: Depth,
        after: Option<&str>,
    ) -> Result<Page, StoreError> {
        let folder = prefix.rsplit_once('/').map_or("", |(head, _)| head);
        if !folder.is_empty() {
            self.path(Operation::List, folder)?;
        }
        let (root, start) = (self.root.clone(), folder.to_owned());
        let mut found = self
            .run(Operation::List, prefix, move || {
                let mut found = Vec::new();
                walk(&root, &start, depth, &mut found)?;
                Ok(found)
            })
            .await?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(page(found, prefix, depth, after, PAGE_ENTRIES))
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path(Operation::Delete, key)?;
        let done = self
            .run(Operation::Delete, key, move || fs::remove_file(path))
            .await;
        match done {
            Err(error) if error.is_missing() => Ok(()),
            other => other,
        }
    }
}

fn writes(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Put | Operation::Begin | Operation::UploadPart | Operation::Complete
    )
}

/// A new file aside. Names of a dead process with our number are stepped over.
fn create_aside(aside: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    fs::create_dir_all(aside)?;
    for again in 0..1_000 {
        let path = aside.join(format!("{name}-{again}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many unfinished files"))
}

/// Makes a synced file visible under its key.
fn publish(path: &Path, target: &Path, mode: PutMode) -> io::Result<()> {
    let folder = target.parent().unwrap_or(target);
    fs::create_dir_all(folder)?;
    match mode {
        PutMode::Overwrite => fs::rename(path, target)?,
        // A link fails when the name is taken, which a rename does not.
        PutMode::CreateOnly => match fs::hard_link(path, target) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
            // No links on this file system (exFAT, some network disks): an empty file takes the name first.
            Err(_) => {
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(target)?;
                fs::rename(path, target)?;
            }
        },
    }
    File::open(folder)?.sync_all()
}

/// Collects files under `folder` (a key); with [`Depth::Folder`] a folder stands as its name and a `/`.
fn walk(root: &Path, folder: &str, depth: Depth, found: &mut Vec<Listed>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let key = super::join(folder, &name);
        let kind = entry.file_type()?;
        if key == ASIDE {
            continue;
        }
        if found.len() >= MAX_WALK {
            return Err(io::Error::other(format!("more than {MAX_WALK} files")));
        }
        match (kind.is_dir(), depth) {
            (true, Depth::All) => walk(root, &key, depth, found)?,
            (true, Depth::Folder) => found.push(Listed {
                key: format!("{key}/"),
                bytes: 0,
            }),
            (false, _) if kind.is_file() => found.push(Listed {
                bytes: entry.metadata()?.len(),
                key,
            }),
            _ => {}
        }
    }
    Ok(())
}
