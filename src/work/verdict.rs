//! What a drill says, and the score (DESIGN §7, G27, G28). Pure.

use super::expected::CHANGED_BY_EXTENSION;
use super::human;
use super::remedies::{anew, own_setting, remedy};
use crate::api::Reason;
use crate::api::restore_drill::{Compare, CompareContent, CompareRows, Verdict};
use crate::manifest::{CheckProof, ProofDifference, ScorePart, accepted};
use crate::postgres::compare::{Comparison, Difference};
use crate::postgres::judge::Judged;

/// The score of a drill in which something differs is at most this, whatever else passed.
const CAP: u64 = 49;
/// What a check of the user weighs.
const CHECK: u32 = 5;
/// Names that a sentence holds.
const NAMED: usize = 3;

/// What a drill found, before it is judged.
#[derive(Debug)]
pub struct Findings<'a> {
    /// What should be compared.
    pub compare: &'a Compare,
    /// Errors of the restore.
    pub errors: &'a [Judged],
    /// What differs.
    pub comparison: &'a Comparison,
    /// The parts of the backup contradict each other; [`Findings::comparison`] names where.
    pub contradicts: bool,
    /// The user's checks.
    pub checks: &'a [CheckProof],
    /// The drill fails below this score.
    pub minimum_score: i32,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub result: Verdict,
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// The whole backup was compared and is equal.
    pub proves: bool,
    /// From 0 to 100; absent where it could not be told.
    pub score: Option<u8>,
    /// What it is made of.
    pub parts: Vec<ScorePart>,
}

/// What kind of truth a difference concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How many rows there are, and in which tables.
    Rows,
    /// What stands in them.
    Content,
    /// Everything else.
    Schema,
}

/// Which part of the score a difference spoils.
#[must_use]
pub fn kind(difference: &Difference) -> Kind {
    match difference.what.as_str() {
        "table" | "rows" => Kind::Rows,
        "content" | "large objects" | CHANGED_BY_EXTENSION => Kind::Content,
        _ => Kind::Schema,
    }
}

/// Takes out of a comparison what nobody asked for, and says that it was not compared.
#[must_use]
pub fn asked_for(mut comparison: Comparison, compare: &Compare) -> Comparison {
    let (schema, rows, content) = wanted(compare);
    for (wanted, what, of) in [
        (schema, "the schema (compare.schema: false)", Kind::Schema),
        (rows, "rows (compare.rows: Off)", Kind::Rows),
        (content, "content (compare.content: Off)", Kind::Content),
    ] {
        if !wanted {
            comparison.differences.retain(|d| kind(d) != of);
            comparison.undecided.retain(|d| kind(d) != of);
            comparison
                .printed_otherwise
                .retain(|p| kind(&p.difference) != of);
            comparison.not_compared.push(what.to_owned());
        }
    }
    comparison
}

fn wanted(compare: &Compare) -> (bool, bool, bool) {
    (
        compare.schema.unwrap_or(true),
        compare.rows.unwrap_or_default() == CompareRows::Exact,
        compare.content.unwrap_or_default() != CompareContent::Off,
    )
}

/// Judges.
#[must_use]
pub fn judge(findings: &Findings<'_>) -> Judgement {
    let parts = parts(findings);
    let of = |verdict: Verdict| {
        let errors = findings.errors.iter();
        errors
            .filter(move |e| e.error.judged == verdict)
            .collect::<Vec<_>>()
    };
    let different = &findings.comparison.differences;
    // What the server lacks explains what else went wrong after it, but not that the backup contradicts itself: that was
    // known before, and a role that is missing in it looks like one that the server lacks.
    if let (Some(first), false) = (of(Verdict::Inconclusive).first(), findings.contradicts) {
        return Judgement {
            result: Verdict::Inconclusive,
            reason: first.reason,
            message: sentence(
                "the scratch server could not hold the backup",
                first,
                findings.errors.len(),
            ) + remedy(first.reason)
                + own_setting(first),
            proves: false,
            score: None,
            // Nothing was compared.
            parts: Vec::new(),
        };
    }
    let failed = of(Verdict::Failed);
    let checks: Vec<&CheckProof> = findings
        .checks
        .iter()
        .filter(|c| c.required && !c.passed)
        .collect();
    let unequal = !failed.is_empty() || !different.is_empty() || !checks.is_empty();
    let score = score(&parts, unequal);
    let whole = findings.comparison.proves();
    let blocked = is_blocked(findings);
    let (result, reason, message) = if let (Some(first), false) = (failed.first(), blocked) {
        let text = sentence(
            "the backup could not be restored whole",
            first,
            failed.len(),
        );
        (Verdict::Failed, Reason::RestoreFailed, text)
    } else if !different.is_empty() {
        (Verdict::Failed, Reason::Differs, differs(different))
    } else if let Some(first) = findings.comparison.undecided.first() {
        // Not even the checks' answers: they ask the same tables (G18).
        let (reason, message) = by_an_extension(first);
        return Judgement {
            result: Verdict::Inconclusive,
            reason,
            message,
            proves: false,
            score: None,
            parts: Vec::new(),
        };
    } else if let Some(first) = checks.first() {
        (Verdict::Failed, Reason::CheckFailed, check(first))
    } else if i64::from(score) < i64::from(findings.minimum_score) {
        let text = format!(
            "the score {score} is below spec.minimumScore {}",
            findings.minimum_score
        );
        (Verdict::Failed, Reason::ScoreTooLow, text)
    } else if let Some(first) = findings.comparison.printed_otherwise.first() {
        let all = findings.comparison.printed_otherwise.len();
        let more = match all {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        return Judgement {
            result: Verdict::Inconclusive,
            reason: Reason::PrintedOtherwise,
            message: format!(
                "the server prints a definition otherwise than it was backed up, as it does of the backed up one alone: {}{more}; if both mean the same, accept it in spec.compare.accept{}",
                first.sentence(),
                anew(first)
            ),
            proves: false,
            score: None,
            parts: Vec::new(),
        };
    } else if whole {
        let c = findings.comparison;
        let but = match accepted(&c.notes) {
            0 => String::new(),
            n => format!(
                ", but for {} that no dump holds and that {} accepted (see the notes)",
                human::count(n, "thing"),
                if n == 1 { "is" } else { "are" }
            ),
        };
        let text = format!(
            "{} of {} tables and everything else came back as they were{but}, {} rows",
            c.equal, c.tables, c.rows
        );
        (Verdict::Passed, Reason::Succeeded, text)
    } else {
        let text = format!(
            "equal, but not everything was compared, so nothing is proven: {}",
            findings.comparison.not_compared.join("; ")
        );
        (Verdict::Passed, Reason::Partial, text)
    };
    Judgement {
        proves: result == Verdict::Passed && whole,
        result,
        reason,
        message,
        score: Some(score),
        parts,
    }
}

/// Of a backup whose documents contradict each other: nothing needs to be restored to know that it is at fault.
#[must_use]
pub fn contradictory(lies: &[ProofDifference]) -> Option<Judgement> {
    let said = super::contradictions::sentence(lies)?;
    Some(Judgement {
        result: Verdict::Failed,
        reason: Reason::Differs,
        message: format!("the backup contradicts itself: {said}"),
        proves: false,
        score: Some(0),
        parts: Vec::new(),
    })
}

/// The server could not hold the backup, so that nothing in it was compared.
fn is_blocked(findings: &Findings<'_>) -> bool {
    let mut errors = findings.errors.iter();
    errors.any(|e| e.error.judged == Verdict::Inconclusive)
}

/// What an extension makes otherwise, or changes, so that it cannot be told.
fn by_an_extension(first: &Difference) -> (Reason, String) {
    if first.what == CHANGED_BY_EXTENSION {
        let text = format!(
            "triggers of an extension change its rows while they are loaded, so it cannot be told whether the backup has them: {}; \
             a restore with stock tools changes them in the same way: after it empty these tables and load their rows once more with \
             pg_restore --data-only --disable-triggers",
            first.sentence()
        );
        return (Reason::ExtensionInTheWay, text);
    }
    let text = format!(
        "an extension makes things otherwise here, so it cannot be told: {}{}",
        first.sentence(),
        remedy(Reason::ExtensionVersion)
    );
    (Reason::ExtensionVersion, text)
}

fn sentence(head: &str, first: &Judged, all: usize) -> String {
    let error = &first.error;
    let more = match all {
        0 | 1 => String::new(),
        n => format!(" (and {} more errors)", n - 1),
    };
    let entry = match error.entry.as_str() {
        "" => String::new(),
        entry => format!("{entry}: "),
    };
    format!("{head}: {entry}{}{more}", error.message)
}

fn differs(differences: &[Difference]) -> String {
    let named: Vec<String> = differences
        .iter()
        .take(NAMED)
        .map(|d| {
            format!(
                "{} {}: {} instead of {}",
                d.what, d.object, d.found, d.expected
            )
        })
        .collect();
    let more = match differences.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    format!(
        "what came back is not what was backed up: {}{more}",
        named.join("; ")
    )
}

fn check(check: &CheckProof) -> String {
    match (&check.error, &check.got) {
        (Some(error), _) => format!("the check {} could not be asked: {error}", check.name),
        (None, got) => format!(
            "the check {} says {} instead of {}",
            check.name,
            got.as_deref().unwrap_or("nothing"),
            check.expect
        ),
    }
}

fn parts(findings: &Findings<'_>) -> Vec<ScorePart> {
    let (schema, rows, content) = wanted(findings.compare);
    let none = |of: Kind| {
        !findings
            .comparison
            .differences
            .iter()
            .any(|d| kind(d) == of)
    };
    let hashed = !findings
        .comparison
        .not_compared
        .iter()
        .any(|n| n.starts_with("the content"))
        || findings.compare.content == Some(CompareContent::Sample);
    let restored = findings
        .errors
        .iter()
        .all(|e| e.error.judged == Verdict::Passed);
    let compared = !is_blocked(findings);
    let part = |what: &str, weight, passed| ScorePart {
        what: what.to_owned(),
        weight,
        passed,
    };
    let mut parts = vec![
        part("restore", 30, Some(restored)),
        part("schema", 15, schema.then(|| none(Kind::Schema))),
        part("rows", 25, (rows && compared).then(|| none(Kind::Rows))),
        part(
            "content",
            25,
            (content && hashed && compared).then(|| none(Kind::Content)),
        ),
    ];
    parts.extend(
        findings
            .checks
            .iter()
            .map(|c| part(&format!("check {}", c.name), CHECK, Some(c.passed))),
    );
    parts
}

/// `100 × Σ weight·passed / Σ weight`, rounded down: 100 is only said where everything passed.
fn score(parts: &[ScorePart], unequal: bool) -> u8 {
    let asked = parts
        .iter()
        .filter_map(|p| Some((u64::from(p.weight), p.passed?)));
    let all: u64 = asked.clone().map(|(weight, _)| weight).sum();
    let passed: u64 = asked
        .filter(|(_, passed)| *passed)
        .map(|(weight, _)| weight)
        .sum();
    let score = (passed * 100).checked_div(all).unwrap_or(0);
    let score = if unequal { score.min(CAP) } else { score };
    u8::try_from(score).unwrap_or(100)
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
