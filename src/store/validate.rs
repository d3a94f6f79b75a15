//! Is the spec of a store one that can work? Pure.
//!
//! Says again what the CRD's rules say, because an older CRD or none (`lifeboat validate`) lets it pass.

use kube::ResourceExt;

pub use crate::api::Invalid;
use crate::api::backup_store::EncryptionMode;
use crate::api::rules::{self, authority, folder, named, template};
use crate::api::{BackupStore, REQUESTED_AT};
use crate::schedule::upkeep::requested_at;
use crate::workload::Settings;

/// A store whose spec can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidStore {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Generation of the spec.
    pub generation: i64,
    /// Value of `lifeboat.dev/requestedAt`.
    pub requested_at: Option<String>,
}

/// Proves everything that deciding and building need.
///
/// # Errors
/// [`Invalid`] with the field and the fix.
pub fn validate(store: &BackupStore, settings: &Settings) -> Result<ValidStore, Invalid> {
    let s3 = &store.spec.s3;
    bucket(&s3.bucket)?;
    if let Some(prefix) = &s3.prefix {
        folder("spec.s3.prefix", prefix, true)?;
    }
    if let Some(endpoint) = &s3.endpoint {
        let host = endpoint
            .strip_prefix("https://")
            .or_else(|| endpoint.strip_prefix("http://"))
            .map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        if !host.is_some_and(|h| !h.is_empty() && !h.contains(['/', '@', '?', '#', ' '])) {
            return Err(Invalid::new(
                "spec.s3.endpoint",
                "write a URL with host and port only, like `https://minio.example:9000`",
            ));
        }
    }
    authority("spec.s3.ca", s3.ca.as_ref())?;
    let secret = &store.spec.credentials.writer.secret_ref.name;
    named("spec.credentials.writer.secretRef.name", secret, "Secret")?;
    encryption(store)?;
    template("spec.template", store.spec.template.as_ref(), |image| {
        settings.allows_image(image)
    })?;
    Ok(ValidStore {
        namespace: store.namespace().unwrap_or_default(),
        name: store.name_any(),
        generation: store.metadata.generation.unwrap_or_default(),
        requested_at: requested_at(store.annotations().get(REQUESTED_AT)),
    })
}

fn bucket(bucket: &str) -> Result<(), Invalid> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (3..=63).contains(&bucket.len())
        && bucket.chars().all(|c| edge(c) || c == '.' || c == '-')
        && bucket.starts_with(edge)
        && bucket.ends_with(edge);
    match fits {
        true => Ok(()),
        false => Err(Invalid::new(
            "spec.s3.bucket",
            "a bucket has 3 to 63 characters: lower-case letters, digits, dots and dashes, with a letter or digit at both ends",
        )),
    }
}

fn encryption(store: &BackupStore) -> Result<(), Invalid> {
    let encryption = &store.spec.encryption;
    let field = "spec.encryption.recipients";
    match encryption.mode {
        EncryptionMode::None if !encryption.recipients.is_empty() => Err(Invalid::new(
            field,
            "recipients are named but mode is None: remove the recipients, or write mode: Age",
        )),
        EncryptionMode::Age if encryption.recipients.is_empty() => Err(Invalid::new(
            field,
            "name at least one age public key (age1…), or write mode: None to store backups unencrypted",
        )),
        EncryptionMode::Age if encryption.recipients.len() > 16 => {
            Err(Invalid::new(field, "at most 16 recipients are allowed"))
        }
        EncryptionMode::Age | EncryptionMode::None => {
            for (index, recipient) in encryption.recipients.iter().enumerate() {
                rules::recipient(&format!("{field}[{index}]"), recipient)?;
            }
            Ok(())
        }
    }
}
