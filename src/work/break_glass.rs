//! A backup restored by `docs/break-glass.sh`, after the drill has proven it: whether the script does what the drill does.
//! Nothing of it changes the drill's verdict.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::archive::{Archive, Fetched};
use super::drill::Plan;
use super::failure::Failure;
use super::reference::REFERENCES;
use super::restored::{NAME, Reaches, Scratch};
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::codec::hex;
use crate::manifest::{BreakGlassProof, MAX_NAMED, ProofDifference};
use crate::postgres::break_glass::{ScriptOrder, ScriptSaid, run};
use crate::postgres::compare::{Comparison, Difference, Printed};
use crate::postgres::running::clear;
use crate::postgres::{Observer, PgError, Step};

/// Whether and how long the script is drilled.
#[derive(Debug, Clone, Copy)]
pub struct BreakGlassOrder {
    /// It must have ended by then, or it could not be told.
    pub until: Option<Instant>,
}

/// The copy of a backup, as somebody has it on his disk. It goes, however its use ends.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Scratch {
    /// Restores by the script into a server that has nothing of the backup any more, and compares.
    pub(super) async fn break_glass(
        &self,
        plan: &Plan,
        order: BreakGlassOrder,
        archive: &Archive,
        (fetched, left): (&Fetched, &BTreeSet<String>),
        observer: &dyn Observer,
    ) -> BreakGlassProof {
        let mut seconds = 0.0;
        let tried = self.tried(plan, archive, (fetched, left), &mut seconds, observer);
        let outcome = match order.until {
            None => tried.await,
            Some(until) => match tokio::time::timeout_at(until.into(), tried).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure::Postgres(PgError::later(
                    Reason::DeadlineExceeded,
                    "it had not ended shortly before the drill's deadline; give more in spec.deadline",
                ))),
            },
        };
        judged(outcome, seconds)
    }

    async fn tried(
        &self,
        plan: &Plan,
        archive: &Archive,
        (fetched, left): (&Fetched, &BTreeSet<String>),
        seconds: &mut f64,
        observer: &dyn Observer,
    ) -> Result<(ScriptSaid, Comparison), Failure> {
        if self.reaches == Reaches::Unwanted {
            let text = "the scratch server could not be cut off from the network here, and the script restores what would reach other servers";
            return Err(Failure::Postgres(PgError::never(Reason::NotIsolated, text)));
        }
        if let Some(name) = left.first() {
            let text = format!("the scratch server lacks the extension {name}");
            return Err(Failure::Postgres(PgError::never(
                Reason::ExtensionMissing,
                text,
            )));
        }
        observer.reached(Step::BreakGlass).await;
        let name = archive.manifest.server.database.clone();
        let mut made: Vec<String> = REFERENCES.map(str::to_owned).into();
        made.push(name.clone());
        clear(&self.target("template1"), &made).await?;
        self.create(fetched, &name).await?;
        let target = self.target(&name);
        let programs = [
            self.tool.client("psql").await?,
            self.tool.client("pg_restore").await?,
        ];
        let copy = copy(&plan.volume, archive, fetched)?;
        let began = Instant::now();
        let said = run(&ScriptOrder {
            target: &target,
            copy: &copy.0,
            programs: programs.each_ref().map(PathBuf::as_path),
            scratch: &plan.scratch,
            application_name: NAME,
        })
        .await?;
        *seconds = began.elapsed().as_secs_f64();
        drop(copy);
        let comparison = self
            .compare(plan, archive, None, (&target, fetched, left), observer)
            .await?;
        Ok((said, comparison))
    }
}

fn judged(outcome: Result<(ScriptSaid, Comparison), Failure>, seconds: f64) -> BreakGlassProof {
    let (said, comparison) = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => {
            return BreakGlassProof {
                result: Verdict::Inconclusive,
                message: format!("the script could not be tried: {failure}"),
                seconds,
                complaints: Vec::new(),
                differences: Vec::new(),
            };
        }
    };
    let differences: Vec<ProofDifference> = comparison
        .differences
        .iter()
        .take(MAX_NAMED)
        .map(named)
        .collect();
    let open = comparison.undecided.first().map(Difference::sentence);
    let open = open.or_else(|| comparison.printed_otherwise.first().map(Printed::sentence));
    // What the server remarks is none of it.
    let refused = |line: &&String| line.contains("ERROR: ") || line.contains(" error: ");
    let complaint = said.complaints.iter().find(refused);
    let complaint = complaint.or(said.complaints.first());
    let (result, message) = match (complaint, differences.first(), open) {
        (Some(first), _, _) if !said.success => {
            let text = format!("the script was refused something: {first}");
            (Verdict::Failed, text)
        }
        (_, Some(first), _) => {
            let text = format!(
                "what the script restored differs: {} {}: {} instead of {}",
                first.what, first.object, first.found, first.expected
            );
            (Verdict::Failed, text)
        }
        (None, None, _) if !said.success => {
            let text = "the script ended with an error and said nothing".to_owned();
            (Verdict::Failed, text)
        }
        (_, None, Some(open)) => (
            Verdict::Inconclusive,
            format!("restored by the script, and nobody can tell whether it is equal: {open}"),
        ),
        (_, None, None) => (
            Verdict::Passed,
            "restored by docs/break-glass.sh; nothing was refused, and what was compared is equal"
                .to_owned(),
        ),
    };
    BreakGlassProof {
        result,
        message,
        seconds,
        complaints: said.complaints,
        differences,
    }
}

fn named(difference: &Difference) -> ProofDifference {
    ProofDifference {
        what: difference.what.clone(),
        object: difference.object.clone(),
        expected: difference.expected.clone(),
        found: difference.found.clone(),
    }
}

/// What the script reads of a manifest.
#[derive(Serialize)]
struct Listing {
    objects: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    sha256: String,
}

/// Lays a copy of the backup out, decrypted and decompressed: every digest of it was checked when it was fetched.
fn copy(volume: &Path, archive: &Archive, fetched: &Fetched) -> Result<Copy, Failure> {
    let failed = |e: std::io::Error| {
        let text = format!("failed to lay out a copy of the backup: {e}");
        Failure::Postgres(PgError::later(Reason::InternalError, text))
    };
    let json = |e: serde_json::Error| Failure::Internal(format!("failed to print: {e}"));
    let folder = volume.join("break-glass");
    std::fs::create_dir(&folder).map_err(failed)?;
    let copy = Copy(folder);
    let files = [
        (
            "contents.json",
            serde_json::to_vec(&archive.contents).map_err(json)?,
        ),
        ("globals.sql", fetched.globals.clone().into_bytes()),
    ];
    let mut objects = Vec::new();
    for (name, bytes) in files {
        std::fs::write(copy.0.join(name), &bytes).map_err(failed)?;
        objects.push(Listed {
            name,
            sha256: hex(&Sha256::digest(&bytes)),
        });
    }
    // Of the dump, which is large, the digest is known to be right.
    let manifest = serde_json::to_vec_pretty(&Listing { objects }).map_err(json)?;
    std::fs::write(copy.0.join("manifest.json"), manifest).map_err(failed)?;
    std::os::unix::fs::symlink(&fetched.dump, copy.0.join("dump.pgc")).map_err(failed)?;
    Ok(copy)
}

/// How long before a deadline the script must have ended: a tenth of it, for what is left to do.
pub fn in_time(deadline: Duration) -> Option<Instant> {
    Instant::now().checked_add(deadline.saturating_sub(deadline / 10))
}
