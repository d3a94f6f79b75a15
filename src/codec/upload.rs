//! Parts become objects: a small one by a single put, a large one by multipart, a very large one in pieces.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::{CodecError, Limits, hex, piece_name};
use crate::objects::{ObjectStore, Part, StoreError, Upload, join, put_new};

/// Giving up an upload may not take longer than this: the worker has 60 s to end (K3).
const ABORT_LIMIT: Duration = Duration::from_secs(15);

/// One stored object.
pub(super) struct Piece {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Takes parts in order and makes objects of them.
pub(super) struct Uploader {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    name: String,
    limits: Limits,
    open: Option<Open>,
    pieces: Vec<Piece>,
    stored: u64,
}

/// The object under way.
struct Open {
    upload: Upload,
    sha256: Sha256,
    bytes: u64,
    parts: u32,
    done: Vec<Part>,
    flying: JoinSet<Result<Part, StoreError>>,
}

impl Uploader {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        name: String,
        limits: Limits,
    ) -> Self {
        Self {
            store,
            prefix: prefix.to_owned(),
            name,
            limits,
            open: None,
            pieces: Vec::new(),
            stored: 0,
        }
    }

    /// Bytes handed to the store so far.
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    /// The name of the object under way.
    fn piece(&self) -> String {
        let number = u32::try_from(self.pieces.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        piece_name(&self.name, number)
    }

    /// Uploads one part; waits only until one of the parts in flight is through.
    pub(super) async fn part(&mut self, body: Bytes) -> Result<(), CodecError> {
        let full = |open: &Open| open.parts >= self.limits.parts_per_object;
        if self.open.as_ref().is_some_and(full) {
            self.close().await?;
        }
        if self.open.is_none() {
            let key = join(&self.prefix, &self.piece());
            let part_bytes = crate::objects::size(self.limits.part_bytes);
            self.open = Some(Open {
                upload: self.store.begin(&key, part_bytes).await?,
                sha256: Sha256::new(),
                bytes: 0,
                parts: 0,
                done: Vec::new(),
                flying: JoinSet::new(),
            });
        }
        let Some(open) = self.open.as_mut() else {
            return Err(CodecError::Broken(self.name.clone()));
        };
        open.sha256.update(&body);
        let bytes = crate::objects::size(body.len());
        while open.flying.len() >= self.limits.parts_in_flight.max(1) {
            open.land().await?;
        }
        open.bytes += bytes;
        open.parts += 1;
        self.stored += bytes;
        let (store, upload, number) = (self.store.clone(), open.upload.clone(), open.parts);
        open.flying
            .spawn(async move { store.upload_part(&upload, number, body).await });
        Ok(())
    }

    /// Completes the object under way.
    async fn close(&mut self) -> Result<(), CodecError> {
        let name = self.piece();
        let Some(open) = self.open.as_mut() else {
            return Ok(());
        };
        while !open.flying.is_empty() {
            open.land().await?;
        }
        open.done.sort_by_key(|part| part.number);
        self.store.complete(&open.upload, &open.done).await?;
        self.pieces.push(Piece {
            name,
            bytes: open.bytes,
            sha256: hex(&open.sha256.clone().finalize()),
        });
        self.open = None;
        Ok(())
    }

    /// The last part, and the end.
    pub(super) async fn finish(&mut self, rest: Bytes) -> Result<Vec<Piece>, CodecError> {
        let small = self.open.is_none() && self.pieces.is_empty();
        if small {
            let key = join(&self.prefix, &self.piece());
            let piece = Piece {
                name: self.piece(),
                bytes: crate::objects::size(rest.len()),
                sha256: hex(&Sha256::digest(&rest)),
            };
            self.stored += piece.bytes;
            put_new(self.store.as_ref(), &key, rest).await?;
            self.pieces.push(piece);
        } else if !rest.is_empty() {
            self.part(rest).await?;
        }
        self.close().await?;
        Ok(std::mem::take(&mut self.pieces))
    }

    /// Gives up the upload under way, as well as that goes. Completed pieces stay: without a manifest they
    /// are garbage, and the writer may not delete (P1, P7).
    pub(super) async fn abort(&mut self) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        open.flying.shutdown().await;
        give_up(self.store.clone(), open.upload).await;
    }

    /// For `Drop`: what still has to be given up.
    pub(super) fn leave(&mut self) -> Option<(Arc<dyn ObjectStore>, Upload)> {
        let open = self.open.take()?;
        Some((self.store.clone(), open.upload))
    }
}

impl Open {
    /// Waits for one part.
    async fn land(&mut self) -> Result<(), CodecError> {
        match self.flying.join_next().await {
            None => Ok(()),
            Some(Ok(part)) => {
                self.done.push(part?);
                Ok(())
            }
            Some(Err(_)) => Err(CodecError::Broken(self.upload.key.clone())),
        }
    }
}

/// Aborts an upload, at most [`ABORT_LIMIT`] long; a failure is only told to the log.
pub(super) async fn give_up(store: Arc<dyn ObjectStore>, upload: Upload) {
    match tokio::time::timeout(ABORT_LIMIT, store.abort(&upload)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "an unfinished upload stays behind"),
        Err(_) => {
            tracing::warn!(key = %upload.key, "an unfinished upload stays behind: no answer in time");
        }
    }
}
