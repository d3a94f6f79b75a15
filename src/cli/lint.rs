//! `lifeboat lint`: migrations held against the rules of `docs/lint`, offline, for CI.

use std::fmt::Write as _;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::{CommandError, FAILED};
use crate::sql::lint::lint;
use crate::sql::{self, Acknowledgement, Context, File, Finding, Level, Report, Rule};
use crate::work::human::count;

/// Exit code where the command was not understood, as clap's own.
const USAGE: u8 = 2;
/// Largest file of acknowledgements, in bytes.
const MAX_YAML_BYTES: u64 = 1024 * 1024;
/// Most files in a folder.
const MOST_FILES: usize = 10_000;

/// Arguments of `lifeboat lint`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// SQL files, or folders: of those every *.sql and *.sql.down directly in them, and the migration.sql, up.sql and down.sql of folders below, ordered by version.
    #[arg(value_name = "FILE", required_unless_present = "explain")]
    files: Vec<PathBuf>,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Major version of the server. Without it advice is for any.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(13..=30))]
    postgres_major: Option<u16>,
    /// YAML with the list that `spec.lint.acknowledge` takes: rule, object or file, reason.
    #[arg(long, value_name = "FILE")]
    acknowledge: Option<PathBuf>,
    /// Print the page of a rule, for example LB101, and look at no file.
    #[arg(long, value_name = "RULE")]
    explain: Option<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs: docs/lint/README.md says what stands where.
    Json,
}

/// Runs `lifeboat lint`. Exit code 0: nothing blocks; 1: something does; 2: a file cannot be read or the command
/// makes no sense.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    if let Some(rule) = args.explain {
        super::out::print(rule.page());
        return ExitCode::SUCCESS;
    }
    let (files, acknowledged) = match inputs(args) {
        Ok(inputs) => inputs,
        Err(error) => {
            super::out::complain(format!("lifeboat: {error}"));
            return ExitCode::from(USAGE);
        }
    };
    let context = Context {
        server_major: args.postgres_major,
        ..Context::default()
    };
    // Each folder is a run: what one makes is not there for another's.
    let report = lint(&files, &context, &acknowledged);
    match args.format {
        Format::Text => {
            let colour =
                std::io::stdout().is_terminal() && super::environment("NO_COLOR").is_none();
            super::out::print(text(&report, colour));
        }
        Format::Json => match serde_json::to_string_pretty(&document(&files, &report)) {
            Ok(json) => super::out::line(json),
            Err(error) => {
                super::out::complain(format!("lifeboat: {error}"));
                return ExitCode::from(USAGE);
            }
        },
    }
    if report.blocks() {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    }
}

fn inputs(args: &Args) -> Result<(Vec<File>, Vec<Acknowledgement>), CommandError> {
    let acknowledged = match &args.acknowledge {
        Some(path) => acknowledgements(path)?,
        None => Vec::new(),
    };
    let mut paths = Vec::new();
    for path in &args.files {
        if path.is_dir() {
            paths.extend(folder(path)?);
        } else {
            paths.push(path.clone());
        }
    }
    sql::order::sort(&mut paths, |path| path.display().to_string());
    paths.dedup();
    Ok((read_all(&paths)?, acknowledged))
}

/// Reads the files on all processors; a folder may hold the history of years.
fn read_all(paths: &[PathBuf]) -> Result<Vec<File>, CommandError> {
    let hands = std::thread::available_parallelism().map_or(1, usize::from);
    let share = paths.len().div_ceil(hands).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = paths
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().map(|path| read(path)).collect::<Vec<_>>()))
            .collect();
        let mut files = Vec::with_capacity(paths.len());
        for part in parts {
            let part = part
                .join()
                .map_err(|_| "failed to read the files: a reader gave up")?;
            for file in part {
                files.extend(file?);
            }
        }
        Ok(files)
    })
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let failed = |error| format!("failed to read the folder {}: {error}", path.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        // One folder for each version, as Prisma makes them.
        if file.is_dir() {
            let inside = ["migration.sql", "up.sql", "down.sql"].map(|name| file.join(name));
            found.extend(inside.into_iter().filter(|path| path.is_file()));
            continue;
        }
        // A link that leads nowhere is told when it is read.
        let other = std::fs::metadata(&file).is_ok_and(|found| !found.is_file());
        if !other && sql::order::is_migration(&file.display().to_string()) {
            found.push(file);
        }
        if found.len() > MOST_FILES {
            return Err(format!("more than {MOST_FILES} files in {}", path.display()).into());
        }
    }
    if found.is_empty() {
        return Err(format!("no *.sql in {}", path.display()).into());
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<File>, CommandError> {
    let most = u64::try_from(sql::MOST_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that it is too large.
    std::fs::File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    Ok(File::parts(&path.display().to_string(), &bytes))
}

/// A document that holds the list as `spec.lint` does.
#[derive(Deserialize)]
struct Named {
    acknowledge: Vec<Acknowledgement>,
}

fn acknowledgements(path: &Path) -> Result<Vec<Acknowledgement>, CommandError> {
    let failed = |why: &dyn std::fmt::Display| format!("failed to read {}: {why}", path.display());
    let mut yaml = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_YAML_BYTES).read_to_string(&mut yaml))
        .map_err(|error| failed(&error))?;
    let bare = |line: &str| {
        line.trim_start_matches(['{', ' ', '"', '\''])
            .starts_with("acknowledge")
    };
    let named = yaml.lines().any(bare);
    let list = match named {
        true => serde_saphyr::from_str(&yaml).map(|named: Named| named.acknowledge),
        false => serde_saphyr::from_str(&yaml),
    };
    let list: Vec<Acknowledgement> = list.map_err(|error| {
        let error = error.to_string();
        failed(&format!(
            "{}; wanted is a list of {{rule: LB202, object: public.orders.legacy, reason: …}}, with `object`, `file` or both",
            error.lines().next().unwrap_or_default()
        ))
    })?;
    for (at, entry) in list.iter().enumerate() {
        let unbounded = entry.object.is_none() && entry.file.is_none();
        if unbounded || entry.reason.trim().is_empty() {
            let why = format!(
                "entry {} ({}) needs an object or a file, and a reason",
                at + 1,
                entry.rule
            );
            return Err(failed(&why).into());
        }
    }
    Ok(list)
}

/// What `--format json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    files: Vec<FileDocument<'a>>,
    #[serde(flatten)]
    report: &'a Report,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileDocument<'a> {
    name: &'a str,
    sha256: &'a str,
    down: bool,
    segments: &'a [sql::Segment],
    statements: Vec<sql::Statement>,
}

fn document<'a>(files: &'a [File], report: &'a Report) -> Document<'a> {
    let files = files.iter().map(|file| FileDocument {
        name: &file.name,
        sha256: &file.sha256,
        down: file.down,
        segments: &file.segments,
        statements: file
            .statements
            .iter()
            .map(|s| {
                let mut shown = s.clone();
                shown.text = file.shown(s.span.clone());
                shown
            })
            .collect(),
    });
    Document {
        files: files.collect(),
        report,
    }
}

/// Colours of a terminal; nothing elsewhere.
struct Paint(bool);

impl Paint {
    fn dye(&self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn level(&self, finding: &Finding) -> String {
        match finding.level {
            _ if finding.acknowledged.is_some() => self.dye("2", "acknowledged"),
            Level::Block => self.dye("1;31", "block"),
            Level::Warn => self.dye("1;33", "warn"),
            Level::Info => self.dye("36", "info"),
        }
    }
}

fn text(report: &Report, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = String::new();
    for finding in &report.findings {
        one(&mut out, finding, &paint);
    }
    for unused in &report.unused {
        let about = unused.object.as_ref().or(unused.file.as_ref());
        let about = about.map(String::as_str).unwrap_or_default();
        let line = format!(
            "note: the acknowledgement of {} for {about} took nothing",
            unused.rule
        );
        let _ = writeln!(out, "{}", plain(&line));
    }
    if !report.unused.is_empty() {
        out.push('\n');
    }
    let c = &report.counts;
    let verdict = if report.blocks() {
        paint.dye("1;31", "refused")
    } else {
        paint.dye("1;32", "passed")
    };
    let _ = writeln!(
        out,
        "{verdict}: {} in {}: {} block, {} acknowledged, {} warn, {} info",
        count(c.statements, "statement"),
        count(c.files, "file"),
        c.block,
        c.acknowledged,
        c.warn,
        c.info
    );
    if !report.findings.is_empty() {
        let _ = writeln!(out, "`lifeboat lint --explain {}` says more", first(report));
    }
    out
}

fn first(report: &Report) -> Rule {
    let worst = report.findings.iter().find(|f| f.blocks());
    let worst = worst.or_else(|| report.findings.first());
    worst.map_or(Rule::Lb101, |f| f.rule)
}

fn one(out: &mut String, finding: &Finding, paint: &Paint) {
    let Finding { rule, file, at, .. } = finding;
    let place = format!("{}:{}:{}", plain(file), at.line, at.column);
    let id = paint.dye("1", rule.id());
    let _ = writeln!(
        out,
        "{place}: {id} {}: {}",
        paint.level(finding),
        rule.title()
    );
    // Tabs become one space each, so that the caret stands below.
    let line: String = plain(&finding.line_text);
    if !line.trim().is_empty() {
        let (line, before) = window(&line, at.column - 1);
        let caret = "^".repeat(
            finding
                .width
                .clamp(1, line.chars().count().saturating_sub(before).max(1)),
        );
        let _ = writeln!(out, "  | {line}");
        let _ = writeln!(
            out,
            "  | {}{}",
            " ".repeat(before),
            paint.dye("1;31", &caret)
        );
    }
    let _ = writeln!(out, "  {}", plain(&finding.message));
    match &finding.acknowledged {
        Some(reason) => {
            let _ = writeln!(out, "  acknowledged: {}", plain(reason));
        }
        None => {
            let _ = writeln!(
                out,
                "  {} {}",
                paint.dye("32", "instead:"),
                plain(&finding.fix)
            );
            if let Some(entry) = finding.entry() {
                let _ = writeln!(out, "  or acknowledge: {}", plain(&entry));
            }
        }
    }
    out.push('\n');
}

/// Of a long line the part around the place, and how far into it the place is.
fn window(line: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 100;
    if line.chars().count() <= WIDTH {
        return (line.to_owned(), column);
    }
    let skip = column.saturating_sub(20);
    let part: String = line.chars().skip(skip).take(WIDTH).collect();
    (part, column - skip)
}

/// A file must not steer the terminal on which it is shown.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
