//! Files against a history: what is to come.

use super::history::{Direction, History, Row, State};
use super::source::{canonical, numbers};
use super::{Alone, Plan, PlannedFile, PlannedSegment, PlannedStatement, Refusal, sha256};
use crate::api::Reason;
use crate::sql::{Class, File, Lone, ObjectKind, Statement, Touch, order};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Forward or back.
    pub direction: Direction,
    /// The version that is to stand last. Going back, `0` is the state before the first.
    pub target: String,
    /// Where there is no history: everything up to this version counts as applied.
    pub baseline: Option<String>,
}

/// Makes the plan. A plan without files has nothing to do.
///
/// # Errors
/// A target that no file has, a file that cannot be run, a version out of order, an applied file whose text has changed,
/// a version that is half applied in the other direction, a way back that is missing.
pub fn make(files: &[File], history: &History, order: &Order) -> Result<Plan, Refusal> {
    let Some(target) = numbers(&order.target) else {
        return Err(refuse(
            Reason::InvalidSpec,
            format!(
                "spec.target.version is {}, which is no version: digits, or numbers with dots between",
                order.target
            ),
        ));
    };
    let baseline = history.baseline().or(order.baseline.as_deref());
    let baseline = baseline.and_then(numbers).unwrap_or_default();
    let versioned: Vec<(Vec<u128>, &File)> = files
        .iter()
        .map(|f| (order::version(&f.name).numbers, f))
        .collect();
    let wanted = match order.direction {
        Direction::Up => forward(&versioned, history, &target, &baseline)?,
        Direction::Down => back(&versioned, history, &target, &baseline)?,
    };
    for file in &wanted {
        if file.refused() {
            return Err(refuse(
                Reason::InvalidSpec,
                format!(
                    "{} cannot be run: {}",
                    file.name,
                    file.refusal().unwrap_or_default()
                ),
            ));
        }
    }
    let files: Vec<PlannedFile> = wanted.into_iter().map(planned).collect();
    for file in &files {
        nameless(file)?;
        as_applied(file, order.direction, history)?;
    }
    Ok(Plan {
        direction: order.direction,
        files,
        head: history.head.clone(),
    })
}

/// Whether the whole of a version stands, or a part; what its rows are.
fn standing<'h>(history: &'h History, version: &str, direction: Direction) -> (Vec<&'h Row>, bool) {
    let rows = history.standing(version, direction);
    let done = rows.iter().all(|r| r.state == State::Done);
    let all = done && rows.last().is_some_and(|r| rows.len() >= r.segments);
    (rows, all)
}

fn forward<'f>(
    files: &[(Vec<u128>, &'f File)],
    history: &History,
    target: &[u128],
    baseline: &[u128],
) -> Result<Vec<&'f File>, Refusal> {
    let ups = || files.iter().filter(|(_, f)| !f.down);
    let highest = history.versions().iter().filter_map(|v| numbers(v.0)).max();
    let highest = highest.unwrap_or_default();
    if !ups().any(|(v, _)| v == target) && highest.as_slice() < target && baseline < target {
        return Err(refuse(
            Reason::InvalidSpec,
            format!(
                "spec.target.version {} is in none of the files: is the file missing, or the version mistyped?",
                canonical(target)
            ),
        ));
    }
    let mut wanted = Vec::new();
    for (version, file) in ups() {
        let text = canonical(version);
        if let (rows, false) = standing(history, &text, Direction::Down)
            && !rows.is_empty()
        {
            return Err(refuse(
                Reason::PartlyApplied,
                format!("{text} was taken back in part: finish that with a run of direction Down"),
            ));
        }
        if version.as_slice() <= baseline {
            continue;
        }
        let (rows, whole) = standing(history, &text, Direction::Up);
        if whole {
            if rows.last().is_some_and(|r| r.file_sha256 != file.sha256) {
                return Err(changed(&file.name, &text));
            }
            continue;
        }
        if version.as_slice() > target {
            continue;
        }
        if rows.is_empty() && *version < highest {
            return Err(refuse(
                Reason::OutOfOrder,
                format!(
                    "{} was never applied, and {} was: give it a version above that one, or leave it out",
                    file.name,
                    canonical(&highest)
                ),
            ));
        }
        wanted.push(*file);
    }
    Ok(wanted)
}

fn back<'f>(
    files: &[(Vec<u128>, &'f File)],
    history: &History,
    target: &[u128],
    baseline: &[u128],
) -> Result<Vec<&'f File>, Refusal> {
    if target < baseline {
        return Err(refuse(
            Reason::InvalidSpec,
            format!(
                "spec.target.version {} lies before the baseline {baseline}: what stood there is not known; the way back ends at {baseline}",
                canonical(target),
                baseline = canonical(baseline)
            ),
        ));
    }
    let mut standing: Vec<(Vec<u128>, &str, bool)> = history
        .versions()
        .into_iter()
        .filter_map(|(text, done, all)| Some((numbers(text)?, text, done >= all)))
        .filter(|(version, ..)| version.as_slice() > target && version.as_slice() > baseline)
        .collect();
    standing.sort_by(|a, b| b.0.cmp(&a.0));
    let mut wanted = Vec::new();
    for (version, text, whole) in standing {
        if !whole {
            return Err(refuse(
                Reason::PartlyApplied,
                format!(
                    "{text} is applied in part, and its way back was written for the whole: finish it first with a run of \
                     direction Up; what of it is not applied yet may be mended"
                ),
            ));
        }
        let down = files.iter().find(|(v, f)| f.down && *v == version);
        let Some((_, file)) = down else {
            return Err(refuse(
                Reason::InvalidSpec,
                format!(
                    "{text} has no way back: no file {text}_<name>.sql.down, and no part of its own file that leads back"
                ),
            ));
        };
        wanted.push(*file);
    }
    Ok(wanted)
}

/// What of a file is applied is what the file still says. The rest of it may have been mended since.
fn as_applied(file: &PlannedFile, direction: Direction, history: &History) -> Result<(), Refusal> {
    let rows = history.standing(&file.version, direction);
    let all = file.segments.len();
    let done = rows.iter().filter(|r| r.state == State::Done).count();
    let whole = rows.last().is_some_and(|r| done >= r.segments);
    for (at, row) in rows.into_iter().enumerate() {
        let same = file
            .segments
            .get(at)
            .is_some_and(|s| row.segment == at && s.sha256 == row.segment_sha256);
        if !same {
            return Err(changed(&file.name, &file.version));
        }
    }
    if done >= all && !whole {
        return Err(refuse(
            Reason::PartlyApplied,
            format!(
                "{} ends where it stopped when it was applied in part, and nothing would ever say that it is whole: leave at \
                 least one statement after that, if only SELECT 1",
                file.name
            ),
        ));
    }
    Ok(())
}

/// An index is told by its name and definition: one without a name is never seen to be there (LB106).
fn nameless(file: &PlannedFile) -> Result<(), Refusal> {
    let statements = file.segments.iter().flat_map(|s| &s.statements);
    let without =
        |alone: &Alone| alone.what == Lone::CreateIndexConcurrently && alone.index.is_none();
    let mut without = statements.filter(|s| s.alone.as_ref().is_some_and(without));
    match without.next() {
        None => Ok(()),
        Some(statement) => Err(refuse(
            Reason::InvalidSpec,
            format!(
                "{}, line {}: give the index a name; without one nobody can tell whether it is there (LB106)",
                file.name, statement.line
            ),
        )),
    }
}

fn changed(name: &str, version: &str) -> Refusal {
    refuse(
        Reason::ChecksumChanged,
        format!(
            "{name} is not what was applied as version {version}: give it its old text back, and put what is new into a \
             file of its own"
        ),
    )
}

fn refuse(reason: Reason, message: String) -> Refusal {
    Refusal::new(reason, message)
}

fn planned(file: &File) -> PlannedFile {
    let segments = file.segments.iter().map(|segment| {
        let statements = file.statements.get(segment.statements.clone());
        let statements: Vec<PlannedStatement> = statements
            .unwrap_or_default()
            .iter()
            .map(|s| PlannedStatement {
                index: s.index,
                line: s.at.line,
                verb: s.verb.clone(),
                text: s.text.clone(),
                sha256: s.sha256.clone(),
                alone: alone(s),
                batch: s.batch.clone(),
            })
            .collect();
        let hashes: Vec<String> = statements.iter().map(hash).collect();
        PlannedSegment {
            index: segment.index,
            kind: segment.kind,
            then: segment.then.clone(),
            sha256: sha256(hashes.join("\n").as_bytes()),
            statements,
        }
    });
    PlannedFile {
        version: canonical(&order::version(&file.name).numbers),
        name: file.name.clone(),
        sha256: file.sha256.clone(),
        bytes: file.bytes,
        segments: segments.collect(),
    }
}

/// What a segment is known by. How many rows a batch goes over may change between two of them, the order in which it goes may not.
fn hash(statement: &PlannedStatement) -> String {
    let text = &statement.sha256;
    match &statement.batch {
        Some(batch) => format!("{text} by {}", batch.key),
        None => text.clone(),
    }
}

fn alone(statement: &Statement) -> Option<Alone> {
    let Class::Lone(what) = statement.class else {
        return None;
    };
    let of = |kind: ObjectKind, touches: &[Touch]| {
        let mut objects = statement.objects.iter();
        let object = objects.find(|o| o.kind == kind && touches.contains(&o.touch));
        object.map(|o| o.name.clone())
    };
    Some(Alone {
        what,
        index: of(ObjectKind::Index, &[Touch::Creates, Touch::Drops]),
        table: of(ObjectKind::Relation, &[Touch::Alters]),
    })
}
