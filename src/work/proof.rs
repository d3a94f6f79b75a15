//! What a drill found becomes the document that stays. Pure but for the store it is written to.

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;

use super::archive::Archive;
use super::drill::Plan;
use super::failure::Failure;
use super::restored::Reaches;
use super::verdict::{Judgement, Kind, kind};
use crate::manifest::{
    BreakGlassProof, CheckProof, Contents, FORMAT_VERSION, MAX_NAMED, Manifest, Objective, PROOFS,
    Phase, Proof, ProofDifference, ProvenBackup, ProvenObject, RestoreError, ScratchServer,
    TableProof,
};
use crate::objects::{ObjectStore, join, put_new};
use crate::postgres::compare::{Comparison, Difference, Printed};
use crate::postgres::judge::Judged;
use crate::postgres::scratch::Refused;

/// What is known of a drill under way.
#[derive(Debug)]
pub struct Facts {
    run: String,
    drill: String,
    namespace: String,
    mode: &'static str,
    started_at: Timestamp,
    backup: ProvenBackup,
    server: Option<ScratchServer>,
    /// How long each part took.
    pub phases: Vec<Phase>,
    /// Seconds from the start of this process to a database that can be used.
    pub rto: Option<f64>,
    /// The user's checks.
    pub checks: Vec<CheckProof>,
    tables: Vec<TableProof>,
    differences: Vec<ProofDifference>,
    errors: Vec<RestoreError>,
    not_compared: Vec<String>,
    notes: Vec<String>,
    /// The restore by the break-glass script.
    pub(super) break_glass: Option<BreakGlassProof>,
}

impl Facts {
    /// At the beginning.
    #[must_use]
    pub fn new(
        plan: &Plan,
        at: &str,
        manifest: &Manifest,
        manifest_sha256: String,
        started_at: Timestamp,
    ) -> Self {
        let objects = manifest.objects.iter().map(|o| ProvenObject {
            name: o.name.clone(),
            bytes: o.bytes,
            sha256: o.sha256.clone(),
        });
        Self {
            run: plan.run.clone(),
            drill: plan.drill.clone(),
            namespace: plan.namespace.clone(),
            mode: plan.mode.as_str(),
            started_at,
            backup: ProvenBackup {
                name: manifest.backup.clone(),
                prefix: at.to_owned(),
                database: manifest.server.database.clone(),
                server_version: manifest.server.version.clone(),
                data_at: manifest.data_at,
                finished_at: manifest.finished_at,
                manifest_sha256,
                stored_bytes: manifest.counts.stored_bytes,
                raw_bytes: manifest.counts.raw_bytes,
                database_bytes: manifest.server.database_bytes,
                tables: manifest.counts.tables,
                rows: manifest.counts.rows,
                objects: objects.collect(),
            },
            server: None,
            phases: Vec::new(),
            rto: None,
            checks: Vec::new(),
            tables: Vec::new(),
            differences: Vec::new(),
            errors: Vec::new(),
            not_compared: Vec::new(),
            notes: Vec::new(),
            break_glass: None,
        }
    }

    /// What was left out of the backup is worth knowing whatever comes.
    pub(super) fn open(&mut self, archive: &Archive) {
        for left in &archive.contents.left_out {
            self.notes.push(format!(
                "not in the backup: {}: {}",
                left.display(),
                left.why
            ));
        }
    }

    /// Its documents contradict each other: nothing was restored.
    pub(super) fn lies(&mut self, lies: Vec<ProofDifference>) {
        self.differences = lies.into_iter().take(MAX_NAMED).collect();
    }

    /// Settings of the source that the scratch server does not take.
    pub(super) fn runs_without(&mut self, refused: &[Refused]) {
        self.notes.extend(refused.iter().map(Refused::sentence));
    }

    /// What the scratch server could reach.
    pub(super) fn network(&mut self, reaches: Reaches) {
        let note = match reaches {
            Reaches::Nothing => return,
            Reaches::Unwanted => {
                "NotIsolated: the scratch server could not be cut off from the network here (no namespaces for this user): without --network=host no materialized view is filled and no foreign server restored"
            }
            Reaches::Allowed => {
                "NotIsolated: the scratch server had this machine's network (--network=host)"
            }
        };
        self.notes.push(note.to_owned());
    }

    pub(super) fn server(&mut self, version: String, image: &str) {
        self.server = Some(ScratchServer {
            version,
            image: image.to_owned(),
        });
    }

    /// What was compared, table by table.
    pub(super) fn found(
        &mut self,
        contents: &Contents,
        comparison: Comparison,
        errors: Vec<Judged>,
    ) {
        let compared = comparison.tables > 0 || !comparison.differences.is_empty();
        let spoiled: BTreeSet<&str> = comparison
            .differences
            .iter()
            .filter(|d| kind(d) != Kind::Schema)
            .map(|d| d.object.as_str())
            .collect();
        let left: BTreeSet<_> = contents
            .left_out
            .iter()
            .map(|l| (&l.schema, &l.name))
            .collect();
        let tables = contents
            .relations
            .iter()
            .filter(|r| compared && r.rows.is_some() && !left.contains(&(&r.schema, &r.name)));
        self.tables = tables
            .map(|r| TableProof {
                schema: r.schema.clone(),
                name: r.name.clone(),
                rows: r.rows.unwrap_or_default(),
                bytes: r.bytes,
                hash: r.hash.clone(),
                equal: !spoiled
                    .contains(format!("{}.{}", r.schema.display(), r.name.display()).as_str()),
            })
            .collect();
        self.differences = comparison
            .differences
            .into_iter()
            .take(MAX_NAMED)
            .map(|d| ProofDifference {
                what: d.what,
                object: d.object,
                expected: d.expected,
                found: d.found,
            })
            .collect();
        self.errors = errors
            .into_iter()
            .take(MAX_NAMED)
            .map(|e| e.error)
            .collect();
        self.not_compared = comparison.not_compared;
        let undecided = comparison.undecided.iter().take(MAX_NAMED);
        self.not_compared
            .extend(undecided.map(Difference::sentence));
        let printed = comparison.printed_otherwise.iter().take(MAX_NAMED);
        self.not_compared.extend(printed.map(Printed::sentence));
        self.notes.extend(comparison.notes);
    }
}

/// The document.
#[must_use]
pub fn proof(facts: Facts, judgement: Judgement, now: Timestamp) -> Proof {
    let age = facts.started_at.duration_since(facts.backup.data_at);
    let measured = |seconds| Objective {
        seconds,
        objective_seconds: None,
        met: None,
    };
    Proof {
        format: FORMAT_VERSION,
        run: facts.run,
        drill: facts.drill,
        namespace: facts.namespace,
        mode: facts.mode.to_owned(),
        result: judgement.result,
        reason: judgement.reason.as_str().to_owned(),
        message: judgement.message,
        proves: judgement.proves,
        score: judgement.score,
        parts: judgement.parts,
        started_at: facts.started_at,
        finished_at: now,
        lifeboat_version: env!("CARGO_PKG_VERSION").to_owned(),
        rpo: Some(measured(age.as_secs_f64().max(0.0))),
        backup: facts.backup,
        server: facts.server,
        phases: facts.phases,
        rto: facts.rto.map(measured),
        tables: facts.tables,
        differences: facts.differences,
        errors: facts.errors,
        checks: facts.checks,
        not_compared: facts.not_compared,
        notes: facts.notes,
        break_glass: facts.break_glass,
    }
}

/// Writes the proof beside its backup; once (P2). Answers its key.
///
/// # Errors
/// Those of the store; one of its name there already.
pub async fn write(store: &dyn ObjectStore, at: &str, proof: &Proof) -> Result<String, Failure> {
    let key = join(at, &format!("{PROOFS}/{}.json", proof.run));
    let mut text = serde_json::to_vec_pretty(proof)
        .map_err(|e| Failure::Internal(format!("failed to print the proof: {e}")))?;
    text.push(b'\n');
    put_new(store, &key, Bytes::from(text)).await?;
    Ok(key)
}
