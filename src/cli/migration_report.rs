//! `lifeboat report migrationrun`: one migration as Markdown, for whoever reviews it.

use super::store::StoreArg;
use super::{CommandError, out};
use crate::cluster::fault::said;
use crate::cluster::people::Person;
use crate::manifest::{Evidence, MAX_EVIDENCE_BYTES};
use crate::report::migration;

/// Arguments of `lifeboat report migrationrun`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the MigrationRun.
    run: String,
    /// Its namespace. Default: that of the kubeconfig.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The store of its policy, for every statement of the rehearsal: s3://bucket/prefix?endpoint=… or file:///path.
    #[arg(long, value_name = "URL")]
    from: Option<StoreArg>,
}

/// Runs `lifeboat report migrationrun`.
///
/// # Errors
/// What kept the run, or its evidence, from being read.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let person = Person::connect().await?;
    let namespace = args.namespace.as_deref().unwrap_or(person.namespace());
    let run = person
        .run(namespace, &args.run)
        .await
        .map_err(|e| format!("failed to read MigrationRun {}: {}", args.run, said(&e)))?;
    let rehearsal = run.status.as_ref().and_then(|s| s.rehearsal.as_ref());
    let key = rehearsal.and_then(|r| r.key.clone());
    let evidence = match (args.from, key) {
        (Some(from), Some(key)) => {
            let store = from.open().await?;
            let most = u64::try_from(MAX_EVIDENCE_BYTES).unwrap_or(u64::MAX);
            let bytes = store.get(&key, most).await?;
            let evidence: Evidence =
                serde_json::from_slice(&bytes).map_err(|e| format!("{key} cannot be read: {e}"))?;
            if rehearsal.is_some_and(|r| r.evidence_hash != evidence.hash()) {
                return Err(format!("{key} is not the evidence that the run speaks of").into());
            }
            Some(evidence)
        }
        _ => None,
    };
    out::print(migration(&run, evidence.as_ref()).markdown());
    Ok(())
}
