//! The sections of a dump, each loaded in parts: what must not run beside something else runs by itself.
//!
//! Tables that extensions own have their foreign keys and triggers from CREATE EXTENSION on, so they are loaded first, one by
//! one, as pg_dump has ordered them; all others get theirs after their rows, and are loaded beside each other. Two indexes
//! that each take a second lock of their table would wait for each other: all but one of them are made before the rest. Indexes
//! of partitions that have partitions are attached one by one, and foreign keys come after them. Triggers of partitions that are
//! only switched otherwise than their parents' come last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::connect::Connection;
use super::error::PgError;
use super::judge::{Judged, judge};
use super::load::{LoadOrder, Loaded, Roles};
use super::load_order::{depth_of, depths, turns, watched};
use super::load_wrappers::{give_back, in_the_way, note, silence, unreachable};
use super::names::quote_ident;
use super::pg_restore::{RestoreOrder, Section, restore};
use super::restore_words::{MAX_ERRORS, Said};
use super::toc::{Entry, SEQUENCE_SET};
use crate::api::Reason;
use crate::manifest::Name;

/// Most of the scratch server's log that is read for SQLSTATEs, in bytes.
const MAX_LOG: u64 = 16 * 1024 * 1024;
/// What sessions beside each other may do to each other; and what nobody knows: no log is ours to read.
const AMONG_SESSIONS: [&str; 4] = ["40P01", "40001", "55P03", ""];

/// What loads the parts.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    order: &'a LoadOrder<'a>,
    /// A file of ours for the numbers of the entries that are wanted.
    list: &'a Path,
    /// Our sessions are a superuser's.
    superuser: bool,
    /// Startup options for settings of its role.
    own: String,
    /// Relations that extensions own and fill (G4).
    of_extensions: BTreeSet<(&'a Name, &'a Name)>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(
        order: &'a LoadOrder<'a>,
        list: &'a Path,
        superuser: bool,
        own: String,
    ) -> Self {
        Self {
            order,
            list,
            superuser,
            own,
            of_extensions: order.contents.of_extensions(),
        }
    }

    /// Definitions of what holds data: they hang on each other.
    pub(super) async fn pre_data(
        &self,
        session: &Connection,
        loaded: &mut Loaded,
    ) -> Result<(), PgError> {
        let all = self.wanted(|_| true);
        let errors = self.one_by_one(Section::PreData, &all).await?;
        let errors = self.unasked(session, errors, loaded).await?;
        let entries = &self.order.toc.entries;
        loaded.errors.extend(in_the_way(entries, errors));
        Ok(())
    }

    /// In a scratch server foreign servers whose wrapper could not connect are made without asking it, and all that failed with
    /// them is made once more.
    async fn unasked(
        &self,
        session: &Connection,
        mut errors: Vec<Judged>,
        loaded: &mut Loaded,
    ) -> Result<Vec<Judged>, PgError> {
        let servers = unreachable(&self.order.toc.entries, &errors);
        let ours = self.superuser && self.order.roles == Roles::Scratch;
        if !ours || servers.is_empty() || errors.len() >= MAX_ERRORS {
            return Ok(errors);
        }
        let failed = self.wanted(|e| errors.iter().any(|said| said.dump_id == Some(e.dump_id)));
        let silenced = silence(session, &servers).await?;
        let again = self.one_by_one(Section::PreData, &failed).await?;
        give_back(session, &silenced).await?;
        let refused = unreachable(&self.order.toc.entries, &again);
        let made = servers.iter().filter(|server| !refused.contains(server));
        loaded.notes.extend(made.map(|server| note(server)));
        errors.retain(|e| !e.of_server);
        errors.extend(again);
        Ok(errors)
    }

    /// Data.
    pub(super) async fn data(
        &self,
        session: &Connection,
        loaded: &mut Loaded,
    ) -> Result<(), PgError> {
        let first = self.wanted(|e| self.is_of_extension(e));
        let rest = self.wanted(|e| !self.is_of_extension(e));
        let before = self.counted(session, &first).await;
        let errors = self.one_by_one(Section::Data, &first).await?;
        loaded.errors.extend(errors);
        let after = self.counted(session, &first).await;
        loaded
            .came
            .extend(after.into_iter().filter_map(|(name, is)| {
                let came = is - before.get(&name)?;
                Some((name, came))
            }));
        let wanted: BTreeSet<i64> = rest.into_iter().collect();
        let entries = self.order.toc.entries.iter();
        let entries: Vec<&Entry> = entries.filter(|e| wanted.contains(&e.dump_id)).collect();
        for turn in turns(&entries, &watched(session).await?) {
            if turn.beside {
                self.beside(Section::Data, &turn.ids, loaded).await?;
            } else {
                let errors = self.one_by_one(Section::Data, &turn.ids).await?;
                loaded.errors.extend(errors);
            }
        }
        Ok(())
    }

    /// Rows of the tables whose data these entries are. Where that cannot be told, it is not.
    async fn counted(&self, session: &Connection, ids: &[i64]) -> BTreeMap<(Name, Name), i64> {
        let mut counted = BTreeMap::new();
        let entries = self.order.toc.entries.iter();
        // Rows that go in through another table may land in any of its partitions.
        let tables = entries.filter(|e| {
            ids.contains(&e.dump_id) && e.desc == "TABLE DATA" && e.loaded_through.is_none()
        });
        for entry in tables {
            let (Name::Text(schema), Name::Text(name)) = (&entry.namespace, &entry.tag) else {
                continue;
            };
            let (schema, table) = (quote_ident(schema), quote_ident(name));
            let sql = format!("SELECT pg_catalog.count(*) FROM ONLY {schema}.{table}");
            let row = session.client.query_one(&sql, &[]).await;
            if let Ok(Ok(rows)) = row.map(|row| row.try_get(0)) {
                counted.insert((entry.namespace.clone(), entry.tag.clone()), rows);
            }
        }
        counted
    }

    /// Indexes, constraints, triggers, refreshes.
    pub(super) async fn post_data(
        &self,
        session: &Connection,
        loaded: &mut Loaded,
    ) -> Result<(), PgError> {
        let first = marking(&self.order.toc.entries);
        let nested = nested(&self.order.toc.entries);
        let mut last = self.wanted(switches_a_trigger);
        let alone = self.wanted(|e| first.contains(&e.dump_id));
        let errors = self.one_by_one(Section::PostData, &alone).await?;
        // One that could not be made before the others may hang on one of them.
        let again: BTreeSet<i64> = errors.iter().filter_map(|e| e.dump_id).collect();
        let rest = self.wanted(|e| {
            let first = first.contains(&e.dump_id) && !again.contains(&e.dump_id);
            // A foreign key may want an index that is valid only when all its parts are.
            let after = !nested.is_empty() && (nested.contains(&e.dump_id) || is_foreign_key(e));
            !first && !after && !switches_a_trigger(e)
        });
        self.beside(Section::PostData, &rest, loaded).await?;
        if !nested.is_empty() {
            let attached = self.wanted(|e| nested.contains(&e.dump_id));
            let errors = self.one_by_one(Section::PostData, &attached).await?;
            loaded.errors.extend(errors);
            let keys = self.wanted(is_foreign_key);
            self.beside(Section::PostData, &keys, loaded).await?;
        }
        if last.is_empty() {
            return Ok(());
        }
        // A parent's reaches down to its partitions.
        let depths = depths(session).await?;
        let depth: BTreeMap<i64, i32> = (self.order.toc.entries.iter())
            .map(|e| (e.dump_id, depth_of(e, &depths)))
            .collect();
        last.sort_by_key(|id| depth.get(id).copied());
        let errors = self.one_by_one(Section::PostData, &last).await?;
        loaded.errors.extend(errors);
        Ok(())
    }

    /// Numbers of the entries that are loaded, in their order.
    fn wanted(&self, of: impl Fn(&Entry) -> bool) -> Vec<i64> {
        let entries = self.order.toc.entries.iter();
        entries
            .filter(|e| !self.order.left_out.contains(&e.dump_id) && of(e))
            .map(|e| e.dump_id)
            .collect()
    }

    /// Data of a relation that an extension makes.
    pub(super) fn is_of_extension(&self, entry: &Entry) -> bool {
        matches!(entry.desc.as_str(), "TABLE DATA" | SEQUENCE_SET)
            && self.of_extensions.contains(&(&entry.namespace, &entry.tag))
    }

    async fn one_by_one(&self, section: Section, ids: &[i64]) -> Result<Vec<Judged>, PgError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (said, log) = self.run(section, ids, 1).await?;
        Ok(judge(said.errors, &log, self.order.collation_differs))
    }

    /// In several sessions. What these may have done to each other is tried again by itself, once, with everything else that
    /// failed, because that may hang on it.
    async fn beside(
        &self,
        section: Section,
        ids: &[i64],
        loaded: &mut Loaded,
    ) -> Result<(), PgError> {
        if ids.is_empty() {
            return Ok(());
        }
        let (said, log) = self.run(section, ids, self.order.jobs).await?;
        let mut judged = judge(said.errors, &log, self.order.collation_differs);
        // An index may write rows that the others write too, in an extension's own tables (timescaledb): whatever failed beside
        // others and succeeds by itself was our doing. Rows that a CHECK refuses are not asked twice.
        let ours = section == Section::PostData
            || judged
                .iter()
                .any(|e| AMONG_SESSIONS.contains(&e.error.sqlstate.as_str()));
        let failed: Vec<i64> = ids
            .iter()
            .copied()
            .filter(|id| said.entries.contains(id))
            .collect();
        if self.order.jobs > 1 && ours && (1..=MAX_ERRORS).contains(&failed.len()) {
            // A statement that failed left nothing, and each entry is one statement.
            let errors = self.one_by_one(section, &failed).await?;
            judged.retain(|e| !e.of_server);
            judged.extend(errors);
        }
        loaded.errors.extend(judged);
        Ok(())
    }

    async fn run(
        &self,
        section: Section,
        ids: &[i64],
        jobs: usize,
    ) -> Result<(Said, String), PgError> {
        let order = self.order;
        // pg_restore reads the number before the first semicolon of each line.
        let text: String = ids.iter().map(|id| format!("{id};\n")).collect();
        std::fs::write(self.list, text).map_err(|e| {
            PgError::later(
                Reason::InternalError,
                format!("failed to write the list of entries: {e}"),
            )
        })?;
        let before = log_length(order.log);
        let said = restore(&RestoreOrder {
            target: order.target,
            program: &order.program,
            major: order.major,
            dump: order.dump,
            toc: order.toc,
            list: self.list,
            section,
            jobs,
            scratch: order.scratch,
            application_name: order.application_name,
            superuser: self.superuser,
            own: &self.own,
            logged: order.log.is_some(),
        })
        .await?;
        let log = match said.errors.is_empty() {
            true => String::new(),
            false => read_log(order.log, before),
        };
        Ok((said, log))
    }
}

/// A trigger of a partition that is made with its parent's, and only switched otherwise. pg_dump sorts it by the partition's
/// name, which may be before the trigger itself.
fn switches_a_trigger(entry: &Entry) -> bool {
    entry.desc == "TRIGGER" && !entry.definition.display().contains("CREATE ")
}

fn is_foreign_key(entry: &Entry) -> bool {
    entry.desc == "FK CONSTRAINT"
}

/// Attachments of an index to one that is attached to another itself. The server looks whether that makes the one at the top
/// valid, and lets go of its lock before it commits: of two at once neither sees the other, and the top stays invalid for ever.
fn nested(entries: &[Entry]) -> BTreeSet<i64> {
    let mut pairs = Vec::new();
    let mut children = BTreeSet::new();
    for entry in entries.iter().filter(|e| e.desc == "INDEX ATTACH") {
        let sql = entry.definition.display();
        // `ALTER INDEX s.parent ATTACH PARTITION s.child;`
        let sql = sql.trim_end().trim_end_matches(';');
        let parent = sql.strip_prefix("ALTER INDEX ").unwrap_or(sql);
        if let Some((parent, child)) = parent.split_once(" ATTACH PARTITION ") {
            children.insert(child.to_owned());
            pairs.push((entry.dump_id, parent.to_owned()));
        }
    }
    let inner = pairs.into_iter().filter(|(_, of)| children.contains(of));
    inner.map(|(id, _)| id).collect()
}

/// Of the indexes that mark their table all but the last of each table. A table is clustered by one index and identified by
/// one, so that two that are made at once each hold what the other waits for.
fn marking(entries: &[Entry]) -> BTreeSet<i64> {
    let mut of_table: BTreeMap<&str, i64> = BTreeMap::new();
    let mut first = BTreeSet::new();
    for entry in entries {
        if let Some(table) = entry.marks.as_deref() {
            first.extend(of_table.insert(table, entry.dump_id));
        }
    }
    first
}

fn log_length(log: Option<&Path>) -> u64 {
    let meta = log.and_then(|path| std::fs::metadata(path).ok());
    meta.map_or(0, |m| m.len())
}

fn read_log(log: Option<&Path>, from: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    if let Some(mut file) = log.and_then(|path| std::fs::File::open(path).ok())
        && file.seek(SeekFrom::Start(from)).is_ok()
    {
        // Without the log errors have no SQLSTATE, and are judged as unknown ones.
        let _ = file.take(MAX_LOG).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(dump_id: i64, desc: &str, definition: &str, marks: Option<&str>) -> Entry {
        Entry {
            dump_id,
            has_data: false,
            desc: desc.to_owned(),
            namespace: Name::Text("public".to_owned()),
            tag: Name::Text(format!("i{dump_id}")),
            owner: Name::Text("o".to_owned()),
            definition: Name::Text(definition.to_owned()),
            marks: marks.map(str::to_owned),
            ..Entry::default()
        }
    }

    #[test]
    fn attachments_that_reach_up_are_told_from_those_to_the_top() {
        let attach = |id, parent: &str, child: &str| {
            let sql = format!("ALTER INDEX {parent} ATTACH PARTITION {child};\n");
            entry(id, "INDEX ATTACH", &sql, None)
        };
        let entries = [
            attach(1, "s.top", "s.mid"),
            attach(2, "s.mid", "s.\"a b\""),
            attach(3, "s.top", "s.leaf"),
            attach(4, "s.\"a b\"", "s.c"),
            entry(5, "INDEX", "CREATE INDEX mid ON s.t (a);\n", None),
        ];
        assert_eq!(nested(&entries), BTreeSet::from([2, 4]));
        assert_eq!(nested(&entries[2..3]), BTreeSet::new());
    }

    #[test]
    fn of_indexes_that_mark_one_table_all_but_the_last_come_first() {
        let entry = |dump_id, table| entry(dump_id, "INDEX", "", table);
        let entries = [
            entry(1, Some("a")),
            entry(2, None),
            entry(3, Some("b")),
            entry(4, Some("a")),
        ];
        assert_eq!(marking(&entries), BTreeSet::from([1]));
    }
}
