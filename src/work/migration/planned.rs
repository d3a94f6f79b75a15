//! The Job that plans: reads the files and the database, keeps both in the store, and changes nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::documents::{FrozenPlan, StoredFile, keep_file, keep_plan};
use super::permitted::permitted;
use super::task::{limits_of, never, target_of};
use crate::api::Reason;
use crate::api::migration_run::{MigrationDirection, MigrationPlan, PlannedMigration};
use crate::manifest::FORMAT_VERSION;
use crate::objects::ObjectStore;
use crate::plan::{self, Direction, Plan, Row};
use crate::postgres::globals::roles_called;
use crate::postgres::migrate::{self, Bounds, Level, What, precheck, read_history};
use crate::postgres::{Connection, connect};
use crate::sql::lint::{Acknowledgement, lint};
use crate::sql::{File, MOST_BYTES};
use crate::task::migration::to_log;
use crate::task::{MigrationResult, MigrationTask, TaskResult};
use crate::work::clock;
use crate::work::failure::Failure;
use crate::work::human::{count, cut};

/// Most lines of a plan in the status.
const MOST_LINES: usize = 200;
/// Most characters of one.
const MOST_LINE: usize = 160;
/// Most findings in the status.
const MOST_FINDINGS: usize = 50;
/// Most files in the status.
const MOST_FILES: usize = 100;
/// Most characters of a finding.
const MOST_FINDING: usize = 400;

/// Plans. The lines of the plan are printed, for the operator to read (K14).
pub(super) async fn run(
    task: &MigrationTask,
    store: &dyn ObjectStore,
) -> Result<TaskResult, Failure> {
    let named = source(task, Path::new(&task.source_dir))?;
    let (frozen, hash, findings, lines) = plan(task, &named).await?;
    for file in &frozen.files {
        if let Some(bytes) = named.get(&file.name) {
            keep_file(store, &file.sha256, bytes).await?;
        }
    }
    keep_plan(store, &hash, &frozen).await?;
    let status = status(&frozen, hash, findings, lines);
    let (lines, document) = to_log(&status);
    // Not by the log's own form: the operator reads lines.
    let mut log = std::io::stdout().lock();
    for line in lines {
        let printed = writeln!(log, "{line}");
        printed.map_err(|e| Failure::Internal(format!("failed to print the plan: {e}")))?;
    }
    let what = match status.files.len() {
        0 => "nothing is to be done".to_owned(),
        n => format!(
            "{}, {} statements in {} segments",
            count(n, "file"),
            status.statements,
            status.segments
        ),
    };
    let mut result = TaskResult::succeeded(what);
    result.found_major = Some(frozen.major);
    result.migration = Some(MigrationResult {
        document: Some(document),
        ..MigrationResult::default()
    });
    Ok(result)
}

/// The files of the spec, or of the ConfigMap that is mounted.
fn source(task: &MigrationTask, dir: &Path) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let source = &task.spec.source;
    let Some(map) = &source.config_map_ref else {
        let files = source.inline.iter();
        return Ok(files
            .map(|f| (f.name.clone(), f.sql.clone().into_bytes()))
            .collect());
    };
    let missing = || {
        never(
            Reason::SourceMissing,
            format!(
                "ConfigMap {} does not exist in this namespace, or is empty (spec.source.configMapRef)",
                map.name
            ),
        )
    };
    let mut named = BTreeMap::new();
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).map_err(|_| missing())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // The kubelet's own `..data` and `..2026_…` stand beside the keys.
        if name.starts_with("..") {
            continue;
        }
        let text = std::fs::read(entry.path())
            .map_err(|e| never(Reason::SourceMissing, format!("{name} cannot be read: {e}")))?;
        bytes += text.len();
        named.insert(name, text);
        // That it is too much is told by whoever reads them.
        if bytes > MOST_BYTES {
            break;
        }
    }
    if named.is_empty() {
        return Err(missing());
    }
    Ok(named)
}

/// The plan, its hash, what was found, and its lines.
type Planned = (FrozenPlan, String, Vec<String>, Vec<String>);

async fn plan(task: &MigrationTask, named: &BTreeMap<String, Vec<u8>>) -> Result<Planned, Failure> {
    let files = plan::read(named).map_err(|r| never(r.reason, r.message))?;
    let target = target_of(task)?;
    let name = format!("lifeboat-plan/{}", task.run_uid);
    let session = connect(&target, &name).await?;
    let client = &session.client;
    let place = migrate::place(client).await?;
    place.keeps_history()?;
    let acts = task.spec.execution.as_ref().and_then(|e| e.role.as_ref());
    let mut roles = place.roles.iter().chain(&place.others);
    // The server's own roles are not listed.
    let acts = acts.filter(|role| !role.starts_with("pg_"));
    if let Some(role) = acts.filter(|role| !roles.any(|r| r == *role)) {
        return Err(never(
            Reason::InvalidSpec,
            format!("spec.execution.role: the server has no role {role}"),
        ));
    }
    let history = read_history(client).await?;
    let wanted = task.spec.history.clone().unwrap_or_default();
    if history.rows.is_empty() {
        let others = migrate::foreign(client).await?;
        if let Some(first) = others.first().filter(|_| wanted.adapter.is_none()) {
            return Err(never(
                Reason::ForeignMigrator,
                format!(
                    "another tool remembers migrations in {first}: it would apply these a second time; take its history over with \
                     spec.history, and no longer run that tool"
                ),
            ));
        }
        if place.has_objects && wanted.baseline.is_none() {
            return Err(never(
                Reason::BaselineMissing,
                "the database has tables and no history of Lifeboat's: write into spec.history.baseline up to which version \
                 everything counts as applied, 0 for nothing",
            ));
        }
    }
    if let Some(row) = history.started().next() {
        return Err(never(Reason::PartlyApplied, unseen(row)));
    }
    let order = plan::Order {
        direction: match task.spec.direction.unwrap_or_default() {
            MigrationDirection::Up => Direction::Up,
            MigrationDirection::Down => Direction::Down,
        },
        target: task.spec.target.version.clone(),
        baseline: wanted.baseline.clone(),
    };
    let plan = match plan::make(&files, &history, &order) {
        Ok(plan) => plan,
        Err(refusal) => return Err(refused(&session, refusal).await?),
    };
    let mut findings = linted(task, &files, &plan, &migrate::context(client).await?)?;
    let rights = permitted(&session, &task.spec, &place, (&files, &plan, &history)).await?;
    findings.extend(looked(task, &session).await?);
    findings.truncate(MOST_FINDINGS);
    let roles = met(&place, &files);
    // That its bounds can be read is known now, and not when it is applied.
    limits_of(&task.spec)?;
    let frozen = FrozenPlan {
        format: FORMAT_VERSION,
        namespace: task.namespace.clone(),
        run: task.run.clone(),
        run_uid: task.run_uid.clone(),
        at: clock::now(),
        system_identifier: place.system_identifier,
        database: place.database,
        history_at: migrate::written(client).await?,
        major: place.major,
        login: place.login,
        roles: roles_called(&target, &name, &roles).await?,
        rights,
        surroundings: migrate::surroundings(client).await?,
        files: named
            .keys()
            .filter_map(|name| files.iter().find(|f| f.name == *name))
            .map(|f| StoredFile {
                name: f.name.clone(),
                sha256: f.sha256.clone(),
            })
            .collect(),
        plan,
    };
    let hash = frozen.hash(&task.spec)?;
    let lines = lines(&frozen.plan, &files);
    Ok((frozen, hash, findings, lines))
}

/// Why there is no plan. What looks as if it was never applied may be what somebody took out of the history.
async fn refused(session: &Connection, refusal: plan::Refusal) -> Result<Failure, Failure> {
    if refusal.reason == Reason::OutOfOrder
        && let Some(at) = migrate::broken(&session.client).await?
    {
        let text = format!(
            "a row of lifeboat.migration_history before the one with id {} ({}) was deleted or changed, so what is applied is not known: {}. \
             If that file is applied, write its row back: it is in every backup of this database",
            at.id, at.version, refusal.message
        );
        return Ok(never(Reason::HistoryTouched, text));
    }
    Ok(never(refusal.reason, refusal.message))
}

/// What to do about a statement of another run: a rehearsal on a copy cannot know what became of it.
fn unseen(row: &Row) -> String {
    format!(
        "segment {} of {} was begun by the run with uid {}, and nobody has seen its end: delete that MigrationRun, which looks after \
         what it began; if it is gone, look at the object yourself (an index that is not valid is dropped by hand) and write \
         the end down: UPDATE lifeboat.migration_history SET state = 'failed', finished_at = now() WHERE id = {}, or 'done' if what it was for stands",
        row.segment, row.name, row.run_uid, row.id
    )
}

/// The roles that a rehearsal needs besides those of the backup: who migrates with all memberships, and whom a file names (M9).
fn met(place: &migrate::Place, files: &[File]) -> Vec<String> {
    let mut roles = place.roles.clone();
    let named = place
        .others
        .iter()
        .filter(|role| files.iter().any(|file| file.text.contains(role.as_str())));
    roles.extend(named.cloned());
    roles.sort();
    roles.dedup();
    roles
}

/// Of the files that will run, and of those that lead back from them.
fn linted(
    task: &MigrationTask,
    files: &[File],
    plan: &Plan,
    context: &crate::sql::lint::Context,
) -> Result<Vec<String>, Failure> {
    let acknowledged = task.spec.lint.iter().flat_map(|l| &l.acknowledge);
    let acknowledged: Vec<Acknowledgement> = acknowledged
        .map(|a| {
            let rule = a.rule.parse().map_err(|_| {
                let text = format!("spec.lint.acknowledge: there is no rule {}", a.rule);
                never(Reason::InvalidSpec, text)
            })?;
            Ok(Acknowledgement {
                rule,
                object: a.object.clone(),
                file: a.file.clone(),
                reason: a.reason.clone(),
            })
        })
        .collect::<Result<_, Failure>>()?;
    let version =
        |file: &File| plan::source::canonical(&crate::sql::order::version(&file.name).numbers);
    let runs = |file: &&File| plan.files.iter().any(|p| p.version == version(file));
    let files: Vec<File> = files.iter().filter(runs).cloned().collect();
    let report = lint(&files, context, &acknowledged);
    let said = |f: &crate::sql::lint::Finding| {
        let text = format!("{} {}:{}: {}", f.rule, f.file, f.at.line, f.message);
        text.chars().take(MOST_FINDING).collect::<String>()
    };
    // The ways back of a run upwards are rehearsed, and not run: what they lose is asked when they are.
    let down = plan.direction == Direction::Down;
    let runs = |f: &&crate::sql::lint::Finding| f.down == down;
    let blocking: Vec<_> = report.findings.iter().filter(|f| f.blocks()).collect();
    let blocking: Vec<_> = blocking.into_iter().filter(runs).collect();
    if let Some(first) = blocking.first() {
        let more = match blocking.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        let entry = first.entry().map_or(String::new(), |entry| {
            format!(", or acknowledge it in spec.lint.acknowledge: [{entry}]")
        });
        return Err(never(
            Reason::LintBlocked,
            format!(
                "{}{more}; mend it{entry}; `lifeboat lint` shows all",
                said(first)
            ),
        ));
    }
    let unused = report.unused.iter().map(|a| {
        let about = a.object.as_ref().or(a.file.as_ref());
        let about = about.map(String::as_str).unwrap_or_default();
        format!(
            "spec.lint.acknowledge: {} for {about} took nothing: what it was for is mended, or the name is another",
            a.rule
        )
    });
    let unused: Vec<String> = unused.collect();
    Ok(report.findings.iter().map(said).chain(unused).collect())
}

/// What stands in the way now is worth knowing; whether it does when it is applied is asked then.
async fn looked(task: &MigrationTask, session: &Connection) -> Result<Vec<String>, Failure> {
    let bounds = Bounds {
        replicas_acknowledged: task.spec.replicas.is_some(),
        ..Bounds::default()
    };
    let findings = precheck(&session.client, &bounds).await?;
    let standby = findings
        .iter()
        .find(|f| f.what == What::Standby && f.level != Level::Note);
    if let Some(standby) = standby {
        return Err(never(
            Reason::ReplicasUnchecked,
            format!(
                "{}; write `replicas: Unchecked` if its readers may be ended",
                standby.message
            ),
        ));
    }
    Ok(findings.into_iter().map(|f| f.message).collect())
}

/// One for each statement. Whoever acknowledged a secret in a file still has not published it.
fn lines(plan: &Plan, files: &[File]) -> Vec<String> {
    let mut lines = Vec::new();
    for file in &plan.files {
        for segment in &file.segments {
            for statement in &segment.statements {
                let down = plan.direction == Direction::Down;
                let mut read = files.iter();
                let read = read.find(|f| f.name == file.name && f.down == down);
                let place = read.and_then(|f| Some((f, f.statements.get(statement.index)?)));
                let text = place.map_or_else(String::new, |(f, s)| f.shown(s.span.clone()));
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let at = format!(
                    "{} {}/{}",
                    file.version,
                    segment.index + 1,
                    file.segments.len()
                );
                let batches = statement.batch.as_ref();
                let batches = batches.map_or_else(String::new, |b| {
                    format!(" in batches of {} by {}:", b.rows, b.key)
                });
                lines.push(cut(&format!("{at}{batches} {text}"), MOST_LINE));
            }
        }
    }
    lines
}

fn status(
    frozen: &FrozenPlan,
    hash: String,
    findings: Vec<String>,
    mut lines: Vec<String>,
) -> MigrationPlan {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let plan = &frozen.plan;
    let segments = plan.files.iter().flat_map(|f| &f.segments);
    let statements = lines.len();
    lines.truncate(MOST_LINES);
    MigrationPlan {
        hash,
        at: frozen.at,
        system_identifier: frozen.system_identifier.clone(),
        database: frozen.database.clone(),
        history_head: plan.head.clone(),
        history_at: frozen.history_at,
        major: frozen.major,
        segments: count(segments.count()),
        statements: count(statements),
        files: plan
            .files
            .iter()
            .take(MOST_FILES)
            .map(|f| PlannedMigration {
                version: f.version.clone(),
                name: f.name.clone(),
                sha256: f.sha256.clone(),
                segments: count(f.segments.len()),
            })
            .collect(),
        lines,
        findings,
    }
}
