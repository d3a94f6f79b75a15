//! One run, file by file: what is new, what is small, what the run as a whole shows.

use std::collections::BTreeSet;

use super::known::Known;
use super::rule::{Level, Rule};
use super::{Context, loss, table};
use crate::sql::class::{Class, Lone};
use crate::sql::fact::Fact;
use crate::sql::file::{File, Statement};
use crate::sql::hit::Hit;
use crate::sql::locks;
use crate::sql::name::{Name, Object, ObjectKind, Touch};

/// Rows up to which a table is small (M18).
const SMALL_ROWS: u64 = 10_000;
/// Pages of 8 KiB up to which a table is small: few rows may be large ones.
const SMALL_PAGES: u64 = 1_000;

/// From PostgreSQL 18 on one step less than [`Rule::Lb109`] advises.
const NOT_NULL_18: &str = "ADD CONSTRAINT … NOT NULL column NOT VALID, then VALIDATE CONSTRAINT as a statement of its own";

/// Tables for which row security is switched on in these files.
pub(super) fn secured(files: &[File]) -> BTreeSet<Name> {
    let statements = files
        .iter()
        .flat_map(|f| &f.statements)
        .filter(|s| s.row_security);
    let objects = statements
        .flat_map(|s| &s.objects)
        .filter(|o| o.touch == Touch::Alters);
    objects.map(|o| o.name.clone()).collect()
}

/// What is known while the files are gone through.
#[derive(Clone)]
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) created: BTreeSet<Name>,
    /// Made with IF NOT EXISTS: they may have been there.
    pub(super) perhaps: BTreeSet<Name>,
    pub(super) partitioned: BTreeSet<Name>,
    pub(super) secured: BTreeSet<Name>,
    pub(super) known: Known,
}

fn among(names: &BTreeSet<Name>, name: &Name) -> bool {
    names.iter().any(|n| n.may_be(name))
}

impl Run<'_> {
    pub(super) fn file(&mut self, file: &File) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        let mut waiting = file.hits.iter().peekable();
        for statement in &file.statements {
            for fact in statement.facts.iter().filter(|f| f.comes_first()) {
                self.known.note(fact);
            }
            while let Some(hit) = waiting.next_if(|h| h.span.start <= statement.span.end) {
                hits.extend(self.judge(file, Some(statement), hit.clone()));
            }
            hits.extend(self.catalogue(statement));
            self.note(statement);
        }
        hits.extend(waiting.cloned());
        if !file.refused() {
            for segment in &file.segments {
                let part = file
                    .statements
                    .get(segment.statements.clone())
                    .unwrap_or_default();
                let part: Vec<&Statement> = part.iter().collect();
                hits.extend(table::window(&part, |t| among(&self.created, t)));
            }
        }
        hits
    }

    /// What the statement makes is there for those after it.
    fn note(&mut self, statement: &Statement) {
        let made = statement
            .objects
            .iter()
            .filter(|o| o.touch == Touch::Creates);
        // Another name makes nothing new: it stands in the schema of the old one, and is as old as that.
        let renames = statement.verb.starts_with("ALTER");
        if renames {
            let mut altered = statement.objects.iter();
            let altered = altered.find(|o| o.touch == Touch::Alters);
            let new = altered.filter(|o| among(&self.created, &o.name));
            let schema = new.map(|o| o.name.schema.clone());
            let named = made.clone().map(|o| o.name.name.clone());
            let named = named.filter_map(|name| {
                Some(Name {
                    schema: schema.clone()?,
                    name,
                })
            });
            let named: Vec<Name> = named.collect();
            self.created.extend(named);
        }
        let made = made.filter(|_| !renames);
        for object in made.filter(|o| matches!(o.kind, ObjectKind::Relation | ObjectKind::View)) {
            if statement.partitioned {
                self.partitioned.insert(object.name.clone());
            }
            let known = self.context.table(&object.name).is_some();
            if statement.perhaps && !known {
                self.perhaps.insert(object.name.clone());
            } else if !known {
                self.created.insert(object.name.clone());
            }
        }
        for fact in &statement.facts {
            // A domain that this run makes is in no table yet.
            if let Fact::Domain { name } = fact {
                self.created.insert(name.clone());
            }
            self.known.note(fact);
        }
        // Gone, and perhaps made again as something else.
        let gone = statement.objects.iter().filter(|o| o.touch == Touch::Drops);
        for object in gone {
            self.created.retain(|n| !n.may_be(&object.name));
            if object.kind == ObjectKind::Relation {
                self.known.forget(&object.name);
            }
        }
    }

    /// What holds of a hit here and now.
    fn judge(&self, file: &File, statement: Option<&Statement>, mut hit: Hit) -> Option<Hit> {
        let level = hit.level.unwrap_or_else(|| hit.rule.level());
        let major = self.context.server_major;
        let excused = |unless| self.known.excuses(unless, self.context);
        if hit.unless.as_ref().is_some_and(excused)
            || hit.form.is_some_and(|form| !locks::costs(form, major))
        {
            return None;
        }
        if let Some(table) = &hit.table {
            if hit.rule.spares_new() && among(&self.created, table) {
                return None;
            }
            let size = self.context.table(table);
            if hit.rule == Rule::Lb101
                && (size.is_some_and(|t| t.partitioned) || among(&self.partitioned, table))
            {
                return partitioned(hit, level);
            }
            let small = size.filter(|t| t.rows <= SMALL_ROWS && t.pages <= SMALL_PAGES);
            if let Some(small) = small.filter(|_| hit.rule.scales() || hit.rule == Rule::Lb126) {
                hit.message = format!("{} (a small table: about {} rows)", hit.message, small.rows);
                hit.level = Some(if hit.rule == Rule::Lb126 {
                    Level::Info
                } else {
                    Level::Warn.min(level)
                });
            } else if hit.rule.scales() && among(&self.perhaps, table) {
                hit.message = format!("{}, unless IF NOT EXISTS made it just now", hit.message);
                hit.level = Some(Level::Warn.min(level));
            }
        }
        match hit.rule {
            Rule::Lb112
                if hit
                    .unless
                    .as_ref()
                    .is_some_and(|u| Known::unsure(u, self.context)) =>
            {
                hit.level = Some(Level::Warn.min(hit.level.unwrap_or(level)));
                Some(hit)
            }
            Rule::Lb109 if major.is_some_and(|m| m >= 18) => {
                hit.fix = Some(NOT_NULL_18.to_owned());
                Some(hit)
            }
            Rule::Lb114 => {
                let parent = hit.table.as_ref().and_then(|t| self.context.table(t));
                let large = parent.and_then(|t| t.default_rows);
                if large.is_some_and(|rows| rows > SMALL_ROWS) {
                    hit.level = Some(Level::Block);
                }
                Some(hit)
            }
            Rule::Lb404 => self.view(statement, hit),
            Rule::Lb406
                if hit
                    .object
                    .as_ref()
                    .is_some_and(|o| self.context.extensions.contains(o)) =>
            {
                None
            }
            Rule::Lb206 if made_again(file, statement, &hit) => {
                hit.message = format!("{}, and is made again in the same transaction", hit.message);
                hit.level = Some(Level::Info);
                Some(hit)
            }
            _ => Some(hit),
        }
    }

    fn view(&self, statement: Option<&Statement>, mut hit: Hit) -> Option<Hit> {
        let read = statement.into_iter().flat_map(|s| &s.objects);
        let mut read = read.filter(|o| o.touch == Touch::Reads && o.kind == ObjectKind::Relation);
        // Every table is known to have no row security, in the catalogue or because this run makes it without.
        let open = |name: &Name| {
            let new = among(&self.created, name) && !among(&self.secured, name);
            new || self.context.table(name).is_some_and(|t| !t.row_security)
                && !among(&self.secured, name)
        };
        let creates = statement.is_some_and(|s| s.verb.starts_with("CREATE"));
        if creates && read.all(|o| open(&o.name)) {
            return None;
        }
        if self.context.server_major.is_some_and(|major| major < 15) {
            hit.fix = Some(
                "before PostgreSQL 15: a function that is SECURITY INVOKER instead of the view"
                    .to_owned(),
            );
        }
        Some(hit)
    }

    /// What only the run as a whole shows.
    fn catalogue(&self, statement: &Statement) -> Vec<Hit> {
        let made = |o: &&Object| o.touch == Touch::Creates && o.kind == ObjectKind::Relation;
        let mut hits = Vec::new();
        if statement.verb == "CREATE TABLE" && !statement.temporary {
            for object in statement.objects.iter().filter(made) {
                let schema = object.name.schema.as_deref().unwrap_or("public");
                let exposed = self.context.exposed.contains(schema);
                let unknown = self.context.exposed.is_empty() && schema == "public";
                if (exposed || unknown) && !among(&self.secured, &object.name) {
                    let message = format!(
                        "{} has no row security; where the schema {schema} is shown by an API, everybody reads it",
                        object.name
                    );
                    let level = if exposed { Level::Block } else { Level::Info };
                    hits.push(
                        Hit::new(Rule::Lb405, statement.span.clone(), &message)
                            .about(&object.name)
                            .level(level),
                    );
                }
            }
        }
        let concurrently = matches!(statement.class, Class::Lone(Lone::CreateIndexConcurrently));
        let table = statement
            .objects
            .iter()
            .find(|o| o.kind == ObjectKind::Relation && o.touch == Touch::Alters);
        if let Some(table) = table.filter(|_| concurrently) {
            let known = self
                .context
                .table(&table.name)
                .is_some_and(|t| t.partitioned);
            if known || among(&self.partitioned, &table.name) {
                let message = format!(
                    "{} is partitioned: PostgreSQL refuses CONCURRENTLY there (0A000)",
                    table.name
                );
                let hit =
                    Hit::new(Rule::Lb101, statement.span.clone(), &message).about(&table.name);
                hits.extend(partitioned(hit, Level::Block).map(Hit::refused));
            }
        }
        hits
    }
}

/// M25: the parent's index ON ONLY, one for each partition CONCURRENTLY, then ATTACH.
fn partitioned(mut hit: Hit, level: Level) -> Option<Hit> {
    // ON ONLY was told to be a warning: on a partitioned parent it is the safe way.
    if level == Level::Warn {
        return None;
    }
    hit.fix = Some("CREATE INDEX … ON ONLY the parent; CREATE INDEX CONCURRENTLY on each partition; ALTER INDEX … ATTACH PARTITION for each".to_owned());
    Some(hit)
}

/// Whether the object of a drop is made again in the same segment: nobody sees it missing.
fn made_again(file: &File, statement: Option<&Statement>, hit: &Hit) -> bool {
    let Some(statement) = statement else {
        return false;
    };
    let segment = file
        .segments
        .iter()
        .find(|s| s.statements.contains(&statement.index));
    let rest = segment
        .map(|s| statement.index + 1..s.statements.end)
        .unwrap_or_default();
    let rest = file.statements.get(rest).unwrap_or_default();
    let gone: Vec<_> = statement
        .objects
        .iter()
        .filter(|o| o.touch == Touch::Drops)
        .collect();
    // Not for types and sequences: what depends on them holds rows.
    let kinds = [ObjectKind::Routine, ObjectKind::View, ObjectKind::OfTable];
    gone.iter().any(|g| {
        let named = hit.object.as_ref().is_some_and(|o| *o == loss::plain(g));
        let mut made = rest
            .iter()
            .flat_map(|s| &s.objects)
            .filter(|o| o.touch == Touch::Creates);
        named && kinds.contains(&g.kind) && made.any(|o| o.kind == g.kind && o.name.may_be(&g.name))
    })
}
