//! Any store, with faults: the n-th call of an operation fails, before or after its effect.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Depth, ObjectStore, Operation, Page, Part, Put, PutMode, StoreError, Upload};
use crate::api::Reason;

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing reached the store.
    Before,
    /// The store did it, the answer was lost.
    After,
}

/// One planned fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Of which operation.
    pub operation: Operation,
    /// Which call of it, from 1; 0 means every one.
    pub call: u64,
    /// Before or after the effect.
    pub when: When,
    /// What is answered.
    pub reason: Reason,
}

/// A store with faults.
#[derive(Debug)]
pub struct Flaky {
    inner: Arc<dyn ObjectStore>,
    faults: Vec<Fault>,
    calls: Mutex<BTreeMap<Operation, u64>>,
}

impl Flaky {
    /// `inner` with these faults.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, faults: Vec<Fault>) -> Self {
        Self {
            inner,
            faults,
            calls: Mutex::default(),
        }
    }

    /// How often an operation was called.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(&operation).copied().unwrap_or(0)
    }

    fn strike(&self, operation: Operation, key: &str) -> (Option<StoreError>, Option<StoreError>) {
        let call = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let call = calls.entry(operation).or_insert(0);
            *call += 1;
            *call
        };
        let find = |when| {
            self.faults
                .iter()
                .find(|f| {
                    f.operation == operation && f.when == when && (f.call == 0 || f.call == call)
                })
                .map(|f| {
                    let text = format!("planned fault of call {call}");
                    let error = StoreError::new(f.reason, operation, &self.place(), key, text);
                    if when == When::After {
                        error.or_done()
                    } else {
                        error
                    }
                })
        };
        (find(When::Before), find(When::After))
    }
}

macro_rules! strike {
    ($self:ident, $operation:ident, $key:expr, $call:expr) => {{
        let (before, after) = $self.strike(Operation::$operation, $key);
        if let Some(error) = before {
            return Err(error);
        }
        let answer = $call.await?;
        match after {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }};
}

#[async_trait]
impl ObjectStore for Flaky {
    fn place(&self) -> String {
        self.inner.place()
    }

    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<Put, StoreError> {
        strike!(self, Put, key, self.inner.put(key, body, mode))
    }

    async fn begin(&self, key: &str, part_bytes: u64) -> Result<Upload, StoreError> {
        strike!(self, Begin, key, self.inner.begin(key, part_bytes))
    }

    async fn upload_part(
        &self,
        upload: &Upload,
        number: u32,
        body: Bytes,
    ) -> Result<Part, StoreError> {
        strike!(
            self,
            UploadPart,
            &upload.key,
            self.inner.upload_part(upload, number, body)
        )
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<(), StoreError> {
        strike!(
            self,
            Complete,
            &upload.key,
            self.inner.complete(upload, parts)
        )
    }

    async fn abort(&self, upload: &Upload) -> Result<(), StoreError> {
        strike!(self, Abort, &upload.key, self.inner.abort(upload))
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, StoreError> {
        strike!(self, Get, key, self.inner.get(key, max_bytes))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        strike!(self, Get, key, self.inner.get_range(key, range))
    }

    async fn head(&self, key: &str) -> Result<Option<u64>, StoreError> {
        strike!(self, Head, key, self.inner.head(key))
    }

    async fn list(
        &self,
        prefix: &str,
        depth: Depth,
        after: Option<&str>,
    ) -> Result<Page, StoreError> {
        strike!(self, List, prefix, self.inner.list(prefix, depth, after))
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        strike!(self, Delete, key, self.inner.delete(key))
    }
}
