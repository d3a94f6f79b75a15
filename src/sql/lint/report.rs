//! What the lint says, for people and for machines.

use serde::Serialize;

use super::Acknowledgement;
use super::rule::{Level, Rule};
use crate::sql::file::File;
use crate::sql::hit::Hit;
use crate::sql::place::Position;

/// One rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How bad it is here.
    pub level: Level,
    /// The file.
    pub file: String,
    /// It stands in what leads back.
    #[serde(skip)]
    pub down: bool,
    /// Where it begins.
    #[serde(flatten)]
    pub at: Position,
    /// Index of the statement in its file; none if it is about the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<usize>,
    /// What it is about, as an acknowledgement names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Why it hurts.
    pub message: String,
    /// What to write instead.
    pub fix: String,
    /// The line of the file, with asterisks where a secret stands.
    pub line_text: String,
    /// How many characters of the line it is about, from `at` on.
    #[serde(skip)]
    pub width: usize,
    /// An acknowledgement can take it.
    pub acknowledgeable: bool,
    /// Why somebody took it. It does not block then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<String>,
}

impl Finding {
    /// The migration is refused because of it.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.level == Level::Block && self.acknowledged.is_none()
    }

    /// What takes it, as an entry of `spec.lint.acknowledge`; `None`: nothing does.
    #[must_use]
    pub fn entry(&self) -> Option<String> {
        let (key, name) = match &self.object {
            Some(object) => ("object", object),
            None => ("file", &self.file),
        };
        let name = name.replace('\'', "''");
        let open = self.blocks() && self.acknowledgeable;
        open.then(|| format!("{{rule: {}, {key}: '{name}', reason: …}}", self.rule))
    }
}

/// How many of what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Files that were read.
    pub files: usize,
    /// Statements in them.
    pub statements: usize,
    /// Findings that block.
    pub block: usize,
    /// Findings that would, and were acknowledged.
    pub acknowledged: usize,
    /// Warnings.
    pub warn: usize,
    /// The rest.
    pub info: usize,
}

/// Everything that was found in one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// By file, then by place.
    pub findings: Vec<Finding>,
    /// Their numbers.
    pub counts: Counts,
    /// Acknowledgements that took nothing: what they were for is mended, or they are misspelt.
    pub unused: Vec<Acknowledgement>,
}

impl Report {
    /// The migration is refused.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.counts.block > 0
    }

    pub(super) fn count(&mut self, files: usize, statements: usize) {
        let number =
            |test: &dyn Fn(&Finding) -> bool| self.findings.iter().filter(|f| test(f)).count();
        self.counts = Counts {
            files,
            statements,
            block: number(&|f| f.blocks()),
            acknowledged: number(&|f| f.level == Level::Block && f.acknowledged.is_some()),
            warn: number(&|f| f.level == Level::Warn),
            info: number(&|f| f.level == Level::Info),
        };
    }
}

pub(super) fn finding(file: &File, hit: Hit, acknowledged: &[Acknowledgement]) -> Finding {
    let acknowledgeable = !hit.refused && hit.rule != Rule::Lb410;
    let taken = acknowledged.iter().filter(|_| acknowledgeable);
    let mut taken = taken.filter(|a| a.holds(hit.rule, hit.object.as_deref(), &file.name));
    let reason = taken.next().map(|a| a.reason.clone());
    let line_text = file.shown(file.lines.line(&file.text, hit.span.start));
    let at = file.lines.position(&file.text, hit.span.start);
    let rest = line_text.chars().count().saturating_sub(at.column - 1);
    let part = file.text.get(hit.span.clone()).unwrap_or_default();
    let first_line = part.lines().next().unwrap_or_default().chars().count();
    Finding {
        rule: hit.rule,
        level: hit.level.unwrap_or_else(|| hit.rule.level()),
        file: file.name.clone(),
        down: file.down,
        statement: file.statement_at(hit.span.start).map(|s| s.index),
        object: hit.object.filter(|o| !o.is_empty()),
        message: hit.message,
        fix: hit.fix.unwrap_or_else(|| hit.rule.advice().to_owned()),
        line_text,
        width: first_line.min(rest),
        at,
        acknowledgeable,
        acknowledged: reason,
    }
}

pub(super) fn unused(
    findings: &[Finding],
    acknowledged: &[Acknowledgement],
) -> Vec<Acknowledgement> {
    let used = |a: &Acknowledgement| {
        let mut taken = findings.iter().filter(|f| f.acknowledged.is_some());
        taken.any(|f| a.holds(f.rule, f.object.as_deref(), &f.file))
    };
    acknowledged.iter().filter(|a| !used(a)).cloned().collect()
}
