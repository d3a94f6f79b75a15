//! The Job that rehearses: the plan as it was made, on the backup that was chosen, in the server beside.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::documents::{evidence_key, files, keep_evidence, plan};
use super::kept::{Wish, keep};
use super::rehearse::{Login, Rehearsal, Wanted, rehearse};
use super::task::{acting_of, limits_of};
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::manifest::{Evidence, RehearsedFile, WayBack};
use crate::objects::ObjectStore;
use crate::postgres::migrate::Worker;
use crate::task::{
    MigrationResult, MigrationTask, RehearsalResult, RehearseTask, Retry, SERVER_DIR, TaskResult,
    VOLUME_DIR,
};
use crate::work::drill::Place as ServerPlace;
use crate::work::failure::Failure;
use crate::work::progress::{Progress, Show};
use crate::work::{Place, drill_task};

/// Most tables that are named in the result.
const MOST_LOCKS: usize = 20;
/// So many rows are no single edit.
const MANY_ROWS: u64 = 1_000;

pub(super) async fn run(
    task: &MigrationTask,
    step: &RehearseTask,
    store: Arc<dyn ObjectStore>,
    place: &Place,
) -> Result<TaskResult, Failure> {
    let frozen = plan(store.as_ref(), &step.plan_hash, &task.spec).await?;
    let files = files(store.as_ref(), &frozen).await?;
    let history = task.spec.history.clone().unwrap_or_default();
    let rehearsal = Rehearsal {
        identities: drill_task::identities_of(step.identity.as_ref(), task.store.encryption)?,
        store: store.clone(),
        at: step.prefix.clone(),
        wanted: Wanted::Frozen(frozen.plan),
        files,
        login: Login {
            name: frozen.login,
            roles: frozen.roles,
        },
        rights: frozen.rights,
        rights_at: frozen.at,
        surroundings: frozen.surroundings,
        acting: acting_of(&task.spec),
        worker: Worker {
            run_uid: task.run_uid.clone(),
            run: format!("{}/{}", task.namespace, task.run),
            attempt: place.pod_uid.clone(),
            plan_hash: step.plan_hash.clone(),
            approved_by: Vec::new(),
            backup: step.backup.clone(),
        },
        baseline: history.baseline,
        supabase: history.adapter.is_some(),
        checks: task.spec.checks.clone().unwrap_or_default(),
        parameters: step.postgres.parameters.clone(),
        locales: step.postgres.locales.clone(),
        image: step.image.clone(),
        server: ServerPlace::Beside(PathBuf::from(SERVER_DIR)),
        volume: PathBuf::from(VOLUME_DIR),
        scratch: place.scratch.clone(),
        postgres_folders: place.postgres_folders.clone(),
    };
    let evidence = rehearse(&rehearsal, &Progress::new(Show::Json)).await?;
    let key = evidence_key(&task.run_uid, &step.rehearsal);
    keep_evidence(store.as_ref(), &key, &evidence).await?;
    if evidence.result == Verdict::Passed {
        let backup = (step.backup.as_str(), step.prefix.as_str());
        keep(store.as_ref(), task, backup, Wish::Rehearsed).await?;
    }
    let max_blocking = limits_of(&task.spec)?.max_blocking;
    Ok(result(&evidence, key, max_blocking))
}

/// What the rehearsal's locks mean for others, a line each: what is closed or written anew, for how long it was here, and which
/// statements keep writers waiting longer than the run will let them.
fn locks(files: &[RehearsedFile], max_blocking: Duration) -> Vec<String> {
    let segments = || files.iter().flat_map(|f| &f.segments);
    let mut closed: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for segment in segments() {
        let shut = segment.locks.iter().chain(&segment.views);
        let shut = shut.filter(|(_, mode)| *mode == "ACCESS EXCLUSIVE");
        let anew = segment.rewritten.iter();
        let all = anew.map(|table| (table.as_str(), "is written anew"));
        for what in all.chain(shut.map(|(table, _)| (table.as_str(), "is closed to readers"))) {
            let longest = closed.entry(what).or_default();
            *longest = longest.max(segment.seconds);
        }
    }
    let mut lines: Vec<String> = closed
        .into_iter()
        .map(|((table, what), seconds)| format!("{table} {what}, {seconds:.1} s in the rehearsal"))
        .collect();
    let bound = max_blocking.as_secs_f64();
    for segment in segments().filter(|s| s.transaction) {
        let long = match segment.batches {
            // The time of the longest.
            Some(_) => segment.statements.iter().any(|s| s.seconds > bound),
            None => segment.seconds > bound,
        };
        for statement in segment.statements.iter().filter(|_| long) {
            let (verb, line, seconds) = (&statement.verb, statement.line, statement.seconds);
            let rows = statement.rows.unwrap_or_default();
            if segment.batches.is_some() {
                lines.push(format!(
                    "a batch of {verb} at line {line} took {seconds:.1} s, longer than execution.maxBlocking ({bound} s): whoever writes one of \
                     its rows makes the run undo it; make the batches smaller"
                ));
            } else if ["UPDATE", "DELETE"].contains(&verb.as_str()) && rows >= MANY_ROWS {
                lines.push(format!(
                    "{verb} of {rows} rows at line {line} took {seconds:.1} s, longer than execution.maxBlocking ({bound} s): whoever writes one \
                     of these rows makes the run undo it; write them in batches, with a line above it such as -- lifeboat: batch 10000 by id"
                ));
            }
        }
    }
    lines.truncate(MOST_LOCKS);
    lines
}

fn result(evidence: &Evidence, key: String, max_blocking: Duration) -> TaskResult {
    let reason = Reason::parse(&evidence.reason).unwrap_or(Reason::Unknown);
    let mut result = match evidence.result {
        Verdict::Passed => TaskResult::succeeded(&evidence.message),
        _ => TaskResult::failed(reason, Retry::Never, &evidence.message),
    };
    result.migration = Some(MigrationResult {
        rehearsal: Some(RehearsalResult {
            result: evidence.result,
            evidence_hash: evidence.hash(),
            key,
            way_back: evidence.way_back == WayBack::Rehearsed,
            locks: locks(&evidence.files, max_blocking),
        }),
        ..MigrationResult::default()
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{RehearsedSegment, RehearsedStatement};

    #[test]
    fn m21_who_approves_is_told_for_how_long_others_wait() {
        let segment =
            |seconds: f64, verb: &str, rows: u64, locks: &[(&str, &str)]| RehearsedSegment {
                transaction: true,
                seconds,
                locks: locks
                    .iter()
                    .map(|(t, m)| ((*t).to_owned(), (*m).to_owned()))
                    .collect(),
                statements: vec![RehearsedStatement {
                    verb: verb.to_owned(),
                    line: 3,
                    rows: Some(rows),
                    seconds,
                    ..RehearsedStatement::default()
                }],
                ..RehearsedSegment::default()
            };
        let shut = [("public.orders", "ACCESS EXCLUSIVE")];
        let file = RehearsedFile {
            version: "1".to_owned(),
            name: "1_a.sql".to_owned(),
            sha256: String::new(),
            segments: vec![
                segment(0.25, "ALTER TABLE", 0, &shut),
                segment(0.5, "ALTER TABLE", 0, &shut),
                segment(
                    12.0,
                    "UPDATE",
                    300_000,
                    &[("public.orders", "ROW EXCLUSIVE")],
                ),
                segment(0.9, "UPDATE", 300_000, &[]),
                segment(12.0, "UPDATE", 1, &[]),
            ],
        };
        let lines = locks(&[file], Duration::from_secs(1));
        assert_eq!(
            lines[0],
            "public.orders is closed to readers, 0.5 s in the rehearsal"
        );
        assert!(
            lines[1].starts_with("UPDATE of 300000 rows at line 3 took 12.0 s, "),
            "{lines:?}"
        );
        assert!(
            lines[1].contains("longer than execution.maxBlocking (1 s)"),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}
