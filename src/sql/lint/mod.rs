//! The lint: what of a migration would hurt, why, and what to write instead.
//!
//! Rules look at one statement; here it is decided what of it holds: a table that the run makes itself hurts nobody,
//! a small one little, and what a person took responsibility for is told but does not block. Comments in the files
//! decide nothing.

mod borrowed;
mod known;
mod lock;
mod loss;
mod report;
mod rule;
mod run;
mod security;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use known::NotNull;
pub(super) use known::Unless;
pub use report::{Counts, Finding, Report};
pub use rule::{Level, Rule, UnknownRule};

use super::file::File;
use super::hit::Hit;
use super::name::Name;
use super::order;
use super::tree::Node;
use known::Known;
use run::{Run, secured};

pub(super) use borrowed::hits as borrowed;

/// What is known of the database. Nothing: everything may be large, and is judged so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Major version of the server.
    pub server_major: Option<u16>,
    /// Tables of the catalogue, by schema and name.
    pub tables: BTreeMap<Name, Table>,
    /// Tables that earlier files of the same run made.
    pub created: BTreeSet<Name>,
    /// Schemas that an API shows to everybody, as Supabase does `public`.
    pub exposed: BTreeSet<String>,
    /// Bytes of all files together. A run has [`MOST_BYTES`](super::MOST_BYTES); a folder with a whole history has none.
    pub most_bytes: Option<usize>,
    /// Extensions that may be created besides the harmless ones.
    pub extensions: BTreeSet<String>,
    /// Functions of the user's own that are not volatile.
    pub steady: BTreeSet<Name>,
    /// Domains with constraints.
    pub constrained: BTreeSet<Name>,
    /// CHECKs that say of columns that they are not null, and columns that are NOT NULL.
    pub not_null: Vec<NotNull>,
    /// Types of columns, by table and column: some become others without being written again.
    pub types: BTreeMap<(Name, String), String>,
}

/// What the catalogue says of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Table {
    /// Rows, as the planner estimates them.
    pub rows: u64,
    /// Pages of 8 KiB.
    pub pages: u64,
    /// It is a partitioned parent.
    pub partitioned: bool,
    /// Row security is on.
    pub row_security: bool,
    /// Of a partitioned parent with a default partition: rows of that.
    pub default_rows: Option<u64>,
}

impl Context {
    fn table(&self, name: &Name) -> Option<&Table> {
        self.tables
            .iter()
            .find(|(n, _)| n.may_be(name))
            .map(|(_, table)| table)
    }
}

/// One entry of `spec.lint.acknowledge`: a person read the finding and takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acknowledgement {
    /// The rule: `LB202`.
    pub rule: Rule,
    /// The object as the finding names it, `public.orders.legacy`. Without a schema it is one of `public`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The file in which it holds; the end of its path is enough. With neither object nor file it holds for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Why, for whoever reads it later. Must not be empty.
    pub reason: String,
}

impl Acknowledgement {
    fn holds(&self, rule: Rule, object: Option<&str>, file: &str) -> bool {
        let object_holds = match (&self.object, object) {
            (None, _) => true,
            (Some(want), Some(found)) => {
                let bare = |n: &str| n.strip_prefix("public.").unwrap_or(n).to_owned();
                bare(want) == bare(found)
            }
            (Some(_), None) => false,
        };
        let file_holds = self.file.as_ref().is_none_or(|want| {
            file == want
                || file
                    .strip_suffix(want.as_str())
                    .is_some_and(|f| f.ends_with('/'))
        });
        let bounded = self.object.is_some() || self.file.is_some();
        rule == self.rule && bounded && object_holds && file_holds && !self.reason.trim().is_empty()
    }
}

/// Rules on whole files, asked while there is a tree.
pub(super) fn own(text: &str, nodes: &[Node]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for node in nodes {
        hits.extend(lock::hits(node));
        hits.extend(table::hits(text, node));
        hits.extend(loss::hits(node));
        hits.extend(security::hits(node));
    }
    hits
}

/// What is wrong with the version in a file's name, and which file has it: folder, version, way.
fn numbered<'f>(
    file: &'f File,
    versions: &mut BTreeMap<(&'f str, Vec<u128>, bool), &'f str>,
) -> Option<Hit> {
    let name = file.name.as_str();
    let version = order::version(name);
    let mut folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    if order::in_folder(name) {
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
    if version.numbers.is_empty() {
        let why = "its name has no version, so no run takes it: name it <version>_<name>.sql";
        let hit = Hit::new(Rule::Lb410, 0..0, why).fix("rename it, or keep it elsewhere");
        return Some(hit.level(Level::Warn)).filter(|_| !order::is_dump(name));
    }
    let key = (folder, version.numbers, file.down);
    let other = versions.insert(key, name)?;
    let why = format!("it has the same version as {other}: which of them comes first?");
    let hit = Hit::new(Rule::Lb410, 0..0, &why).fix("give one of them a version of its own");
    Some(hit.refused())
}

/// In a file that leads back losing is what the file is for: told, not blocked.
pub(super) fn leads_back(hit: Hit) -> Hit {
    match hit.rule.loses() {
        true => hit.level(Level::Warn),
        false => hit,
    }
}

/// Judges the files of one run, in the order in which they are applied.
#[must_use]
pub fn lint(files: &[File], context: &Context, acknowledged: &[Acknowledgement]) -> Report {
    let mut run = Run {
        context,
        created: context.created.clone(),
        perhaps: BTreeSet::new(),
        partitioned: BTreeSet::new(),
        secured: secured(files),
        known: Known::of(context),
    };
    let mut report = Report::default();
    // Two parts of one file are one file.
    let whole: BTreeMap<&str, usize> = files.iter().map(|f| (f.name.as_str(), f.bytes)).collect();
    let sum: usize = whole.values().sum();
    let names: Vec<&str> = whole.keys().copied().collect();
    let upwards = order::run_upwards(&names);
    let mut versions = BTreeMap::new();
    for file in files {
        let mut hits: Vec<Hit> = Vec::new();
        if upwards.contains(&file.name.as_str()) {
            let why = "named `*.down.sql` without a `*.up.sql`: the Supabase CLI would run it as a migration; name it `*.sql.down`";
            hits.push(Hit::new(Rule::Lb410, 0..0, why).refused());
        }
        hits.extend(numbered(file, &mut versions));
        // A way back is a run of its own: what the files upwards make is there by then.
        if file.down {
            let mut back = Run {
                created: context.created.clone(),
                perhaps: BTreeSet::new(),
                known: Known::of(context),
                ..run.clone()
            };
            hits.extend(back.file(file));
        } else {
            hits.extend(run.file(file));
        }
        hits.sort_by_key(|h| (h.span.start, h.rule));
        for hit in hits {
            report
                .findings
                .push(report::finding(file, hit, acknowledged));
        }
    }
    if let Some(most) = context.most_bytes.filter(|most| sum > *most)
        && let Some(last) = files.last()
    {
        let why = format!(
            "{} KiB in {} files: all files of a migration together are at most {} KiB",
            sum.div_ceil(1024),
            whole.len(),
            most / 1024
        );
        let hit = Hit::new(Rule::Lb410, 0..0, &why).refused();
        report.findings.push(report::finding(last, hit, &[]));
    }
    report.count(whole.len(), files.iter().map(|f| f.statements.len()).sum());
    report.unused = report::unused(&report.findings, acknowledged);
    report
}
