//! A backup in a store, opened: its manifest, what it holds, and the dump in a file. Nothing is loaded before
//! every digest was checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::contradictions::{contradictions, documents, sentence};
use super::failure::Failure;
use crate::api::Reason;
use crate::codec::{CodecError, Identities, fetch, hex, read_object};
use crate::manifest::{
    Contents, FORMAT_VERSION, MANIFEST, MAX_MANIFEST_BYTES, Manifest, ManifestError, ObjectInfo,
    ObjectRole, ProofDifference,
};
use crate::objects::{ObjectStore, join};
use crate::postgres::content::LineKey;
use crate::postgres::{Observer, PgError, Step, Toc, TocParser};

/// Largest `contents.json` and roles that are read, in bytes.
const MAX_SMALL: u64 = 1024 * 1024 * 1024;
/// Bytes of a dump that are read at once for its table of contents.
const READ: usize = 256 * 1024;

/// A backup whose manifest and contents were read.
#[derive(Debug)]
pub struct Archive {
    /// Its folder, below the store's own.
    pub at: String,
    /// Its manifest.
    pub manifest: Manifest,
    /// SHA-256 of that, hex.
    pub manifest_sha256: String,
    /// What it holds.
    pub contents: Contents,
}

/// What was fetched of it.
#[derive(Debug)]
pub struct Fetched {
    /// The dump, as pg_restore reads it.
    pub dump: PathBuf,
    /// Its table of contents.
    pub toc: Toc,
    /// Its roles.
    pub globals: String,
    /// Where manifest, contents and roles contradict the dump.
    pub contradictions: Vec<ProofDifference>,
}

/// Reads the manifest below a folder.
///
/// # Errors
/// `NoBackup` if there is none, `BackupDamaged` if it cannot be read; those of the store.
pub async fn manifest(store: &dyn ObjectStore, at: &str) -> Result<(Manifest, String), Failure> {
    let most = u64::try_from(MAX_MANIFEST_BYTES).unwrap_or(u64::MAX);
    let bytes = match store.get(&join(at, MANIFEST), most).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => {
            let text = format!(
                "there is no backup {at} in {}: it has no manifest.json",
                store.place()
            );
            return Err(Failure::Postgres(PgError::never(Reason::NoBackup, text)));
        }
        Err(error) => return Err(error.into()),
    };
    let manifest = Manifest::parse(&bytes).map_err(|error| match error {
        ManifestError::Format(_) => unknown_format(error.to_string()),
        error => damaged(MANIFEST, error.to_string()),
    })?;
    // A name that leads elsewhere is no object of this backup.
    let plain =
        |name: &str| !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
    if let Some(object) = manifest.objects.iter().find(|o| !plain(&o.name)) {
        let what = format!("it names an object {:?}", object.name);
        return Err(damaged(MANIFEST, what));
    }
    Ok((manifest, hex(&Sha256::digest(&bytes))))
}

impl Archive {
    /// Reads manifest and contents.
    ///
    /// # Errors
    /// As [`manifest`]; `IdentityMissing`, `WrongIdentity`; `BackupDamaged` if contents are not what the manifest says.
    pub async fn open(
        store: &dyn ObjectStore,
        at: &str,
        identities: Option<&Identities>,
    ) -> Result<Self, Failure> {
        let (manifest, manifest_sha256) = manifest(store, at).await?;
        let contents = read_contents(store, at, &manifest, identities).await?;
        Ok(Self {
            at: at.to_owned(),
            manifest,
            manifest_sha256,
            contents,
        })
    }

    /// Where its documents contradict each other or their place: known before any server is there.
    #[must_use]
    pub fn contradictions(&self) -> Vec<ProofDifference> {
        documents(
            &self.manifest,
            &self.contents,
            &self.at,
            super::clock::now(),
        )
    }

    /// For whoever makes no verdict of it.
    ///
    /// # Errors
    /// `BackupDamaged` if its documents contradict each other.
    pub fn agrees(&self) -> Result<(), Failure> {
        agree(&self.contradictions())
    }

    fn pieces(&self, role: ObjectRole) -> Vec<ObjectInfo> {
        let objects = self.manifest.objects.iter();
        objects.filter(|o| o.role == role).cloned().collect()
    }

    /// Stored bytes of the dump.
    #[must_use]
    pub fn dump_bytes(&self) -> i64 {
        self.pieces(ObjectRole::Dump).iter().map(|o| o.bytes).sum()
    }

    /// Fetches the dump into a new file in `folder`, and the roles; checks every digest, and holds the parts
    /// against each other.
    ///
    /// # Errors
    /// `BackupDamaged`, `NoRoom`, those of identity and store.
    pub async fn fetch(
        &self,
        store: &dyn ObjectStore,
        identities: Option<Arc<Identities>>,
        folder: &Path,
        observer: &dyn Observer,
    ) -> Result<Fetched, Failure> {
        observer.reached(Step::Fetching).await;
        let dump = folder.join("dump.pgc");
        let mut globals = String::new();
        for info in self.pieces(ObjectRole::Globals) {
            let bytes =
                read_object(store, &self.at, &info, identities.as_deref(), MAX_SMALL).await?;
            globals.push_str(&String::from_utf8_lossy(&bytes));
        }
        let seen = |stored: u64| observer.bytes(stored);
        let pieces = self.pieces(ObjectRole::Dump);
        fetch::fetch(store, &self.at, &pieces, identities, &dump, &seen).await?;
        let toc = table_of_contents(&dump).await?;
        let contradictions = contradictions(&self.manifest, &self.contents, &toc, &globals);
        Ok(Fetched {
            dump,
            toc,
            globals,
            contradictions,
        })
    }
}

/// Nothing contradicts anything.
///
/// # Errors
/// `BackupDamaged`, naming the first that does.
pub fn agree(lies: &[ProofDifference]) -> Result<(), Failure> {
    let Some(said) = sentence(lies) else {
        return Ok(());
    };
    let text = format!("the backup contradicts itself: {said}");
    Err(Failure::Postgres(PgError::never(
        Reason::BackupDamaged,
        text,
    )))
}

/// Reads what a backup holds.
///
/// # Errors
/// As [`Archive::open`].
pub async fn read_contents(
    store: &dyn ObjectStore,
    at: &str,
    manifest: &Manifest,
    identities: Option<&Identities>,
) -> Result<Contents, Failure> {
    let info = manifest
        .objects
        .iter()
        .find(|o| o.role == ObjectRole::Contents)
        .ok_or_else(|| damaged(MANIFEST, "it names no contents.json".to_owned()))?;
    let bytes = read_object(store, at, info, identities, MAX_SMALL).await?;
    let contents: Contents =
        serde_json::from_slice(&bytes).map_err(|e| damaged(&info.name, e.to_string()))?;
    if contents.format != FORMAT_VERSION {
        return Err(unknown_format(format!(
            "{} has format {}, this version reads up to {FORMAT_VERSION}; use a newer lifeboat",
            info.name, contents.format
        )));
    }
    let key = contents.line_key.as_deref();
    if key.is_some_and(|key| LineKey::from_hex(key).is_none()) {
        let what = "the key of its hashes cannot be read".to_owned();
        return Err(damaged(&info.name, what));
    }
    Ok(contents)
}

async fn table_of_contents(dump: &Path) -> Result<Toc, Failure> {
    use tokio::io::AsyncReadExt;
    let io = |e: std::io::Error| Failure::Internal(format!("failed to read the dump: {e}"));
    let mut file = tokio::fs::File::open(dump).await.map_err(io)?;
    let mut parser = TocParser::new();
    let mut buffer = vec![0_u8; READ];
    let broken = |e: PgError| damaged("the dump", e.to_string());
    while !parser.is_complete() {
        let n = file.read(&mut buffer).await.map_err(io)?;
        let Some(piece) = buffer.get(..n).filter(|piece| !piece.is_empty()) else {
            break;
        };
        parser.push(piece).map_err(broken)?;
    }
    parser.finish().map_err(broken)
}

/// Of a later version: no fault of the backup.
fn unknown_format(text: String) -> Failure {
    Failure::Postgres(PgError::never(Reason::UnknownFormat, text))
}

fn damaged(name: &str, what: String) -> Failure {
    Failure::Codec(CodecError::Damaged {
        name: name.to_owned(),
        what,
    })
}
