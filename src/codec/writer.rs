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
mod tests {
    use age::secrecy::ExposeSecret;
    use age::x25519;
    use proptest::prelude::*;

    use super::super::{Identities, Recipients, read_object, read_pieces};
    use super::*;
    use crate::api::Reason;
    use crate::objects::{Fault, Flaky, Memory, Operation, When};

    const MIB: u64 = 1024 * 1024;
    const SMALL: Limits = Limits {
        part_bytes: 1_000,
        parts_per_object: 3,
        parts_in_flight: 2,
    };

    fn key_pair() -> (Recipients, Identities) {
        let identity = x25519::Identity::generate();
        let text = identity.to_string().expose_secret().to_owned();
        let recipients = Recipients::parse(&[identity.to_public().to_string()]).unwrap();
        (recipients, Identities::parse(&text).unwrap())
    }

    /// Bytes that do not compress, the same each time.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    async fn store_all(
        store: Arc<dyn ObjectStore>,
        codec: &Codec,
        bytes: &[u8],
    ) -> Result<Vec<ObjectInfo>, CodecError> {
        let mut writer =
            ObjectWriter::new(store, "d/run", "dump.pgc", ObjectRole::Dump, codec, SMALL)?;
        if let Err(error) = writer.write(bytes).await {
            writer.abort().await;
            return Err(error);
        }
        writer.finish().await
    }

    fn fault(operation: Operation, call: u64, when: When) -> Vec<Fault> {
        vec![Fault {
            operation,
            call,
            when,
            reason: Reason::StoreUnreachable,
        }]
    }

    #[tokio::test]
    async fn a_long_stream_goes_on_in_numbered_pieces_that_concatenate() {
        let store = Arc::new(Memory::new());
        let (recipients, identities) = key_pair();
        let codec = Codec {
            zstd: Some(1),
            recipients: Some(recipients),
        };
        let bytes = noise(10_500);
        let infos = store_all(store.clone(), &codec, &bytes).await.unwrap();
        let names: Vec<&str> = infos.iter().map(|i| i.name.as_str()).collect();
        let name = "dump.pgc.zst.age";
        assert_eq!(
            names,
            [
                name.to_owned(),
                format!("{name}.0002"),
                format!("{name}.0003"),
                format!("{name}.0004")
            ]
        );
        assert!(infos.iter().take(3).all(|i| i.bytes == 3_000));
        assert_eq!(infos[0].raw_bytes, 10_500);
        let back = read_pieces(store.as_ref(), "d/run", &infos, Some(&identities), MIB)
            .await
            .unwrap();
        assert_eq!(back, bytes);
        assert_eq!(store.open_uploads(), 0);
    }

    #[tokio::test]
    async fn a_small_object_is_one_put_that_never_overwrites() {
        let store = Arc::new(Flaky::new(Arc::new(Memory::new()), Vec::new()));
        let codec = Codec::default();
        let infos = store_all(store.clone(), &codec, b"hello").await.unwrap();
        assert_eq!((infos.len(), infos[0].bytes), (1, 5));
        assert_eq!(
            infos[0].sha256,
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        assert_eq!(store.calls(Operation::Begin), 0);
        let again = store_all(store, &codec, b"other").await.unwrap_err();
        assert_eq!(again.reason(), Reason::AlreadyExists);
    }

    #[tokio::test]
    async fn any_failing_call_is_told_and_leaves_no_upload_open() {
        for operation in [Operation::Begin, Operation::UploadPart, Operation::Complete] {
            for call in 1..=2 {
                let memory = Arc::new(Memory::new());
                let faults = fault(operation, call, When::Before);
                let store = Arc::new(Flaky::new(memory.clone(), faults));
                let error = store_all(store, &Codec::default(), &noise(7_777))
                    .await
                    .unwrap_err();
                assert_eq!(
                    error.reason(),
                    Reason::StoreUnreachable,
                    "{operation} {call}"
                );
                assert_eq!(memory.open_uploads(), 0, "{operation} {call}");
            }
        }
    }

    #[tokio::test]
    async fn a_writer_that_is_dropped_gives_its_upload_up() {
        let memory = Arc::new(Memory::new());
        let codec = Codec::default();
        let role = ObjectRole::Dump;
        let mut writer = ObjectWriter::new(memory.clone(), "p", "d", role, &codec, SMALL).unwrap();
        writer.write(&noise(5_000)).await.unwrap();
        assert_eq!(memory.open_uploads(), 1);
        drop(writer);
        tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while memory.open_uploads() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn after_an_error_a_writer_takes_no_more() {
        let faults = fault(Operation::Begin, 1, When::Before);
        let store = Arc::new(Flaky::new(Arc::new(Memory::new()), faults));
        let codec = Codec::default();
        let role = ObjectRole::Dump;
        let mut writer = ObjectWriter::new(store, "p", "d", role, &codec, SMALL).unwrap();
        assert!(writer.write(&noise(2_000)).await.is_err());
        let error = writer.write(b"more").await.unwrap_err();
        assert!(matches!(error, CodecError::Broken(_)), "{error}");
        assert!(writer.finish().await.is_err());
    }

    #[tokio::test]
    async fn what_was_changed_in_the_store_is_not_read() {
        let store = Arc::new(Memory::new());
        let codec = Codec::default();
        let infos = store_all(store.clone(), &codec, b"hello").await.unwrap();
        let put = crate::objects::PutMode::Overwrite;
        store
            .put("d/run/dump.pgc", "hullo".into(), put)
            .await
            .unwrap();
        let error = read_object(store.as_ref(), "d/run", &infos[0], None, MIB)
            .await
            .unwrap_err();
        assert!(matches!(error, CodecError::Damaged { .. }), "{error}");
    }

    #[tokio::test]
    async fn without_the_right_identity_nothing_is_read() {
        let store = Arc::new(Memory::new());
        let (recipients, _) = key_pair();
        let codec = Codec {
            zstd: None,
            recipients: Some(recipients),
        };
        let infos = store_all(store.clone(), &codec, b"x").await.unwrap();
        let (_, other) = key_pair();
        let none = read_object(store.as_ref(), "d/run", &infos[0], None, MIB).await;
        assert!(matches!(none, Err(CodecError::IdentityNeeded(_))));
        let wrong = read_object(store.as_ref(), "d/run", &infos[0], Some(&other), MIB).await;
        assert!(matches!(wrong, Err(CodecError::WrongIdentity(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn whatever_goes_in_in_whatever_pieces_comes_out(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1_500), 0..12),
            zstd in proptest::option::of(1..4_i32),
            encrypt in any::<bool>(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let store = Arc::new(Memory::new());
                let (recipients, identities) = key_pair();
                let codec = Codec { zstd, recipients: encrypt.then_some(recipients) };
                let role = ObjectRole::Dump;
                let mut writer =
                    ObjectWriter::new(store.clone(), "p", "d", role, &codec, SMALL).unwrap();
                for chunk in &chunks {
                    writer.write(chunk).await.unwrap();
                }
                let infos = writer.finish().await.unwrap();
                let back = read_pieces(store.as_ref(), "p", &infos, Some(&identities), MIB);
                assert_eq!(back.await.unwrap(), chunks.concat());
            });
        }
    }
}
