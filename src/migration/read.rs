//! What a worker says, cut to what a status may hold (K14). Pure.

use jiff::Timestamp;

use crate::api::Reason;
use crate::api::condition::cut;
use crate::api::migration_run::{MigrationPlan, MigrationRehearsal, PlannedMigration};
use crate::api::visible::visible;
use crate::task::RehearsalResult;

const MAX_FILES: usize = 100;
const MAX_LINES: usize = 200;
const MAX_FINDINGS: usize = 50;
const MAX_LOCKS: usize = 20;
const MAX_DIFFERENCES: usize = 10;

/// A plan, if it is one.
pub(super) fn plan(plan: &MigrationPlan) -> Option<MigrationPlan> {
    let whole = is_hash(&plan.hash)
        && (plan.history_head.is_empty() || is_plain(&plan.history_head, 64))
        && is_plain(&plan.system_identifier, 32)
        && (9..=99).contains(&plan.major)
        && plan.segments >= 0
        && plan.statements >= 0
        && plan.files.len() <= MAX_FILES
        && plan.files.iter().all(is_file);
    whole.then(|| MigrationPlan {
        database: line(&plan.database, 256),
        lines: lines(&plan.lines, MAX_LINES, 200),
        findings: lines(&plan.findings, MAX_FINDINGS, 512),
        ..plan.clone()
    })
}

fn is_file(file: &PlannedMigration) -> bool {
    let version = |b: u8| b.is_ascii_digit() || b == b'.';
    (1..=64).contains(&file.version.len())
        && file.version.bytes().all(version)
        && is_plain(&file.name, 253)
        && is_hash(&file.sha256)
        && file.segments >= 0
}

/// A rehearsal, if its hash is one and it says where its evidence stands.
pub(super) fn rehearsal(
    said: &RehearsalResult,
    reason: Reason,
    message: &str,
    backup: String,
    now: Timestamp,
) -> Option<MigrationRehearsal> {
    let key = folder(&said.key)?;
    is_hash(&said.evidence_hash).then(|| MigrationRehearsal {
        evidence_hash: said.evidence_hash.clone(),
        result: said.result,
        reason: reason.as_str().to_owned(),
        message: cut(message),
        backup,
        finished_at: now,
        key: Some(key),
        way_back: said.way_back,
        locks: lines(&said.locks, MAX_LOCKS, 200),
    })
}

/// `1 file`, `2 files`.
pub(super) fn count(number: impl TryInto<i64>, what: &str) -> String {
    let number = number.try_into().unwrap_or(i64::MAX);
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// The first differences.
pub(super) fn differences(said: &[String]) -> Vec<String> {
    lines(said, MAX_DIFFERENCES, 256)
}

fn lines(said: &[String], most: usize, longest: usize) -> Vec<String> {
    said.iter()
        .take(most)
        .map(|text| line(text, longest))
        .collect()
}

fn line(text: &str, longest: usize) -> String {
    visible(text, false).chars().take(longest).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_plain(text: &str, most: usize) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    (1..=most).contains(&text.len()) && text.bytes().all(plain)
}

/// A key below the store's prefix; nothing that leads out of it.
fn folder(text: &str) -> Option<String> {
    let part = |part: &str| part != "." && part != ".." && is_plain(part, 1_024);
    (text.len() <= 1_024 && text.split('/').all(part)).then(|| text.to_owned())
}
