//! Object storage: what a backup is written to and read from.
//!
//! Owns the only code that talks to a bucket. [`ObjectStore`] is the whole vocabulary; [`S3`] speaks it
//! to S3-compatible stores, [`Dir`] to a folder (`file:///…`), [`Memory`] to nothing (tests), and
//! [`Flaky`] wraps any of them with faults. One suite runs against all (`tests/objects.rs`).
//!
//! Must never: overwrite a backup's object (P2, see [`put_new`]), wait without bound, hold a whole stream
//! in memory (P12), or say a credential in an error (P8, see [`StoreError`]).
//!
//! Keys are relative to the store's own prefix: `shop.orders/20261121T020000Z-…/manifest.json`.

pub mod dir;
pub mod error;
pub mod flaky;
pub mod location;
pub mod memory;
pub mod probe;
pub mod proxy;
pub mod s3;
mod s3_answer;
mod s3_connect;
mod s3_error;
mod s3_list;
mod s3_open;
mod s3_read;
mod s3_tries;
mod s3_words;

pub use dir::Dir;
pub use error::{Operation, StoreError};
pub use flaky::{Fault, Flaky, When};
pub use location::{Location, LocationError};
pub use memory::Memory;
pub use probe::probe;
pub use s3::S3;
pub use s3_open::Bucket;

use std::fmt::Debug;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::api::Reason;

/// No single call of a store lasts longer than this, retries included.
pub const CALL_LIMIT: Duration = Duration::from_secs(200);
/// Most entries in one [`Page`].
pub const PAGE_ENTRIES: usize = 1_000;

/// Whether a put may replace what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// It may. Only the probe's keys are ever written so (P2).
    Overwrite,
    /// It must not (`If-None-Match: *`): [`Reason::AlreadyExists`] if the key is taken.
    CreateOnly,
}

/// A put that succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Put {
    /// The store's own clock at that moment, if it told (K2).
    pub server_date: Option<Timestamp>,
}

/// A multipart upload under way. Nothing is visible under the key before [`ObjectStore::complete`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The key it will become.
    pub key: String,
    /// The store's name for it.
    pub id: String,
    /// Bytes of every part but the last.
    pub part_bytes: u64,
}

/// A part that the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its place, from 1.
    pub number: u32,
    /// Bytes in it.
    pub bytes: u64,
    /// What the store calls its content; needed to complete.
    pub etag: String,
}

/// How deep a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every key under the prefix.
    All,
    /// Keys directly under the prefix, and the names of the folders there (the prefix ends in `/` or is empty).
    Folder,
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
}

/// One page of a listing, at most [`PAGE_ENTRIES`] entries, in the order of the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Objects.
    pub objects: Vec<Listed>,
    /// Folders, each ending in `/`; only with [`Depth::Folder`].
    pub folders: Vec<String>,
    /// Give this to the next call; `None` on the last page.
    pub next: Option<String>,
}

/// A place that keeps objects.
///
/// Every call ends within [`CALL_LIMIT`] and every error says operation, place and key and never a credential.
#[async_trait]
pub trait ObjectStore: Send + Sync + Debug {
    /// Where this is, for people: `s3://bucket/prefix`, `file:///backups`.
    fn place(&self) -> String;

    /// Writes one small object at once.
    ///
    /// # Errors
    /// [`StoreError`]; [`Reason::AlreadyExists`] with [`PutMode::CreateOnly`] when the key is taken.
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<Put, StoreError>;

    /// Begins an upload in parts. Every part but the last will have exactly `part_bytes` (R2 demands it).
    ///
    /// # Errors
    /// [`StoreError`].
    async fn begin(&self, key: &str, part_bytes: u64) -> Result<Upload, StoreError>;

    /// Uploads part `number` (from 1), in any order, also at the same time as others.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn upload_part(
        &self,
        upload: &Upload,
        number: u32,
        body: Bytes,
    ) -> Result<Part, StoreError>;

    /// Makes the parts, in the order of their numbers, one object.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<(), StoreError>;

    /// Gives an upload up. An upload that is gone is no error.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn abort(&self, upload: &Upload) -> Result<(), StoreError>;

    /// Reads an object of at most `max_bytes`.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::is_missing`] when there is none; also when it is larger.
    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, StoreError>;

    /// Reads the bytes of `range` of an object, or as many of them as it has.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::is_missing`] when there is no such object.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError>;

    /// The size of an object, `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn head(&self, key: &str) -> Result<Option<u64>, StoreError>;

    /// One page of what is under `prefix`. `after` is the previous page's `next`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list(
        &self,
        prefix: &str,
        depth: Depth,
        after: Option<&str>,
    ) -> Result<Page, StoreError>;

    /// Removes an object. One that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delete(&self, key: &str) -> Result<(), StoreError>;
}

/// Writes an object that must not exist yet: manifests and every small object of a backup (P2).
///
/// A store that does not take `If-None-Match` (400, 501) gets a plain put: the prefix ends in the pod's uid, so nobody
/// else writes there, and the store's condition `ConditionalWrites` says what it lacks.
///
/// # Errors
/// [`StoreError`]; [`Reason::AlreadyExists`] when the key is taken.
pub async fn put_new(store: &dyn ObjectStore, key: &str, body: Bytes) -> Result<Put, StoreError> {
    match store.put(key, body.clone(), PutMode::CreateOnly).await {
        Err(error) if error.reason() == Reason::NotSupportedByStore => {
            store.put(key, body, PutMode::Overwrite).await
        }
        other => other,
    }
}

/// `head` and `tail` with one slash between them; either may be empty.
#[must_use]
pub fn join(head: &str, tail: &str) -> String {
    let head = head.trim_matches('/');
    if head.is_empty() {
        tail.to_owned()
    } else {
        format!("{head}/{tail}")
    }
}

/// A length as the store counts it.
pub(crate) fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Refuses an object that is larger than the reader is ready for (STYLE 11).
fn check_size(bytes: u64, max_bytes: u64, place: &str, key: &str) -> Result<(), StoreError> {
    if bytes <= max_bytes {
        return Ok(());
    }
    Err(StoreError::new(
        Reason::StoreFailed,
        Operation::Get,
        place,
        key,
        format!("it has {bytes} bytes, more than the {max_bytes} that are read"),
    ))
}
