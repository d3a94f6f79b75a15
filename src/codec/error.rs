//! What can go wrong between bytes and objects.

use std::io;

use thiserror::Error;

use crate::api::Reason;
use crate::objects::StoreError;

/// Why bytes did not become an object, or an object bytes.
#[derive(Debug, Error)]
pub enum CodecError {
    /// A recipient is not an age public key.
    #[error(
        "recipient {} {what}; make a key pair with `age-keygen` and give its public key, age1…", index + 1
    )]
    Recipient {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Nobody could ever read the backup.
    #[error("there is no recipient to encrypt for: name at least one age public key, age1…")]
    NoRecipients,
    /// The level is not one of zstd's.
    #[error("failed to compress: level {0} is outside {1}..={2}")]
    Level(i32, i32, i32),
    /// zstd or age failed.
    #[error("failed to {step} {name}: {source}")]
    Step {
        /// `compress`, `encrypt`, `decrypt`, `decompress` or `write`.
        step: &'static str,
        /// The object.
        name: String,
        /// What it said.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Used after it failed, or by two at once.
    #[error("failed to write {0}: an earlier part of it failed")]
    Broken(String),
    /// What was read is not what the manifest says.
    #[error("failed to read {name}: {what}")]
    Damaged {
        /// The object.
        name: String,
        /// How it differs.
        what: String,
    },
    /// Larger than the reader is ready for.
    #[error("failed to read {name}: it has more than {limit} bytes")]
    TooLarge {
        /// The object.
        name: String,
        /// The limit.
        limit: u64,
    },
    /// Encrypted, and no key was given.
    #[error(
        "failed to read {0}: it is encrypted; give the age identity that belongs to one of its recipients"
    )]
    IdentityNeeded(String),
    /// Encrypted for others.
    #[error("failed to read {0}: none of the identities given belongs to one of its recipients")]
    WrongIdentity(String),
    /// Not an identity file.
    #[error("failed to read the identity: line {line} {what}")]
    Identity {
        /// The line, from 1; 0 for the whole file.
        line: usize,
        /// What is wrong with it; never the line itself.
        what: &'static str,
    },
}

impl CodecError {
    /// What happened, of the closed set.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            CodecError::Recipient { .. } | CodecError::NoRecipients | CodecError::Level(..) => {
                Reason::InvalidSpec
            }
            CodecError::Store(error) => error.reason(),
            CodecError::Damaged { .. } | CodecError::TooLarge { .. } => Reason::BackupDamaged,
            CodecError::IdentityNeeded(_) => Reason::IdentityMissing,
            CodecError::WrongIdentity(_) => Reason::WrongIdentity,
            CodecError::Identity { .. } => Reason::SecretInvalid,
            CodecError::Step { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Reason::NoRoom
            }
            // Its digests were right: it was written so.
            CodecError::Step {
                step: "decrypt" | "decompress",
                ..
            } => Reason::BackupDamaged,
            CodecError::Step { .. } | CodecError::Broken(_) => Reason::InternalError,
        }
    }

    /// Whether the same again cannot help before somebody changed something.
    #[must_use]
    pub fn permanent(&self) -> bool {
        match self {
            CodecError::Store(error) => error.permanent(),
            CodecError::Step { .. } | CodecError::Broken(_) => false,
            _ => true,
        }
    }
}
