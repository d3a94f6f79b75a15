//! Back to a disk: a dump of any size becomes a file, decrypted and decompressed, in bounded memory.
//!
//! ```text
//! ranges of 8 MiB ─► SHA-256 (stored) ─► channel of 2 ─► age ─► zstd ─► SHA-256 (raw) ─► file
//! ```
//!
//! The file counts only once this returned: every digest is known then, and nothing is loaded before.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::read::is_content;
use super::{CodecError, Identities, hex, steps_of};
use crate::manifest::ObjectInfo;
use crate::objects::{ObjectStore, join};

/// Bytes that are asked for at once.
const RANGE: u64 = 8 * 1024 * 1024;
/// Ranges that wait to be decrypted.
const WAITING: usize = 2;
/// Bytes that are written at once.
const WRITE: usize = 256 * 1024;

/// Fetches the pieces of one object, in order, into a new file that only this user may read, and undoes what
/// their name says. Answers the bytes of the file. `seen` is told of stored bytes as they arrive.
///
/// # Errors
/// [`CodecError`]: also when a size or digest is not what the manifest says; there is no file then.
pub async fn fetch(
    store: &dyn ObjectStore,
    prefix: &str,
    pieces: &[ObjectInfo],
    identities: Option<Arc<Identities>>,
    file: &Path,
    seen: &(dyn Fn(u64) + Send + Sync),
) -> Result<u64, CodecError> {
    let ours = !file.exists();
    let fetched = fetch_by(RANGE, store, prefix, pieces, identities, file, seen).await;
    if ours && fetched.is_err() {
        let _ = std::fs::remove_file(file);
    }
    fetched
}

async fn fetch_by(
    range: u64,
    store: &dyn ObjectStore,
    prefix: &str,
    pieces: &[ObjectInfo],
    identities: Option<Arc<Identities>>,
    file: &Path,
    seen: &(dyn Fn(u64) + Send + Sync),
) -> Result<u64, CodecError> {
    let Some(first) = pieces.first() else {
        let name = "the dump".to_owned();
        let what = "the manifest names none".to_owned();
        return Err(CodecError::Damaged { name, what });
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let (name, path) = (first.name.clone(), file.to_owned());
    let decoding = tokio::task::spawn_blocking(move || {
        let source = Channel {
            receiver,
            rest: Bytes::new(),
        };
        decode(&name, source, identities.as_deref(), &path)
    });
    let read = send(range, store, prefix, pieces, sender, seen).await;
    let decoded = decoding
        .await
        .map_err(|_| CodecError::Broken(first.name.clone()))?;
    // A piece that is damaged explains why it could not be decrypted.
    read?;
    let (bytes, found) = decoded?;
    is_content(pieces, bytes, &found)?;
    Ok(bytes)
}

/// Reads the pieces and holds each against the manifest.
async fn send(
    range: u64,
    store: &dyn ObjectStore,
    prefix: &str,
    pieces: &[ObjectInfo],
    sender: mpsc::Sender<Bytes>,
    seen: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), CodecError> {
    let mut gone = false;
    for info in pieces {
        if gone {
            return Ok(());
        }
        let key = join(prefix, &info.name);
        let size = u64::try_from(info.bytes).unwrap_or_default();
        let damaged = |what: String| CodecError::Damaged {
            name: info.name.clone(),
            what,
        };
        let mut hash = Sha256::new();
        let mut at = 0;
        while at < size {
            let end = at.saturating_add(range).min(size);
            let bytes = store.get_range(&key, at..end).await.map_err(|error| {
                if error.is_missing() {
                    damaged("it is not there, although the manifest names it".to_owned())
                } else {
                    error.into()
                }
            })?;
            if crate::objects::size(bytes.len()) != end - at {
                let there = at.saturating_add(crate::objects::size(bytes.len()));
                return Err(damaged(format!(
                    "it has {there} bytes, the manifest says {size}"
                )));
            }
            hash.update(&bytes);
            seen(end - at);
            at = end;
            // The other end is gone when decrypting failed; this piece's digest may explain why.
            gone = sender.send(bytes).await.is_err();
        }
        if store.head(&key).await?.is_some_and(|there| there != size) {
            return Err(damaged(format!(
                "it is longer than the {size} bytes that the manifest says"
            )));
        }
        let found = hex(&hash.finalize());
        if found != info.sha256 {
            return Err(damaged(format!(
                "it has SHA-256 {found}, the manifest says {}",
                info.sha256
            )));
        }
    }
    Ok(())
}

/// What arrives, as a file to read from.
struct Channel {
    receiver: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.rest.len());
        let (Some(to), Some(from)) = (buffer.get_mut(..n), self.rest.get(..n)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        self.rest.advance(n);
        Ok(n)
    }
}

/// Undoes what the name says, into a file; answers its bytes and their SHA-256.
fn decode(
    name: &str,
    source: Channel,
    identities: Option<&Identities>,
    path: &Path,
) -> Result<(u64, String), CodecError> {
    let (zstd, encrypted) = steps_of(name);
    let step = |step: &'static str| {
        move |source: io::Error| CodecError::Step {
            step,
            name: name.to_owned(),
            source,
        }
    };
    let mut reader: Box<dyn Read> = Box::new(source);
    if encrypted {
        let Some(identities) = identities else {
            return Err(CodecError::IdentityNeeded(name.to_owned()));
        };
        let failed = |error: age::DecryptError| match error {
            age::DecryptError::NoMatchingKeys => CodecError::WrongIdentity(name.to_owned()),
            other => step("decrypt")(io::Error::other(other.to_string())),
        };
        let decryptor = age::Decryptor::new(reader).map_err(failed)?;
        reader = Box::new(decryptor.decrypt(identities.iter()).map_err(failed)?);
    }
    if zstd {
        reader = Box::new(zstd::Decoder::new(reader).map_err(step("decompress"))?);
    }
    let mut file = new_file(path).map_err(step("write"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0_u8; WRITE];
    let mut bytes = 0_u64;
    loop {
        let n = reader.read(&mut buffer).map_err(step("decrypt"))?;
        let Some(piece) = buffer.get(..n).filter(|piece| !piece.is_empty()) else {
            break;
        };
        hash.update(piece);
        file.write_all(piece).map_err(step("write"))?;
        bytes = bytes.saturating_add(crate::objects::size(n));
    }
    file.flush().map_err(step("write"))?;
    Ok((bytes, hex(&hash.finalize())))
}

fn new_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
