//! What a run keeps in the store (M24): its files, its plan, what a rehearsal saw. Written once; read back and hashed again.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::api::Reason;
use crate::api::migration_run::MigrationRunSpec;
use crate::codec::{pack, unpack};
use crate::manifest::{Evidence, FORMAT_VERSION, MAX_EVIDENCE_BYTES, Role};
use crate::objects::{ObjectStore, Put, join, put_new};
use crate::plan::{Bound, Plan};
use crate::postgres::PgError;
use crate::postgres::migrate::{Given, Surroundings};
use crate::sql::{File, MOST_BYTES};
use crate::task::MIGRATIONS;
use crate::work::failure::Failure;

/// Largest plan that is read, in bytes: all files, cut.
const MAX_PLAN: usize = 16 * 1024 * 1024;

/// `migrations/plans/<hash>.json`: a plan as it was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenPlan {
    /// [`FORMAT_VERSION`].
    pub format: u32,
    /// Namespace of the MigrationRun.
    pub namespace: String,
    /// Its name.
    pub run: String,
    /// Its uid.
    pub run_uid: String,
    /// When it was made.
    pub at: Timestamp,
    /// The server's `system_identifier`.
    pub system_identifier: String,
    /// Name of the database.
    pub database: String,
    /// When its history was written last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_at: Option<Timestamp>,
    /// Major version of the server.
    pub major: i32,
    /// The role that logs in.
    pub login: String,
    /// It, and the roles that it is a member of; never a password.
    pub roles: Vec<Role>,
    /// Rights that they, and everybody, are given there: the rehearsal has them too, however old the backup is.
    #[serde(default)]
    pub rights: Vec<Given>,
    /// What surrounds the statements there: the rehearsal is held against it.
    #[serde(default)]
    pub surroundings: Surroundings,
    /// Every file of the source, those for the way back too.
    pub files: Vec<StoredFile>,
    /// What is done, to the byte.
    pub plan: Plan,
}

/// A file in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes: it stands under `migrations/<sha256>.zst`.
    pub sha256: String,
}

impl FrozenPlan {
    /// What an approval is bound to (M12).
    ///
    /// # Errors
    /// A spec that cannot be written: never.
    pub fn hash(&self, spec: &MigrationRunSpec) -> Result<String, Failure> {
        let spec = MigrationRunSpec {
            suspend: None,
            ..spec.clone()
        };
        let spec = serde_json::to_value(&spec).map_err(internal)?;
        let bound = Bound {
            run_uid: &self.run_uid,
            system_identifier: &self.system_identifier,
            database: &self.database,
        };
        Ok(self.plan.hash(&bound, &spec))
    }
}

fn internal(error: serde_json::Error) -> Failure {
    Failure::Internal(format!("failed to write a document: {error}"))
}

pub(super) fn expired(what: impl AsRef<str>) -> Failure {
    Failure::Postgres(PgError::never(Reason::GateExpired, what))
}

/// Puts what is content-addressed, or this run's own: what is there already is the same.
async fn keep(store: &dyn ObjectStore, key: &str, bytes: Vec<u8>) -> Result<Put, Failure> {
    match put_new(store, key, Bytes::from(bytes)).await {
        Ok(put) => Ok(put),
        Err(error) if error.reason() == Reason::AlreadyExists => Ok(Put::default()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn json<T: Serialize>(document: &T) -> Result<Vec<u8>, Failure> {
    let mut text = serde_json::to_vec_pretty(document).map_err(internal)?;
    text.push(b'\n');
    Ok(text)
}

pub(super) async fn read<T: DeserializeOwned>(
    store: &dyn ObjectStore,
    key: &str,
    most: usize,
) -> Result<T, Failure> {
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let bytes = match store.get(key, most).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => {
            return Err(expired(format!(
                "{key} is not in {} any more",
                store.place()
            )));
        }
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&bytes).map_err(|e| expired(format!("{key} cannot be read: {e}")))
}

fn file_key(sha256: &str) -> String {
    join(MIGRATIONS, &format!("{sha256}.zst"))
}

/// Keeps the bytes of a file under their hash.
///
/// # Errors
/// Those of the store.
pub async fn keep_file(store: &dyn ObjectStore, sha256: &str, bytes: &[u8]) -> Result<(), Failure> {
    let key = file_key(sha256);
    keep(store, &key, pack(&key, bytes)?).await.map(drop)
}

/// Every file of a plan, as it was when it was planned.
///
/// # Errors
/// Those of the store; `GateExpired` if one is another.
pub async fn files(store: &dyn ObjectStore, plan: &FrozenPlan) -> Result<Vec<File>, Failure> {
    let mut files = Vec::new();
    for stored in &plan.files {
        let key = file_key(&stored.sha256);
        let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
        let packed = store.get(&key, most).await?;
        let bytes = unpack(&key, &packed, MOST_BYTES)?;
        let digest = Sha256::digest(&bytes);
        let sha256: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        if sha256 != stored.sha256 {
            return Err(expired(format!("{key} is not what was planned")));
        }
        files.extend(File::parts(&stored.name, &bytes));
    }
    Ok(files)
}

fn plan_key(hash: &str) -> String {
    join(MIGRATIONS, &format!("plans/{hash}.json"))
}

/// Keeps a plan under its hash.
///
/// # Errors
/// Those of the store.
pub async fn keep_plan(
    store: &dyn ObjectStore,
    hash: &str,
    plan: &FrozenPlan,
) -> Result<(), Failure> {
    keep(store, &plan_key(hash), json(plan)?).await.map(drop)
}

/// The plan of that hash: whoever changed it in the store changed its hash.
///
/// # Errors
/// Those of the store; `GateExpired` if it is missing or another.
pub async fn plan(
    store: &dyn ObjectStore,
    hash: &str,
    spec: &MigrationRunSpec,
) -> Result<FrozenPlan, Failure> {
    let key = plan_key(hash);
    let plan: FrozenPlan = read(store, &key, MAX_PLAN).await?;
    if plan.format != FORMAT_VERSION || plan.hash(spec)? != hash {
        return Err(expired(format!("{key} is not the plan that was made")));
    }
    Ok(plan)
}

/// Where the evidence of a rehearsal stands.
#[must_use]
pub fn evidence_key(run_uid: &str, rehearsal: &str) -> String {
    join(MIGRATIONS, &format!("{run_uid}/{rehearsal}.json"))
}

/// Keeps what a rehearsal saw, once.
///
/// # Errors
/// Those of the store.
pub async fn keep_evidence(
    store: &dyn ObjectStore,
    key: &str,
    evidence: &Evidence,
) -> Result<(), Failure> {
    put_new(store, key, Bytes::from(json(evidence)?)).await?;
    Ok(())
}

/// The evidence that was approved.
///
/// # Errors
/// Those of the store; `GateExpired` if it is missing or another.
pub async fn evidence(store: &dyn ObjectStore, key: &str, hash: &str) -> Result<Evidence, Failure> {
    let evidence: Evidence = read(store, key, MAX_EVIDENCE_BYTES).await?;
    if evidence.format != FORMAT_VERSION || evidence.hash() != hash {
        return Err(expired(format!(
            "{key} is not the rehearsal that was approved"
        )));
    }
    Ok(evidence)
}

/// Writes that a worker begins, once for each pod, and answers the store's own clock (M7).
pub(super) async fn begun(
    store: &dyn ObjectStore,
    run_uid: &str,
    pod_uid: &str,
) -> Result<Option<Timestamp>, Failure> {
    let key = join(MIGRATIONS, &format!("{run_uid}/begun-{pod_uid}.json"));
    let put = put_new(store, &key, Bytes::from_static(b"{}\n")).await?;
    Ok(put.server_date)
}
