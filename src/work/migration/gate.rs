//! The gate, asked again just before the first statement (M7).

use std::time::Duration;

use jiff::Timestamp;

use super::documents::expired;
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::manifest::{Beside, Evidence, MAX_PROOF_BYTES, Manifest, PROOFS, Proof};
use crate::objects::{Depth, ObjectStore, join};
use crate::task::ApplyTask;
use crate::work::archive;
use crate::work::failure::Failure;

/// The backup is there, is the one that was rehearsed on, is proven, and is fresh: by the store's clock (M7).
pub(super) async fn gate(
    store: &dyn ObjectStore,
    step: &ApplyTask,
    evidence: Option<&Evidence>,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(seen) = evidence else {
        return Err(expired("nothing was rehearsed"));
    };
    if seen.plan_hash != step.plan_hash || seen.result != Verdict::Passed {
        return Err(expired(
            "the rehearsal was of another plan, or did not pass",
        ));
    }
    let (manifest, sha256) = match archive::manifest(store, &step.prefix).await {
        Ok(found) => found,
        Err(failure) if failure.reason() == Reason::NoBackup => {
            return Err(expired(format!("{failure}; nothing was begun")));
        }
        Err(failure) => return Err(failure),
    };
    if sha256 != seen.backup.manifest_sha256 || seen.backup.prefix != step.prefix {
        return Err(expired("the backup is not the one that was rehearsed on"));
    }
    whole(store, &step.prefix, &manifest).await?;
    let age = Duration::try_from(now.duration_since(manifest.data_at)).unwrap_or_default();
    if age > Duration::from_secs(step.max_age_seconds) {
        return Err(expired(format!(
            "the data of {} is {} old, and spec.gate.maxAge is {}; nothing was begun",
            step.backup,
            crate::work::human::seconds(age.as_secs()),
            crate::work::human::seconds(step.max_age_seconds)
        )));
    }
    let beside = Beside {
        at: &step.prefix,
        run: "",
        manifest: Some((&manifest, &sha256)),
        now,
    };
    if !proven(store, beside).await? {
        return Err(expired(format!(
            "no drill has proven {}; nothing was begun",
            step.backup
        )));
    }
    Ok(())
}

/// Everything that the manifest names is there, as long as it was: one without its dump brings nothing back.
async fn whole(store: &dyn ObjectStore, prefix: &str, manifest: &Manifest) -> Result<(), Failure> {
    for object in &manifest.objects {
        let key = join(prefix, &object.name);
        let there = store.head(&key).await?;
        if there.is_none() || there != u64::try_from(object.bytes).ok() {
            return Err(expired(format!(
                "{key} is missing or cut, so the backup cannot be restored; nothing was begun"
            )));
        }
    }
    Ok(())
}

/// Whether a proof of this very backup lies beside it, and nothing speaks against that.
async fn proven(store: &dyn ObjectStore, beside: Beside<'_>) -> Result<bool, Failure> {
    let folder = format!("{}/", join(beside.at, PROOFS));
    let mut token = None;
    // Bounded: a thousand proofs of one backup are enough to find one.
    let page = store.list(&folder, Depth::All, token.take()).await?;
    let most = u64::try_from(MAX_PROOF_BYTES).unwrap_or(u64::MAX);
    for object in page.objects.iter().rev().take(100) {
        let bytes = store.get(&object.key, most).await?;
        let run = object.key.strip_prefix(&folder).unwrap_or_default();
        let run = run.strip_suffix(".json").unwrap_or_default();
        let beside = Beside { run, ..beside };
        if Proof::parse(&bytes).is_ok_and(|proof| proof.counts(&beside)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::samples::{AT, RUN, SHA256, manifest, now, passed};
    use crate::objects::{Memory, PutMode};

    #[tokio::test]
    async fn p10_a_proof_that_contradicts_itself_lets_no_migration_through() {
        type Lie = fn(&mut Proof);
        let lies: [(Lie, bool); 5] = [
            (|_| (), true),
            (|p| p.tables[0].equal = false, false),
            (|p| p.result = Verdict::Failed, false),
            (|p| p.not_compared.push("rows".to_owned()), false),
            (|p| p.backup.manifest_sha256 = "00".repeat(32), false),
        ];
        let manifest = manifest();
        for (lie, through) in lies {
            let (store, mut proof) = (Memory::new(), passed());
            lie(&mut proof);
            let json = serde_json::to_vec(&proof).unwrap();
            let key = format!("{AT}/{PROOFS}/{RUN}.json");
            let put = store.put(&key, json.into(), PutMode::CreateOnly);
            put.await.unwrap();
            let beside = Beside {
                at: AT,
                run: "",
                manifest: Some((&manifest, SHA256)),
                now: now(),
            };
            assert_eq!(proven(&store, beside).await.unwrap(), through);
        }
    }
}
