//! Back: objects of a store become the bytes that were written. Bounded, for what fits in memory.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use super::{CodecError, Identities, hex, steps_of};
use crate::manifest::ObjectInfo;
use crate::objects::{ObjectStore, join};

/// Reads one object and undoes what its name says: `.age`, then `.zst`.
///
/// # Errors
/// [`CodecError`]: also when SHA-256 or size differ from `info`, or more than `max_bytes` come out.
pub async fn read_object(
    store: &dyn ObjectStore,
    prefix: &str,
    info: &ObjectInfo,
    identities: Option<&Identities>,
    max_bytes: u64,
) -> Result<Bytes, CodecError> {
    read_pieces(
        store,
        prefix,
        std::slice::from_ref(info),
        identities,
        max_bytes,
    )
    .await
}

/// Reads the pieces of one object, in order, concatenates them and undoes what their name says.
///
/// # Errors
/// [`CodecError`], as [`read_object`].
pub async fn read_pieces(
    store: &dyn ObjectStore,
    prefix: &str,
    pieces: &[ObjectInfo],
    identities: Option<&Identities>,
    max_bytes: u64,
) -> Result<Bytes, CodecError> {
    let mut stored = BytesMut::new();
    for info in pieces {
        let room = max_bytes.saturating_sub(crate::objects::size(stored.len()));
        stored.extend_from_slice(&read_stored(store, prefix, info, room).await?);
    }
    let Some(first) = pieces.first() else {
        return Ok(Bytes::new());
    };
    let raw = decode(&first.name, stored.freeze(), identities, max_bytes)?;
    let found = hex(&Sha256::digest(&raw));
    is_content(pieces, crate::objects::size(raw.len()), &found)?;
    Ok(raw)
}

/// Whether what came out of the pieces is what the manifest says of it: that of the whole stands on the first of them.
pub(super) fn is_content(
    pieces: &[ObjectInfo],
    bytes: u64,
    sha256: &str,
) -> Result<(), CodecError> {
    let Some(first) = pieces.first() else {
        return Ok(());
    };
    let damaged = |what: String| CodecError::Damaged {
        name: first.name.clone(),
        what,
    };
    let expected = first.raw_sha256.as_deref().unwrap_or(sha256);
    if expected != sha256 {
        return Err(damaged(format!(
            "its content has SHA-256 {sha256}, the manifest says {expected}"
        )));
    }
    let says = pieces.iter().map(|piece| piece.raw_bytes);
    let says = says.fold(0, i64::saturating_add);
    if u64::try_from(says).ok() != Some(bytes) {
        return Err(damaged(format!(
            "its content has {bytes} bytes, the manifest says {says}"
        )));
    }
    Ok(())
}

/// Reads the bytes as stored and holds them against the manifest.
async fn read_stored(
    store: &dyn ObjectStore,
    prefix: &str,
    info: &ObjectInfo,
    max_bytes: u64,
) -> Result<Bytes, CodecError> {
    let key = join(prefix, &info.name);
    let bytes = u64::try_from(info.bytes).unwrap_or(0);
    if bytes > max_bytes {
        return Err(CodecError::TooLarge {
            name: info.name.clone(),
            limit: max_bytes,
        });
    }
    let damaged = |what: String| CodecError::Damaged {
        name: info.name.clone(),
        what,
    };
    let body = match store.get(&key, bytes).await {
        Ok(body) => body,
        Err(error) if error.is_missing() => {
            return Err(damaged(
                "it is not there, although the manifest names it".to_owned(),
            ));
        }
        Err(error) => {
            // No more than the manifest says is read: another object may be longer.
            return match store.head(&key).await {
                Ok(Some(there)) if there != bytes => Err(damaged(format!(
                    "it has {there} bytes, the manifest says {bytes}"
                ))),
                _ => Err(error.into()),
            };
        }
    };
    if crate::objects::size(body.len()) != bytes {
        return Err(damaged(format!(
            "it has {} bytes, the manifest says {bytes}",
            body.len()
        )));
    }
    let found = hex(&Sha256::digest(&body));
    if found != info.sha256 {
        return Err(damaged(format!(
            "it has SHA-256 {found}, the manifest says {}",
            info.sha256
        )));
    }
    Ok(body)
}

/// Undoes what the name says.
fn decode(
    name: &str,
    stored: Bytes,
    identities: Option<&Identities>,
    max_bytes: u64,
) -> Result<Bytes, CodecError> {
    let (zstd, encrypted) = steps_of(name);
    let mut bytes = stored;
    if encrypted {
        let Some(identities) = identities else {
            return Err(CodecError::IdentityNeeded(name.to_owned()));
        };
        let failed = |error: age::DecryptError| match error {
            age::DecryptError::NoMatchingKeys => CodecError::WrongIdentity(name.to_owned()),
            other => CodecError::Step {
                step: "decrypt",
                name: name.to_owned(),
                source: std::io::Error::other(other.to_string()),
            },
        };
        let decryptor = age::Decryptor::new(bytes.as_ref()).map_err(failed)?;
        let reader = decryptor.decrypt(identities.iter()).map_err(failed)?;
        bytes = drain("decrypt", name, reader, max_bytes)?;
    }
    if zstd {
        let reader = zstd::Decoder::new(bytes.as_ref()).map_err(|source| CodecError::Step {
            step: "decompress",
            name: name.to_owned(),
            source,
        })?;
        bytes = drain("decompress", name, reader, max_bytes)?;
    }
    Ok(bytes)
}

fn drain(
    step: &'static str,
    name: &str,
    reader: impl Read,
    max_bytes: u64,
) -> Result<Bytes, CodecError> {
    let mut bytes = Vec::new();
    let read = reader
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| CodecError::Step {
            step,
            name: name.to_owned(),
            source,
        })?;
    if crate::objects::size(read) > max_bytes {
        return Err(CodecError::TooLarge {
            name: name.to_owned(),
            limit: max_bytes,
        });
    }
    Ok(bytes.into())
}
