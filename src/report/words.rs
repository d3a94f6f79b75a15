//! Words that both reports use.

use jiff::Timestamp;

use super::Standing;
use super::page::{Cell, Tone};
use crate::api::restore_drill::Verdict;
use crate::manifest::{Objective, Proof};
use crate::work::human;

/// Longest time that is written out, in seconds.
const MOST: f64 = 1e12;

/// `0.4 s`, `12 min 4 s`, `3 d 2 h`.
pub(super) fn span(seconds: f64) -> String {
    const DAY: u64 = 86_400;
    let seconds = seconds.clamp(0.0, MOST);
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = std::time::Duration::from_secs_f64(seconds.round()).as_secs();
    if whole < 2 * DAY {
        return human::seconds(whole);
    }
    format!("{} d {} h", whole / DAY, whole % DAY / 3_600)
}

/// `2026-11-21 02:00:00 UTC`.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2026-11-21 02:00`, where the heading says UTC.
pub(super) fn minute(at: Timestamp) -> Cell {
    Cell::Short(at.strftime("%Y-%m-%d %H:%M").to_string())
}

/// How a verdict is meant.
pub(super) fn tone(result: Verdict, proves: bool) -> Tone {
    match result {
        Verdict::Passed if proves => Tone::Good,
        Verdict::Passed | Verdict::Inconclusive => Tone::Unsure,
        Verdict::Failed => Tone::Bad,
    }
}

/// Whether an objective was met.
pub(super) fn met(objective: Option<&Objective>) -> Tone {
    match objective.and_then(|o| o.met) {
        Some(true) => Tone::Good,
        Some(false) => Tone::Bad,
        None => Tone::Plain,
    }
}

/// `objective 4 h 0 min, met`.
pub(super) fn against(objective: &Objective) -> String {
    let Some(seconds) = objective.objective_seconds else {
        return "no objective".to_owned();
    };
    let word = match objective.met {
        Some(true) => ", met",
        Some(false) => ", missed",
        None => "",
    };
    format!("objective {}{word}", human::seconds(seconds))
}

/// What became of the backup, in a sentence.
pub(super) fn standing(standing: Standing) -> Cell {
    match standing {
        Standing::AsDrilled => Cell::Mark(
            Tone::Good,
            "its manifest stands in the store as it was drilled, and so do the names and sizes of its objects".to_owned(),
        ),
        Standing::Damaged => Cell::Mark(
            Tone::Bad,
            "it was damaged after the drill: objects are missing or cut".to_owned(),
        ),
        Standing::Changed => Cell::Mark(
            Tone::Bad,
            "its manifest is not the one that was drilled: this proof says nothing of it"
                .to_owned(),
        ),
        Standing::Gone => Cell::Mark(Tone::Unsure, "is no longer in the store".to_owned()),
    }
}

/// What an error of a restore was taken for.
pub(super) fn judged(verdict: Verdict) -> Cell {
    let (tone, text) = match verdict {
        Verdict::Passed => (Tone::Good, "harmless"),
        Verdict::Failed => (Tone::Bad, "the backup is at fault"),
        Verdict::Inconclusive => (Tone::Unsure, "the scratch server is at fault"),
    };
    Cell::Mark(tone, text.to_owned())
}

/// What is done in a phase.
pub(super) fn phase(name: &str) -> &'static str {
    match name {
        "schedule" => "from the decision to the first instruction of the drill",
        "open" => "manifest and contents read",
        "server" => "scratch server made and started",
        "fetch" => "objects fetched, every digest checked, decrypted",
        "schema" => "roles, definitions and properties restored",
        "data" => "rows loaded",
        "indexes" => "indexes, constraints and triggers made",
        "analyze" => "statistics gathered",
        "verify" => "everything read again and compared",
        "checks" => "the user's checks asked",
        _ => "",
    }
}

/// Whether a phase counts for the time to restore. In a disaster everything does, because there the backup is
/// only of use when somebody knows that it is right.
pub(super) fn counts(proof: &Proof, name: &str) -> bool {
    proof.mode == "Disaster" || !matches!(name, "verify" | "checks")
}

/// The formula of the score.
pub(super) const FORMULA: &str = "The score is 100 × the weights of the parts that passed ÷ the weights of the parts that were asked for, \
rounded down. The restore weighs 30, the schema 15, the rows 25, their content 25, each of the user's checks 5. A part that was not asked for \
counts on neither side. Whatever else passed, the score is at most 49 if anything differs in restore, schema, rows or content, or if a required \
check fails: the drill has failed then. Times are no part of the score.";

/// The formula with the numbers of this proof.
pub(super) fn arithmetic(proof: &Proof) -> Option<String> {
    let score = u64::from(proof.score?);
    let asked = proof
        .parts
        .iter()
        .filter_map(|p| Some((u64::from(p.weight), p.passed?)));
    let (mut passed, mut all) = (0, 0);
    for (weight, good) in asked {
        all += weight;
        passed += if good { weight } else { 0 };
    }
    let reached = (passed * 100).checked_div(all)?;
    let capped = match score < reached {
        true => format!(", cut to {score} because the drill failed"),
        false => String::new(),
    };
    Some(format!("Here: 100 × {passed} ÷ {all} = {reached}{capped}."))
}

/// What a part of the score stands for.
pub(super) fn part(what: &str) -> String {
    let known = match what {
        "restore" => "restored without an error that speaks against the backup",
        "schema" => "every definition, owner and privilege equal",
        "rows" => "the rows of every table counted, equal",
        "content" => "the content of every table hashed, equal",
        other => return other.to_owned(),
    };
    format!("{what}: {known}")
}
