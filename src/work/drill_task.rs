//! A drill as a Job's container runs it: from the operator's task to a result, with the proof in the bucket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::break_glass::{BreakGlassOrder, in_time};
use super::contradictions::sentence;
use super::drill::{Drilled, Place, Plan};
use super::failure::Failure;
use super::pick::Choice;
use super::progress::{Progress, Show};
use super::{drill, human, proof};
use crate::api::Reason;
use crate::api::backup_store::EncryptionMode;
use crate::api::restore_drill::{DrilledTables, Rto, Verdict};
use crate::codec::Identities;
use crate::manifest::{Beside, MAX_PROOF_BYTES, PROOFS, Proof};
use crate::objects::{ObjectStore, join};
use crate::postgres::PgError;
use crate::task::{
    BreakGlassResult, DrillResult, DrillTask, IdentityTask, Retry, SERVER_DIR, TaskResult,
    VOLUME_DIR,
};

/// Largest key of the Secret that is read, in bytes.
const MAX_IDENTITY: u64 = 64 * 1024;
/// Inequalities in the result; the proof has all.
const MAX_MISMATCHES: usize = 10;
/// Characters of each.
const MAX_MISMATCH: usize = 120;
/// Characters of what is said of the break-glass script.
const MAX_MESSAGE: usize = 400;

/// Drills, writes the proof, and answers.
///
/// # Errors
/// [`Failure`], where there is no verdict; the drill is inconclusive then.
pub(super) async fn run(
    task: &DrillTask,
    place: &super::Place,
    deadline: Duration,
) -> Result<TaskResult, Failure> {
    let plan = plan(task, place, deadline)?;
    let drilled = match drill::run(&plan, &Progress::new(Show::Json)).await {
        Ok(drilled) => drilled,
        // Not even its manifest can be read: there is no proof to write, but a verdict.
        Err(failure) if failure.reason() == Reason::BackupDamaged => {
            return Ok(unreadable(&failure));
        }
        Err(failure) => return Err(failure),
    };
    if let Some(major) = drilled.wrong_major {
        // Not a verdict: the operator tries again with the right image at once (K20).
        let mut result =
            TaskResult::failed(Reason::WrongMajor, Retry::Later, &drilled.proof.message);
        result.found_major = Some(major);
        return Ok(result);
    }
    let Drilled {
        proof,
        isolated,
        at,
        ..
    } = drilled;
    let proof = recorded(plan.store.as_ref(), &at, proof).await?;
    Ok(result(&proof, isolated))
}

fn unreadable(failure: &Failure) -> TaskResult {
    let mut result = TaskResult::failed(failure.reason(), Retry::Never, failure.to_string());
    result.drill = Some(DrillResult {
        result: Verdict::Failed,
        proves: false,
        score: Some(0),
        backup: None,
        prefix: None,
        data_at: None,
        rto: None,
        tables: None,
        isolated: None,
        break_glass: None,
        reported: false,
        mismatches: Vec::new(),
    });
    result
}

/// The first proof of a run stands (P2): where another pod of this run was quicker, its word counts.
async fn recorded(store: &dyn ObjectStore, at: &str, mine: Proof) -> Result<Proof, Failure> {
    match proof::write(store, at, &mine).await {
        Ok(_) => Ok(mine),
        Err(error) if error.reason() == Reason::AlreadyExists => {
            let key = join(at, &format!("{PROOFS}/{}.json", mine.run));
            let most = u64::try_from(MAX_PROOF_BYTES).unwrap_or(u64::MAX);
            let bytes = store.get(&key, most).await?;
            let first = Proof::parse(&bytes)
                .map_err(|e| Failure::Internal(format!("failed to read the proof {key}: {e}")))?;
            let lies = first.contradictions(&Beside {
                at,
                run: &mine.run,
                manifest: None,
                now: super::clock::now(),
            });
            if let Some(said) = sentence(&lies) {
                let text =
                    format!("the proof {key} contradicts itself: {said}; it counts for nothing");
                return Err(Failure::Postgres(PgError::never(
                    Reason::AlreadyExists,
                    text,
                )));
            }
            // Another cluster may drill the same backup under the same names.
            let same = (&first.namespace, &first.drill) == (&mine.namespace, &mine.drill);
            if same { Ok(first) } else { Err(error) }
        }
        Err(error) => Err(error),
    }
}

fn plan(task: &DrillTask, place: &super::Place, deadline: Duration) -> Result<Plan, Failure> {
    let identities = identities_of(task.identity.as_ref(), task.store.encryption)?;
    let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    Ok(Plan {
        store: super::open_store(&task.store)?,
        identities,
        choice: Choice {
            directory: task.directory.clone(),
            select: task.select.clone(),
            decided_at: task.decided_at,
            due: task.due,
        },
        run: task.run.clone(),
        drill: task.drill.clone(),
        namespace: task.namespace.clone(),
        mode: task.mode,
        compare: task.compare.clone(),
        application_role: task.application_role.clone(),
        checks: task.checks.clone(),
        check_timeout: crate::postgres::checks::TIMEOUT,
        minimum_score: task.minimum_score,
        parameters: task.parameters.clone(),
        locales: task.locales.clone(),
        accepted: task.accepted.clone(),
        image: task.image.clone(),
        break_glass: task.break_glass.then(|| BreakGlassOrder {
            until: in_time(deadline),
        }),
        rto_objective: seconds(task.rto_objective_seconds),
        rpo_objective: seconds(task.rpo_objective_seconds),
        server: Place::Beside(PathBuf::from(SERVER_DIR)),
        volume: PathBuf::from(VOLUME_DIR),
        scratch: place.scratch.clone(),
        postgres_folders: place.postgres_folders.clone(),
    })
}

/// What opens the backups.
pub(super) fn identities_of(
    identity: Option<&IdentityTask>,
    encryption: EncryptionMode,
) -> Result<Option<Arc<Identities>>, Failure> {
    match (identity, encryption) {
        (Some(identity), _) => Ok(Some(Arc::new(identities(identity)?))),
        (None, EncryptionMode::None) => Ok(None),
        (None, EncryptionMode::Age) => {
            let text =
                "the backups are encrypted and the drill has no identity: set spec.identityRef";
            Err(Failure::Postgres(PgError::never(
                Reason::IdentityMissing,
                text,
            )))
        }
    }
}

/// Every key of the Secret that holds an age identity.
fn identities(task: &IdentityTask) -> Result<Identities, Failure> {
    let missing = |what: &str| {
        let text = format!("Secret {} {what}", task.secret_name);
        Failure::Postgres(PgError::never(Reason::IdentityMissing, text))
    };
    let entries = std::fs::read_dir(Path::new(&task.dir))
        .map_err(|_| missing("does not exist in this namespace (spec.identityRef)"))?;
    let mut lines = String::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        // The kubelet's own `..data` and `..2026_…` stand beside the keys.
        if name.to_string_lossy().starts_with("..") {
            continue;
        }
        let text = read(&entry.path()).map_err(|e| missing(&format!("cannot be read: {e}")))?;
        let keys = text.lines().map(str::trim);
        for key in keys.filter(|l| l.starts_with("AGE-SECRET-KEY-1")) {
            lines.push_str(key);
            lines.push('\n');
        }
    }
    if lines.is_empty() {
        return Err(missing(
            "does not exist in this namespace, or holds no age identity (AGE-SECRET-KEY-1…)",
        ));
    }
    Ok(Identities::parse(&lines)?)
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MAX_IDENTITY)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn result(proof: &Proof, isolated: Option<bool>) -> TaskResult {
    let reason = Reason::parse(&proof.reason).unwrap_or(Reason::Unknown);
    let mut message = proof.message.clone();
    if let (Verdict::Passed, Some(rto)) = (proof.result, &proof.rto) {
        let seconds = whole(rto.seconds);
        // What comes after a database that can be used does not count, but where all of it is measured.
        let counts = |name: &str| proof.mode == "Disaster" || !["verify", "checks"].contains(&name);
        let worst = proof
            .phases
            .iter()
            .filter(|p| counts(&p.name))
            .max_by(|a, b| a.seconds.total_cmp(&b.seconds))
            .map_or(String::new(), |p| format!(", most of it {}", p.name));
        let time = human::seconds(u64::try_from(seconds).unwrap_or_default());
        message.push_str(&format!("; restored in {time}{worst}"));
    }
    let mut result = TaskResult::failed(reason, Retry::Never, message);
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    result.drill = Some(DrillResult {
        result: proof.result,
        proves: proof.proves,
        score: proof.score.map(i32::from),
        backup: Some(proof.backup.name.clone()),
        prefix: Some(proof.backup.prefix.clone()),
        data_at: Some(proof.backup.data_at),
        rto: proof.rto.as_ref().map(|total| rto(proof, total.seconds)),
        tables: Some(DrilledTables {
            compared: number(proof.tables.len()),
            equal: number(proof.tables.iter().filter(|t| t.equal).count()),
        }),
        isolated,
        break_glass: proof.break_glass.as_ref().map(|it| BreakGlassResult {
            result: it.result,
            message: it.message.chars().take(MAX_MESSAGE).collect(),
            seconds: whole(it.seconds),
        }),
        reported: true,
        mismatches: mismatches(proof),
    });
    result
}

fn whole(seconds: f64) -> i64 {
    i64::try_from(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_secs()).unwrap_or(i64::MAX)
}

fn rto(proof: &Proof, total: f64) -> Rto {
    let of = |names: &[&str]| {
        let phases = proof.phases.iter();
        whole(
            phases
                .filter(|p| names.contains(&p.name.as_str()))
                .map(|p| p.seconds)
                .sum(),
        )
    };
    Rto {
        provision: of(&["schedule", "open", "server"]),
        fetch: of(&["fetch"]),
        restore: of(&["schema", "data", "indexes", "analyze"]),
        verify: of(&["verify", "checks"]),
        total: whole(total),
    }
}

fn mismatches(proof: &Proof) -> Vec<String> {
    let differences = proof.differences.iter().map(|d| {
        format!(
            "{} {}: {} instead of {}",
            d.what, d.object, d.found, d.expected
        )
    });
    let errors = proof
        .errors
        .iter()
        .filter(|e| e.judged != Verdict::Passed)
        .map(|e| format!("{} {}: {}", e.sqlstate, e.entry, e.message));
    let checks = proof
        .checks
        .iter()
        .filter(|c| !c.passed)
        .map(|c| format!("check {}", c.name));
    let cut = |text: String| -> String { text.chars().take(MAX_MISMATCH).collect() };
    errors
        .chain(differences)
        .chain(checks)
        .take(MAX_MISMATCHES)
        .map(cut)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::samples::{AT, passed};
    use crate::objects::Memory;

    /// P2, P10: the first word of a run counts, if it is one word.
    #[tokio::test]
    async fn p10_a_first_proof_that_contradicts_itself_is_not_taken_for_the_runs() {
        for (score, taken) in [(100, true), (99, false)] {
            let store = Memory::new();
            let mut first = passed();
            first.score = Some(score);
            proof::write(&store, AT, &first).await.unwrap();
            let mut mine = passed();
            mine.notes.push("mine".to_owned());
            match recorded(&store, AT, mine).await {
                Ok(stands) => assert!(taken && stands == first),
                Err(error) => {
                    let said = error.to_string();
                    assert!(!taken && said.contains("contradicts itself"), "{said}");
                }
            }
        }
    }
}
