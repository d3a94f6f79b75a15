//! Whether a proof agrees with itself, with its place, and with the manifest that it speaks of. Pure. Whoever counts a proof
//! asks here first: one that contradicts itself counts for nothing (P10).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::sound::{Lies, is_hash, is_run, last_of, late};
use super::{Manifest, Proof, ProofDifference};
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::api::rules::major_of;

/// Most inequalities and errors that a proof names: where it has so many, others may be missing.
pub const MAX_NAMED: usize = 1_000;
/// A drill that failed scores at most this, unless it failed by its score alone.
pub const CAP: u64 = 49;
/// Characters of a check's answer that are kept.
pub const MAX_ANSWER: usize = 200;
/// Parts of a drill up to a database that can be used.
const TO_USE: [&str; 8] = [
    "schedule", "open", "server", "fetch", "schema", "data", "indexes", "analyze",
];
/// Parts of the score, besides the checks.
const PARTS: [&str; 4] = ["restore", "schema", "rows", "content"];
/// Seconds that a measured time may differ from what it is made of; beside a tenth of it.
const SLACK: f64 = 60.0;

/// What lies around a proof.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// Folder of the backup that it lies in.
    pub at: &'a str,
    /// Name of the run, as its file is called.
    pub run: &'a str,
    /// The manifest that stands there, with its SHA-256; `None`: there is none any more, or it was not read.
    pub manifest: Option<(&'a Manifest, &'a str)>,
    /// The reader's clock.
    pub now: Timestamp,
}

impl Proof {
    /// Where it contradicts itself or what lies around it. That its manifest is another now is no contradiction: then it
    /// speaks of what is gone.
    #[must_use]
    pub fn contradictions(&self, beside: &Beside<'_>) -> Vec<ProofDifference> {
        let mut lies = Lies::of("proof");
        self.place(beside, &mut lies);
        self.times(beside.now, &mut lies);
        self.verdict(&mut lies);
        self.score_adds_up(&mut lies);
        self.parts(&mut lies);
        self.tables(&mut lies);
        self.checked(&mut lies);
        self.script(&mut lies);
        if let Some((manifest, sha256)) = beside.manifest
            && sha256 == self.backup.manifest_sha256
        {
            self.backup(manifest, &mut lies);
            if self.result == Verdict::Passed {
                let own = manifest.contradictions(beside.at, beside.now);
                return lies.all().into_iter().chain(own).collect();
            }
        }
        lies.all()
    }

    /// Whether it proves its backup: it says so, and nothing speaks against it. The manifest must be the one that was drilled.
    #[must_use]
    pub fn counts(&self, beside: &Beside<'_>) -> bool {
        let same = beside
            .manifest
            .is_some_and(|(_, sha256)| sha256 == self.backup.manifest_sha256);
        self.proves && same && self.contradictions(beside).is_empty()
    }

    fn place(&self, beside: &Beside<'_>, lies: &mut Lies) {
        lies.differs("run", &self.run, beside.run);
        // A copy of the backup may lie in another directory, its proofs with it.
        let (drilled, folder) = (last_of(&self.backup.prefix), last_of(beside.at));
        if is_run(folder) {
            lies.differs("folder", drilled, folder);
        }
        let alone = self.drill.is_empty();
        let one = self.namespace.is_empty() == alone;
        let rule = "both a drill and its namespace, or neither";
        lies.must(one, "namespace", &self.namespace, rule);
        let named = alone || self.run.starts_with(short(&self.drill));
        let rule = format!("the run is called {}", self.run);
        lies.must(named, "drill", &self.drill, &rule);
        let known = matches!(self.mode.as_str(), "Verify" | "Disaster");
        lies.must(known, "mode", &self.mode, "Verify or Disaster");
    }

    fn times(&self, now: Timestamp, lies: &mut Lies) {
        let (began, ended) = (self.started_at, self.finished_at);
        let rule = format!("after finishedAt {ended}");
        lies.must(began <= ended, "startedAt", began, &rule);
        let rule = format!("in the future: it is {now}");
        lies.must(!late(ended, now), "finishedAt", ended, &rule);
        lies.must(!late(began, now), "startedAt", began, &rule);
        // A drill that failed may have failed by these: it says what a manifest said that lies.
        if self.result == Verdict::Passed {
            let made = self.backup.finished_at;
            let rule = format!("long after the drill began, {began}");
            lies.must(!late(made, began), "backup.finishedAt", made, &rule);
            let data = self.backup.data_at;
            lies.must(!late(data, began), "backup.dataAt", data, &rule);
        }
        self.measured(lies);
    }

    /// Times that were measured: against what was promised, and against what they are made of.
    fn measured(&self, lies: &mut Lies) {
        let (mut least, mut most) = (0.0, 0.0);
        for phase in &self.phases {
            let name = phase.name.as_str();
            let real = phase.seconds.is_finite() && phase.seconds >= 0.0;
            lies.must(real, name, phase.seconds, "no time");
            most += phase.seconds;
            if TO_USE.contains(&name) {
                least += phase.seconds;
            }
        }
        for (name, measured) in [("rto", &self.rto), ("rpo", &self.rpo)] {
            let Some(it) = measured else { continue };
            let real = it.seconds.is_finite() && it.seconds >= 0.0;
            lies.must(real, name, it.seconds, "no time");
            let met = it
                .objective_seconds
                .map(|most| std::time::Duration::from_secs(most).as_secs_f64())
                .map(|most| it.seconds <= most);
            let word = |met: Option<bool>| match met {
                Some(true) => "met",
                Some(false) => "missed",
                None => "no objective",
            };
            lies.differs(&format!("{name}.met"), word(it.met), word(met));
        }
        if let Some(rto) = &self.rto {
            let slack = SLACK + most.max(rto.seconds) / 10.0;
            let made = rto.seconds >= least - slack && rto.seconds <= most + slack;
            let rule = format!("its parts took {least:.0} s of {most:.0} s");
            lies.must(made, "rto.seconds", rto.seconds, &rule);
        }
        if let Some(rpo) = &self.rpo {
            let age = self.started_at.duration_since(self.backup.data_at);
            let age = age.as_secs_f64().max(0.0);
            let rule = format!("the data was {age:.0} s old");
            let same = (rpo.seconds - age).abs() <= 1.0;
            lies.must(same, "rpo.seconds", rpo.seconds, &rule);
        }
    }

    /// The verdict, its reason, and all that was found.
    fn verdict(&self, lies: &mut Lies) {
        let of = |reason: Reason| match reason {
            Reason::Succeeded | Reason::Partial => Verdict::Passed,
            Reason::RestoreFailed
            | Reason::Differs
            | Reason::CheckFailed
            | Reason::ScoreTooLow
            | Reason::BackupDamaged
            | Reason::DumpIncomplete => Verdict::Failed,
            _ => Verdict::Inconclusive,
        };
        let (result, reason) = (self.result, Reason::parse(&self.reason));
        // A later version may know a reason that this one does not; none of those is a success.
        let suits = match reason {
            Some(reason) => of(reason) == result,
            None => result != Verdict::Passed,
        };
        let rule = format!("the reason is {}", self.reason);
        lies.must(suits, "result", result.as_str(), &rule);
        let passed = result == Verdict::Passed;
        let whole = reason == Some(Reason::Succeeded);
        let rule = format!("{} and {}", result.as_str(), self.reason);
        lies.must(
            self.proves == (passed && whole),
            "proves",
            self.proves,
            &rule,
        );
        if passed {
            self.nothing_differs(lies);
        }
        let open = self.not_compared.first();
        if let (true, Some(first)) = (self.proves, open) {
            lies.must(false, "proves", "true", &format!("not compared: {first}"));
        }
        let empty = self.not_compared.is_empty();
        let partial = reason == Some(Reason::Partial);
        let rule = "nothing is said not to have been compared";
        lies.must(!(partial && empty), "reason", &self.reason, rule);
        let some = match reason {
            Some(Reason::Differs) => !self.differences.is_empty(),
            Some(Reason::RestoreFailed) => {
                let mut errors = self.errors.iter();
                self.errors.len() >= MAX_NAMED || errors.any(|e| e.judged == Verdict::Failed)
            }
            Some(Reason::CheckFailed) => self.checks.iter().any(|c| c.required && !c.passed),
            _ => true,
        };
        lies.must(some, "reason", &self.reason, "nothing of the kind is named");
        // Only what the server lacks leaves it open.
        let told = self.score.is_some() == (result != Verdict::Inconclusive);
        let score = self.score.map_or("none".to_owned(), |s| s.to_string());
        lies.must(told, "score", score, result.as_str());
    }

    /// Beside `Passed`.
    fn nothing_differs(&self, lies: &mut Lies) {
        if let Some(d) = self.differences.first() {
            let rule = format!("{} {} differs", d.what, d.object);
            lies.must(false, "result", "Passed", &rule);
        }
        let bad = |e: &&super::RestoreError| e.judged != Verdict::Passed;
        if let Some(e) = self.errors.iter().find(bad) {
            let rule = format!("{} could not be restored", e.entry);
            lies.must(false, "result", "Passed", &rule);
        }
        if let Some(c) = self.checks.iter().find(|c| c.required && !c.passed) {
            let rule = format!("the check {} did not pass", c.name);
            lies.must(false, "result", "Passed", &rule);
        }
        if let Some(t) = self.tables.iter().find(|t| !t.equal) {
            let name = format!("{}.{}", t.schema.display(), t.name.display());
            lies.must(false, "result", "Passed", &format!("{name} is not equal"));
        }
        let Some(server) = &self.server else {
            return lies.must(false, "result", "Passed", "there was no server");
        };
        let major = |version: &str| major_of(version).unwrap_or_default();
        let was = major(&self.backup.server_version);
        lies.differs("major of server.version", major(&server.version), was);
    }

    /// The arithmetic of the score.
    fn score_adds_up(&self, lies: &mut Lies) {
        let Some(score) = self.score else { return };
        let cut = self.result == Verdict::Failed && self.reason != Reason::ScoreTooLow.as_str();
        let (mut all, mut passed) = (0_u64, 0_u64);
        for part in &self.parts {
            if let Some(good) = part.passed {
                all = all.saturating_add(part.weight.into());
                passed = passed.saturating_add(if good { part.weight.into() } else { 0 });
            }
        }
        // Without parts nothing was compared: the backup is damaged.
        let is = passed.saturating_mul(100).checked_div(all).unwrap_or(0);
        let is = if cut { is.min(CAP) } else { is };
        lies.differs("score", score, is);
    }

    /// The parts of the score, against what they stand for. They mean nothing without a score.
    fn parts(&self, lies: &mut Lies) {
        if self.score.is_none() {
            return;
        }
        let full = self.differences.len() >= MAX_NAMED || self.errors.len() >= MAX_NAMED;
        let differ = |of: &str| self.differences.iter().any(|d| spoils(&d.what) == of);
        let mut checks: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        for check in self.checks.iter().rev() {
            let name = format!("check {}", check.name);
            checks.entry(name).or_default().push(check.passed);
        }
        for part in &self.parts {
            let what = part.what.as_str();
            let (weight, good) = match what {
                "restore" => {
                    let mut errors = self.errors.iter();
                    (30, Some(errors.all(|e| e.judged == Verdict::Passed)))
                }
                "schema" => (15, Some(!differ(what))),
                "rows" => (25, Some(!differ(what))),
                "content" => (25, Some(!differ(what))),
                _ => (5, checks.get_mut(what).and_then(Vec::pop)),
            };
            lies.differs(&format!("weight of {what}"), part.weight, weight);
            let word = |good: bool| if good { "passed" } else { "failed" };
            match (part.passed, good) {
                (_, None) => lies.must(false, "parts", what, "no such check was asked"),
                (Some(says), Some(is)) if !full => lies.differs(what, word(says), word(is)),
                _ => {}
            }
        }
        // Whole is only what was asked for in every part.
        for what in PARTS.iter().filter(|_| self.proves) {
            let mut parts = self.parts.iter();
            let good = parts.any(|p| p.what == *what && p.passed == Some(true));
            lies.must(good, "proves", "true", &format!("no {what}"));
        }
        let mut left = checks.iter().filter(|(_, left)| !left.is_empty());
        if let (false, Some((name, _))) = (self.parts.is_empty(), left.next()) {
            lies.must(false, "checks", name, "no part of the score");
        }
    }

    fn tables(&self, lies: &mut Lies) {
        let full = self.differences.len() >= MAX_NAMED;
        let spoiled: BTreeSet<&str> = self
            .differences
            .iter()
            .filter(|d| spoils(&d.what) != "schema")
            .map(|d| d.object.as_str())
            .collect();
        let mut names = BTreeSet::new();
        for table in &self.tables {
            let name = format!("{}.{}", table.schema.display(), table.name.display());
            let word = |equal: bool| if equal { "equal" } else { "not equal" };
            if !full {
                let is = !spoiled.contains(name.as_str());
                lies.differs(&name, word(table.equal), word(is));
            }
            let real = table.hash.as_ref().is_none_or(|hash| is_hash(hash, 32));
            let none = || "none".to_owned();
            let hash = table.hash.clone().unwrap_or_else(none);
            lies.must(real, &name, hash, "no hash: 32 hex digits");
            lies.must(names.insert(name), "tables", "twice", "once");
        }
        if self.proves {
            let count = i64::try_from(self.tables.len()).unwrap_or(i64::MAX);
            lies.differs("backup.tables", self.backup.tables, count);
            let rows = self.tables.iter().map(|t| t.rows);
            let rows = rows.fold(0, i64::saturating_add);
            lies.differs("backup.rows", self.backup.rows, rows);
        }
    }

    fn checked(&self, lies: &mut Lies) {
        for check in &self.checks {
            let expect = check.expect.as_str();
            let right = check.got.as_deref() == Some(expect);
            let got = check.got.as_deref().unwrap_or("nothing");
            // Of a long answer only the beginning is kept.
            let cut = got.chars().count() >= MAX_ANSWER;
            let suits = check.passed == right || (cut && expect.starts_with(got));
            let rule = format!("it says {got} and should say {expect}");
            lies.must(suits, &check.name, check.passed, &rule);
            let one = check.got.is_some() != check.error.is_some();
            lies.must(one, &check.name, got, "either an answer or an error");
            let real = check.seconds.is_finite() && check.seconds >= 0.0;
            lies.must(real, &check.name, check.seconds, "no time");
        }
    }

    /// What it says of the backup, against the manifest whose digest it names.
    fn backup(&self, manifest: &Manifest, lies: &mut Lies) {
        let (says, counts, server) = (&self.backup, &manifest.counts, &manifest.server);
        lies.differs("backup.name", &says.name, &manifest.backup);
        lies.differs("backup.database", &says.database, &server.database);
        lies.differs(
            "backup.serverVersion",
            &says.server_version,
            &server.version,
        );
        lies.differs("backup.dataAt", says.data_at, manifest.data_at);
        lies.differs("backup.finishedAt", says.finished_at, manifest.finished_at);
        for (name, says, is) in [
            ("storedBytes", says.stored_bytes, counts.stored_bytes),
            ("rawBytes", says.raw_bytes, counts.raw_bytes),
            ("databaseBytes", says.database_bytes, server.database_bytes),
            ("tables", says.tables, counts.tables),
            ("rows", says.rows, counts.rows),
        ] {
            lies.differs(&format!("backup.{name}"), says, is);
        }
        let says = says.objects.iter();
        let says = says.map(|o| format!("{} of {} bytes, {}", o.name, o.bytes, o.sha256));
        let is = manifest.objects.iter();
        let is = is.map(|o| format!("{} of {} bytes, {}", o.name, o.bytes, o.sha256));
        let (says, is): (Vec<_>, Vec<_>) = (says.collect(), is.collect());
        lies.differs("backup.objects", says.join("; "), is.join("; "));
    }
}

/// Which part of the score a difference spoils.
#[must_use]
pub fn spoils(what: &str) -> &'static str {
    match what {
        "table" | "rows" => "rows",
        "content" | "large objects" => "content",
        _ => "schema",
    }
}

/// Names of runs are cut where they would be too long.
fn short(drill: &str) -> &str {
    let end = drill
        .char_indices()
        .nth(20)
        .map_or(drill.len(), |(at, _)| at);
    drill.get(..end).unwrap_or(drill)
}

#[cfg(test)]
#[path = "sound_proof_tests.rs"]
mod tests;
