//! One backup, from preflight to manifest (P1, G1-G3).
//!
//! ```text
//! preflight ─► lock, export, re-list ─┬─► pg_dump ─► toc ─► codec ─► parts of dump.pgc…   (not completed yet)
//!        ▲                            ├─► census, counts under the same snapshot
//!        └── let go ◄─────────────────┴─► who waits for our locks?
//!   ─► globals ─► locks proved, and released ─► toc against census ─► dump completed ─► globals, contents ─► manifest.json
//! ```
//!
//! Whatever fails on the way aborts the upload under way and writes no manifest.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::attempt::{Attempt, Read, read};
use super::clock;
use super::counts::counts;
use super::failure::Failure;
use crate::api::backup::BackupReason;
use crate::codec::{Codec, Limits, ObjectWriter, Recipients};
use crate::manifest::{
    CONTENTS, EncryptionInfo, FORMAT_VERSION, MANIFEST, Manifest, ObjectInfo, ObjectRole, Server,
};
use crate::objects::{ObjectStore, join, put_new};
use crate::postgres::content::LineKey;
use crate::postgres::pooler::Pooler;
use crate::postgres::{
    Contention, LockPatience, Observer, Preflight, Programs, Step, Target, preflight,
};

/// Level of zstd for what we compress ourselves.
pub(super) const ZSTD_LEVEL: i32 = 1;

/// Everything a backup needs to know.
#[derive(Debug)]
pub struct Plan {
    /// The database.
    pub target: Target,
    /// Where to.
    pub store: Arc<dyn ObjectStore>,
    /// For whom to encrypt; `None` stores plain bytes.
    pub recipients: Option<Recipients>,
    /// What the manifest says of the run.
    pub identity: Identity,
    /// Key of the content hashes; without one rows are counted and not hashed (G22).
    pub line_key: Option<LineKey>,
    /// Bounds of the upload; another only in tests.
    pub limits: Limits,
    /// Folder for service and password files.
    pub scratch: PathBuf,
    /// Where pg_dump is looked for first.
    pub postgres_folders: Vec<PathBuf>,
    /// How long locks are tried for.
    pub patience: LockPatience,
    /// `application_name` of our sessions (G10).
    pub application_name: String,
}

/// What the manifest says of the run beside the data.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Name of the Backup object.
    pub backup: String,
    /// Namespace of the policy.
    pub namespace: String,
    /// Name of the policy.
    pub policy: String,
    /// Uid of the policy.
    pub policy_uid: String,
    /// Folder of the policy in the store.
    pub directory: String,
    /// Uid of the pod.
    pub pod_uid: String,
    /// Tiers it counts for.
    pub tiers: Vec<String>,
    /// Why it is made.
    pub reason: BackupReason,
    /// Due time.
    pub due: Timestamp,
}

impl Identity {
    /// `<directory>/<due>-<12 hex>` (K1).
    #[must_use]
    pub fn prefix(&self) -> String {
        crate::api::name::run_prefix(&self.directory, self.due, &self.pod_uid)
    }
}

/// Makes the backup, or leaves no manifest.
///
/// # Errors
/// [`Failure`] with its reason; the upload under way has been aborted.
pub async fn make(plan: &Plan, observer: &dyn Observer) -> Result<Manifest, Failure> {
    let mut open = None;
    let outcome = run(plan, observer, &mut open).await;
    if let Some(writer) = open.take() {
        // Only a failure leaves it open.
        ObjectWriter::abort(writer).await;
    }
    outcome
}

/// The writer of the dump, kept where an abandoned run can still abort it.
pub type Open = Option<ObjectWriter>;

/// As [`make`], with the open upload in the caller's hands, so that a run that is cut off can abort it.
///
/// # Errors
/// [`Failure`]; the upload is still in `open`.
pub async fn run(
    plan: &Plan,
    observer: &dyn Observer,
    open: &mut Open,
) -> Result<Manifest, Failure> {
    let started_at = clock::now();
    let found = preflight(&plan.target, &plan.application_name).await?;
    let tool = Programs::find(found.major(), &plan.postgres_folders).await?;
    let mut contention = Contention::new(plan.patience).pooled(found.pooler != Pooler::None);
    let read = loop {
        match read(plan, &found, &tool, &mut contention, observer, open).await? {
            Attempt::Read(read) => break *read,
            Attempt::LetGo(waiter) => {
                if let Some(writer) = open.take() {
                    writer.abort().await;
                }
                tracing::info!("let go of all locks: {}", waiter.display());
                if !contention.let_go(&waiter) {
                    return Err(contention.error().into());
                }
            }
        }
    };

    let mut objects = finish(open).await?;
    let small = Codec {
        zstd: Some(ZSTD_LEVEL),
        recipients: plan.recipients.clone(),
    };
    let Read {
        contents, globals, ..
    } = &read;
    let prefix = plan.identity.prefix();
    let told = found.warnings.iter().chain(&globals.lacks);
    told.for_each(|text| observer.note(text));
    let json = serde_json::to_vec(contents).map_err(|e| Failure::Internal(e.to_string()))?;
    for (base, role, bytes) in [
        ("globals.sql", ObjectRole::Globals, globals.sql.as_bytes()),
        (CONTENTS, ObjectRole::Contents, json.as_slice()),
    ] {
        let writer = open.insert(ObjectWriter::new(
            Arc::clone(&plan.store),
            &prefix,
            base,
            role,
            &small,
            plan.limits,
        )?);
        writer.write(bytes).await?;
        objects.extend(finish(open).await?);
    }

    observer.reached(Step::Committing).await;
    let manifest = describe(plan, &found, &tool, &read, objects, started_at);
    let body = manifest
        .to_json()
        .map_err(|e| Failure::Internal(e.to_string()))?;
    let put = put_new(
        plan.store.as_ref(),
        &join(&prefix, MANIFEST),
        Bytes::from(body),
    )
    .await?;
    if let Some(apart) = clock::apart(put.server_date, clock::now()) {
        observer.note(&apart);
    }
    Ok(manifest)
}

fn describe(
    plan: &Plan,
    found: &Preflight,
    tool: &Programs,
    read: &Read,
    objects: Vec<ObjectInfo>,
    started_at: Timestamp,
) -> Manifest {
    let identity = &plan.identity;
    Manifest {
        format: FORMAT_VERSION,
        backup: identity.backup.clone(),
        namespace: identity.namespace.clone(),
        policy: identity.policy.clone(),
        policy_uid: identity.policy_uid.clone(),
        directory: identity.directory.clone(),
        prefix: identity.prefix(),
        pod_uid: identity.pod_uid.clone(),
        tiers: identity.tiers.clone(),
        reason: identity.reason,
        due: identity.due,
        started_at,
        data_at: read.data_at,
        finished_at: clock::now(),
        lifeboat_version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: "PgDump".to_owned(),
        server: Server {
            version: found.version.clone(),
            major: found.major(),
            database: found.database.clone(),
            encoding: found.encoding.clone(),
            database_bytes: found.bytes,
            pg_dump_version: tool.version.clone(),
        },
        base: read.base.clone(),
        counts: counts(&read.contents, &objects),
        encryption: EncryptionInfo {
            method: if plan.recipients.is_some() {
                "age"
            } else {
                "none"
            }
            .to_owned(),
            recipients: plan
                .recipients
                .as_ref()
                .map(Recipients::to_strings)
                .unwrap_or_default(),
        },
        objects,
    }
}

/// Ends an upload where the caller can still abort it: a run that is stopped while its last parts are
/// on their way must not leave them behind (K3).
async fn finish(open: &mut Open) -> Result<Vec<ObjectInfo>, Failure> {
    let Some(writer) = open.as_mut() else {
        return Err(Failure::Internal("the upload under way is gone".to_owned()));
    };
    let objects = writer.finish().await?;
    *open = None;
    Ok(objects)
}
