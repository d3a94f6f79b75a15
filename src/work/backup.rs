//! One backup, from preflight to manifest (P1, G1-G3).
//!
//! ```text
//! preflight ─► lock, export, re-list ─┬─► pg_dump ─► toc ─► codec ─► parts of dump.pgc…   (not completed yet)
//!                                     └─► census, counts under the same snapshot
//!   ─► toc against census ─► locks proved ─► dump completed ─► globals, contents ─► locks proved ─► manifest.json
//! ```
//!
//! Whatever fails on the way aborts the upload under way and writes no manifest.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::io::AsyncReadExt;

use super::clock;
use super::counts::counts;
use super::failure::Failure;
use crate::api::backup::BackupReason;
use crate::codec::{Codec, Limits, ObjectWriter, Recipients};
use crate::manifest::{
    CONTENTS, Contents, EncryptionInfo, FORMAT_VERSION, MANIFEST, Manifest, ObjectInfo, ObjectRole,
    Server,
};
use crate::objects::{ObjectStore, join, put_new};
use crate::postgres::content::LineKey;
use crate::postgres::copying::{self, Underway};
use crate::postgres::pooler::Pooler;
use crate::postgres::{
    Coordinator, DumpOrder, DumpProcess, Ended, LockPatience, Observer, Preflight, Print, Programs,
    Step, Target, TocParser, census, left_out, preflight, witness,
};

/// Bytes read from pg_dump at once.
const READ: usize = 256 * 1024;
/// How long a failed run asks whether its locks were lost.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Level of zstd for what we compress ourselves.
const ZSTD_LEVEL: i32 = 1;

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
    let coordinator = Coordinator::begin(
        &plan.target,
        &plan.application_name,
        plan.patience,
        observer,
    )
    .await?;
    let prefix = plan.identity.prefix();

    let pooled = found.pooler != Pooler::None;
    let print = Print::of_session(coordinator.client(), &found.encoding, pooled).await?;
    let heard = coordinator.heard();
    let order = DumpOrder {
        target: &plan.target,
        tool: &tool,
        snapshot: coordinator.snapshot(),
        application_name: &plan.application_name,
        pooled,
        print: &print,
        heard: &heard,
        scratch: &plan.scratch,
    };
    let dump = DumpProcess::spawn(&order)?;
    let codec = Codec {
        zstd: (!dump.compressed).then_some(ZSTD_LEVEL),
        recipients: plan.recipients.clone(),
    };
    *open = Some(ObjectWriter::new(
        Arc::clone(&plan.store),
        &prefix,
        "dump.pgc",
        ObjectRole::Dump,
        &codec,
        plan.limits,
    )?);
    observer.reached(Step::DumpStarted).await;
    // Counting and dumping read under one snapshot, so they may go side by side.
    let underway = Underway::default();
    let counting = async {
        let census = census::take(&coordinator, observer).await?;
        let _ = underway.contents.set(census.contents.clone());
        match plan.line_key {
            Some(key) => Ok(census.hash(&coordinator, key, None, observer).await?),
            None => Ok::<_, Failure>(census.contents),
        }
    };
    let both = async { tokio::try_join!(stream(dump, &underway, open, observer), counting) };
    let read = tokio::select! {
        both = both => both,
        lost = copying::watch(&coordinator, &underway, observer) => Err(lost.into()),
    };
    // The coordinator's own loss explains everything else that went wrong beside it (G2). After a failure it may
    // still be sending rows that nobody reads any more: then it is there, and not waited for.
    match &read {
        Ok(_) => coordinator.prove().await?,
        Err(_) => tokio::time::timeout(AFTER_FAILURE, coordinator.explain())
            .await
            .unwrap_or(Ok(()))?,
    }
    let (dumped, mut contents) = read?;
    for remark in dumped.judge(&coordinator.heard())?.remarks {
        tracing::info!("pg_dump: {remark}");
    }
    observer.reached(Step::DumpEnded).await;
    let no_toc = || Failure::Internal("the dump left no table of contents".to_owned());
    let toc = underway.toc.into_inner().ok_or_else(no_toc)?;
    witness::compare(&contents, &toc)?;
    witness::record(&mut contents, &toc)?;
    drop(toc);
    print.record(&mut contents);
    left_out::tell(&contents);
    contents.source = plan.target.address();
    contents.data_at = Some(coordinator.data_at());
    coordinator.prove().await?;

    let mut objects = finish(open).await?;
    let small = Codec {
        zstd: Some(ZSTD_LEVEL),
        recipients: plan.recipients.clone(),
    };
    let globals = coordinator.globals().await?;
    let told = found.warnings.iter().chain(&globals.lacks);
    told.for_each(|text| observer.note(text));
    let json = serde_json::to_vec(&contents).map_err(|e| Failure::Internal(e.to_string()))?;
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
    coordinator.prove().await?;
    let manifest = describe(
        plan,
        &found,
        &tool,
        &coordinator,
        &contents,
        objects,
        started_at,
    );
    let body = manifest
        .to_json()
        .map_err(|e| Failure::Internal(e.to_string()))?;
    put_new(
        plan.store.as_ref(),
        &join(&prefix, MANIFEST),
        Bytes::from(body),
    )
    .await?;
    // The backup exists; how the session ends changes nothing.
    if let Err(error) = coordinator.finish().await {
        tracing::warn!("failed to end the coordinator's session: {error}");
    }
    Ok(manifest)
}

fn describe(
    plan: &Plan,
    found: &Preflight,
    tool: &Programs,
    coordinator: &Coordinator,
    contents: &Contents,
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
        data_at: coordinator.data_at(),
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
        base: coordinator.base().clone(),
        counts: counts(contents, &objects),
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

/// pg_dump's output through the reader of its table of contents into the store, until pg_dump has
/// ended well. What it said is judged when our own session has read everything too.
async fn stream(
    mut dump: DumpProcess,
    underway: &Underway,
    open: &mut Open,
    observer: &dyn Observer,
) -> Result<Ended, Failure> {
    let copied = copy(&mut dump, underway, open, observer).await;
    if let Err(failure @ (Failure::Codec(_) | Failure::Store(_))) = copied {
        // The store's fault: pg_dump would only tell of a broken pipe.
        dump.kill().await;
        return Err(failure);
    }
    // What pg_dump says explains a stream that was cut better than the cut itself.
    let end = dump.ended().await?;
    if let Err(cut) = copied {
        end.judge(&[])?;
        return Err(cut);
    }
    Ok(end)
}

async fn copy(
    dump: &mut DumpProcess,
    underway: &Underway,
    open: &mut Open,
    observer: &dyn Observer,
) -> Result<(), Failure> {
    let mut buffer = vec![0_u8; READ];
    let mut parser = Some(TocParser::new());
    loop {
        let n = dump
            .stdout
            .read(&mut buffer)
            .await
            .map_err(|e| Failure::Internal(format!("failed to read from pg_dump: {e}")))?;
        let Some(chunk) = buffer.get(..n).filter(|chunk| !chunk.is_empty()) else {
            // The stream is over: a table of contents that is not complete now never will be.
            return match parser {
                Some(cut) => Ok(cut.finish().map(|_| ())?),
                None => Ok(()),
            };
        };
        if let Some(toc) = &mut parser {
            toc.push(chunk)?;
        }
        if let Some(whole) = parser.take_if(|toc| toc.is_complete()) {
            let _ = underway.toc.set(whole.finish()?);
        }
        let Some(writer) = open.as_mut() else {
            return Err(Failure::Internal("the dump's upload is gone".to_owned()));
        };
        writer.write(chunk).await?;
        observer.bytes(u64::try_from(n).unwrap_or_default());
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
