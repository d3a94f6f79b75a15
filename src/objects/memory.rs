//! A store in memory, for tests of other rooms.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{
    Depth, Listed, ObjectStore, Operation, PAGE_ENTRIES, Page, Part, Put, PutMode, StoreError,
    Upload,
};
use crate::api::Reason;

/// What a store answers to `If-None-Match: *`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Conditional {
    /// 412 when the key is taken.
    #[default]
    Honoured,
    /// Nothing: it overwrites.
    Ignored,
    /// 501.
    Refused,
}

/// A store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    conditional: Conditional,
    page: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Bytes>,
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    begun: u64,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that treats conditional writes so.
    #[must_use]
    pub fn with_conditional(conditional: Conditional) -> Self {
        Self {
            conditional,
            ..Self::default()
        }
    }

    /// The same with pages of at most `entries`.
    #[must_use]
    pub fn with_page(mut self, entries: usize) -> Self {
        self.page = Some(entries.max(1));
        self
    }

    /// All keys, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// How many uploads are neither completed nor aborted.
    #[must_use]
    pub fn open_uploads(&self) -> usize {
        self.lock().uploads.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self, operation: Operation, upload: &Upload) -> StoreError {
        StoreError::missing(operation, &self.place(), &upload.key)
    }
}

#[async_trait]
impl ObjectStore for Memory {
    fn place(&self) -> String {
        "memory:".to_owned()
    }

    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<Put, StoreError> {
        let mut state = self.lock();
        if mode == PutMode::CreateOnly {
            let (reason, why) = match self.conditional {
                Conditional::Refused => (Reason::NotSupportedByStore, "NotImplemented"),
                Conditional::Honoured if state.objects.contains_key(key) => {
                    (Reason::AlreadyExists, "the key is taken")
                }
                _ => (Reason::Succeeded, ""),
            };
            if reason != Reason::Succeeded {
                return Err(StoreError::new(
                    reason,
                    Operation::Put,
                    &self.place(),
                    key,
                    why,
                ));
            }
        }
        state.objects.insert(key.to_owned(), body);
        Ok(Put::default())
    }

    async fn begin(&self, key: &str, part_bytes: u64) -> Result<Upload, StoreError> {
        let mut state = self.lock();
        state.begun += 1;
        let id = state.begun.to_string();
        state.uploads.insert(id.clone(), BTreeMap::new());
        Ok(Upload {
            key: key.to_owned(),
            id,
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
        let mut state = self.lock();
        let parts = state
            .uploads
            .get_mut(&upload.id)
            .ok_or_else(|| self.gone(Operation::UploadPart, upload))?;
        parts.insert(number, body);
        Ok(Part {
            number,
            bytes,
            etag: format!("{number}-{bytes}"),
        })
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<(), StoreError> {
        let mut state = self.lock();
        let stored = state
            .uploads
            .remove(&upload.id)
            .ok_or_else(|| self.gone(Operation::Complete, upload))?;
        let mut whole = BytesMut::new();
        for part in parts {
            let body = stored
                .get(&part.number)
                .ok_or_else(|| self.gone(Operation::Complete, upload))?;
            whole.extend_from_slice(body);
        }
        state.objects.insert(upload.key.clone(), whole.freeze());
        Ok(())
    }

    async fn abort(&self, upload: &Upload) -> Result<(), StoreError> {
        self.lock().uploads.remove(&upload.id);
        Ok(())
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, StoreError> {
        let body = self.lock().objects.get(key).cloned();
        let body = body.ok_or_else(|| StoreError::missing(Operation::Get, &self.place(), key))?;
        super::check_size(super::size(body.len()), max_bytes, &self.place(), key)?;
        Ok(body)
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let body = self.lock().objects.get(key).cloned();
        let body = body.ok_or_else(|| StoreError::missing(Operation::Get, &self.place(), key))?;
        let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(body.len());
        Ok(body.slice(at(range.start)..at(range.end.max(range.start))))
    }

    async fn head(&self, key: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.lock().objects.get(key).map(|b| super::size(b.len())))
    }

    async fn list(
        &self,
        prefix: &str,
        depth: Depth,
        after: Option<&str>,
    ) -> Result<Page, StoreError> {
        let keys: Vec<Listed> = self
            .lock()
            .objects
            .iter()
            .map(|(key, body)| Listed {
                key: key.clone(),
                bytes: super::size(body.len()),
            })
            .collect();
        Ok(page(
            keys,
            prefix,
            depth,
            after,
            self.page.unwrap_or(PAGE_ENTRIES),
        ))
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.lock().objects.remove(key);
        Ok(())
    }
}

/// Cuts one page out of all objects in the order of their keys. `after` is the last entry of the page before.
pub(super) fn page(
    sorted: impl IntoIterator<Item = Listed>,
    prefix: &str,
    depth: Depth,
    after: Option<&str>,
    entries: usize,
) -> Page {
    let mut page = Page::default();
    let mut last: Option<String> = None;
    for object in sorted {
        let Some(rest) = object.key.strip_prefix(prefix) else {
            continue;
        };
        let folder = match (depth, rest.find('/')) {
            (Depth::Folder, Some(at)) => rest
                .get(..=at)
                .map(|name| format!("{prefix}{name}"))
                .filter(|f| f.len() > prefix.len()),
            _ => None,
        };
        let entry = folder.clone().unwrap_or_else(|| object.key.clone());
        if after.is_some_and(|after| entry.as_str() <= after) || last.as_ref() == Some(&entry) {
            continue;
        }
        if page.objects.len() + page.folders.len() == entries {
            page.next = last;
            return page;
        }
        last = Some(entry);
        match folder {
            Some(folder) => page.folders.push(folder),
            None => page.objects.push(object),
        }
    }
    page
}
