//! [`ObjectWriter`]: a stream of bytes becomes one object, or several pieces of one.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::pipeline::Pipeline;
use super::upload::{Uploader, give_up};
use super::{Codec, CodecError, hex};
use crate::manifest::{ObjectInfo, ObjectRole};
use crate::objects::ObjectStore;

/// Raw bytes that go through zstd and age at once, between two looks at the parts.
const CHUNK: usize = 64 * 1024;

/// Bounds of a writer.
///
/// Memory (P12), with the defaults: one part filling, one waiting for a place, two in flight make
/// 4 × 16 MiB = 64 MiB; zstd at levels 1-3 takes up to 8 MiB, age 64 KiB, the SDK no copy of a part.
/// With the 20 MiB that the process has anyway a worker stays below 128 MiB, whatever the database's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a part. S3 wants at least 5 MiB of all but the last.
    pub part_bytes: usize,
    /// Parts of an object, after which the stream goes on in the next. S3 allows 10,000.
    pub parts_per_object: u32,
    /// Parts that are uploaded at the same time.
    pub parts_in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            part_bytes: 16 * 1024 * 1024,
            parts_per_object: 9_500,
            parts_in_flight: 2,
        }
    }
}

/// Takes bytes, compresses, encrypts, hashes and stores them.
///
/// End it with [`ObjectWriter::finish`] or [`ObjectWriter::abort`]. After an error only `abort` is left.
/// Dropped without either it leaves the giving-up of its upload to the runtime, best effort: what survives
/// even that is an invisible upload, which a sweep or the bucket's lifecycle removes.
pub struct ObjectWriter {
    pipeline: Option<Pipeline>,
    uploader: Uploader,
    name: String,
    role: ObjectRole,
    raw_sha256: Sha256,
    raw_bytes: u64,
}

impl fmt::Debug for ObjectWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectWriter")
            .field("name", &self.name)
            .field("raw_bytes", &self.raw_bytes)
            .finish_non_exhaustive()
    }
}

impl ObjectWriter {
    /// A writer of `<prefix>/<base>[.zst][.age]`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`CodecError::Level`], or age's own.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        base: &str,
        role: ObjectRole,
        codec: &Codec,
        limits: Limits,
    ) -> Result<Self, CodecError> {
        let name = codec.name(base);
        Ok(Self {
            pipeline: Some(Pipeline::new(codec, limits.part_bytes)?),
            uploader: Uploader::new(store, prefix, name.clone(), limits),
            name,
            role,
            raw_sha256: Sha256::new(),
            raw_bytes: 0,
        })
    }

    /// File name of the first piece.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// Bytes handed to the store so far.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.uploader.stored()
    }

    /// Takes bytes; waits while too many parts are in flight.
    ///
    /// # Errors
    /// [`CodecError`]; then only [`ObjectWriter::abort`] is left.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        for chunk in bytes.chunks(CHUNK) {
            // Taken out while at work: an error or a cancelled wait leaves the writer broken, never short.
            let Some(mut pipeline) = self.pipeline.take() else {
                return Err(CodecError::Broken(self.name.clone()));
            };
            pipeline
                .write(chunk)
                .map_err(|source| self.failed("encode", source))?;
            self.raw_sha256.update(chunk);
            self.raw_bytes += crate::objects::size(chunk.len());
            while let Some(part) = pipeline.full_part() {
                self.uploader.part(part).await?;
            }
            self.pipeline = Some(pipeline);
        }
        Ok(())
    }

    /// Ends the stream and stores what is left. On an error the upload is given up; who stops waiting
    /// gives it up by [`ObjectWriter::abort`].
    ///
    /// # Errors
    /// [`CodecError`]; also when called again.
    pub async fn finish(&mut self) -> Result<Vec<ObjectInfo>, CodecError> {
        let outcome = self.end().await;
        if outcome.is_err() {
            self.uploader.abort().await;
        }
        outcome
    }

    /// Gives up: the upload under way is aborted within some seconds, or a warning is logged.
    pub async fn abort(mut self) {
        self.uploader.abort().await;
    }

    async fn end(&mut self) -> Result<Vec<ObjectInfo>, CodecError> {
        let Some(pipeline) = self.pipeline.take() else {
            return Err(CodecError::Broken(self.name.clone()));
        };
        let mut tail = pipeline
            .finish()
            .map_err(|source| self.failed("encode", source))?;
        while let Some(part) = tail.full.pop_front() {
            self.uploader.part(part).await?;
        }
        let pieces = self.uploader.finish(tail.rest).await?;
        let raw_sha256 = hex(&self.raw_sha256.clone().finalize());
        let infos = pieces.into_iter().enumerate().map(|(index, piece)| {
            let first = index == 0;
            ObjectInfo {
                name: piece.name,
                role: self.role,
                bytes: signed(piece.bytes),
                sha256: piece.sha256,
                // The whole stands on the first piece, so that sums over objects are right.
                raw_bytes: if first { signed(self.raw_bytes) } else { 0 },
                raw_sha256: first.then(|| raw_sha256.clone()),
            }
        });
        Ok(infos.collect())
    }

    fn failed(&self, step: &'static str, source: std::io::Error) -> CodecError {
        CodecError::Step {
            step,
            name: self.name.clone(),
            source,
        }
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        let Some((store, upload)) = self.uploader.leave() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(give_up(store, upload));
        }
    }
}

/// JSON of the manifest has signed numbers.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
