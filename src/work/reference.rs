//! The reference restore (G23): the recorded definitions alone, restored beside the drilled database, without rows and
//! without event triggers. What they print there is what the server makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::archive::{Archive, Fetched};
use super::failure::Failure;
use super::restored::{Fleeting, NAME, Scratch};
use super::verify::{Subject, definitions};
use crate::api::Reason;
use crate::manifest::{Contents, SchemaEntry};
use crate::postgres::compare::printed_alike;
use crate::postgres::pg_restore::{RestoreOrder, Section, restore};
use crate::postgres::scratch::create_beside;
use crate::postgres::toc::Entry;
use crate::postgres::{LockPatience, Observer, PgError};

/// Names of its database: the second where the first is that of the backup's own.
pub(super) const REFERENCES: [&str; 2] = ["lifeboat_reference", "lifeboat_reference_2"];
/// Entries that are rows, or that fill something with rows.
const ROWS: [&str; 5] = [
    "TABLE DATA",
    "SEQUENCE SET",
    "BLOBS",
    "MATERIALIZED VIEW DATA",
    "STATISTICS DATA",
];

impl Scratch {
    /// Restores the definitions of a dump by themselves, and answers what the server prints of them. What could not be
    /// restored is missing there.
    ///
    /// At first only those that are open, with what they hang on: mostly they come out as in the drilled database, and then
    /// the rest has nothing to say. Only all of them together are evidence that the drilled database differs, because names
    /// that the server chooses hang on what else is there.
    ///
    /// # Errors
    /// [`Failure`], where it could not be tried.
    pub(super) async fn reference(
        &self,
        scratch: &Path,
        from: (&Archive, &Fetched, &BTreeSet<String>),
        (open, found): (&[&SchemaEntry], &Contents),
        observer: &dyn Observer,
    ) -> Result<Vec<SchemaEntry>, Failure> {
        let (archive, fetched, left) = from;
        let left_out = self.left_out(archive, fetched, left);
        let definitions = fetched
            .toc
            .entries
            .iter()
            .filter(|e| !ROWS.contains(&e.desc.as_str()) && !left_out.contains(&e.dump_id));
        let all: BTreeSet<i64> = definitions.map(|e| e.dump_id).collect();
        let some: BTreeSet<i64> = closure(&fetched.toc.entries, open)
            .intersection(&all)
            .copied()
            .collect();
        let reference = self.restored_alone(scratch, from, &some, observer).await?;
        if some.len() == all.len() || printed_alike(open, &reference, &found.entries) {
            return Ok(reference);
        }
        self.restored_alone(scratch, from, &all, observer).await
    }

    /// These entries of the dump in a database of their own, as the server prints them.
    async fn restored_alone(
        &self,
        scratch: &Path,
        (archive, fetched, _): (&Archive, &Fetched, &BTreeSet<String>),
        wanted: &BTreeSet<i64>,
        observer: &dyn Observer,
    ) -> Result<Vec<SchemaEntry>, Failure> {
        let source = &archive.manifest.server.database;
        let [first, second] = REFERENCES;
        let name = if source == first { second } else { first };
        let made = fetched.toc.entries.iter().find(|e| e.desc == "DATABASE");
        let sql = made.map(|e| e.definition.display()).unwrap_or_default();
        create_beside(&self.socket, &self.superuser, (source, &sql), name).await?;
        let target = self.target(name);
        let list = fetched.dump.with_file_name("reference.list");
        // In the order of the dump.
        let entries = fetched.toc.entries.iter();
        let entries = entries.filter(|e| wanted.contains(&e.dump_id));
        let text: String = entries.map(|e| format!("{};\n", e.dump_id)).collect();
        std::fs::write(&list, text).map_err(|e| {
            let text = format!("failed to write the list of definitions: {e}");
            Failure::Postgres(PgError::later(Reason::InternalError, text))
        })?;
        let list = Fleeting(&list);
        let program = self.tool.client("pg_restore").await?;
        for section in [Section::PreData, Section::PostData] {
            // What is refused has no reference: its difference is no evidence then.
            let _refused = restore(&RestoreOrder {
                target: &target,
                program: &program,
                major: self.tool.major,
                dump: &fetched.dump,
                toc: &fetched.toc,
                list: list.0,
                section,
                jobs: 1,
                scratch,
                application_name: NAME,
                superuser: true,
                own: "",
                logged: false,
            })
            .await?;
        }
        let subject = Subject {
            target,
            scratch: scratch.to_owned(),
            postgres_folders: self.tool.folders.clone(),
            patience: LockPatience::default(),
            application_name: NAME.to_owned(),
        };
        let like = Some(&archive.contents);
        Ok(definitions(&subject, like, observer).await?.entries)
    }
}

/// Numbers of the entries that have these definitions, and of all that they hang on.
fn closure(entries: &[Entry], definitions: &[&SchemaEntry]) -> BTreeSet<i64> {
    let by_id: BTreeMap<i64, &Entry> = entries.iter().map(|e| (e.dump_id, e)).collect();
    let open: BTreeSet<_> = definitions
        .iter()
        .map(|d| (d.desc.as_str(), &d.namespace, &d.tag))
        .collect();
    let is_open = |e: &&Entry| open.contains(&(e.desc.as_str(), &e.namespace, &e.tag));
    let mut next: Vec<i64> = entries.iter().filter(is_open).map(|e| e.dump_id).collect();
    let mut all = BTreeSet::new();
    while let Some(id) = next.pop() {
        if let Some(entry) = by_id.get(&id)
            && all.insert(id)
        {
            next.extend(&entry.dependencies);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Name;

    /// What it hangs on, over what is no entry, and nothing else; and no circle is walked twice.
    #[test]
    fn g23_what_is_open_is_restored_with_what_it_hangs_on() {
        let name = |text: &str| Name::Text(text.to_owned());
        let entry = |dump_id, desc: &str, tag: &str, dependencies: &[i64]| Entry {
            dump_id,
            has_data: false,
            desc: desc.to_owned(),
            namespace: name("public"),
            tag: name(tag),
            owner: name("o"),
            definition: Name::default(),
            dependencies: dependencies.to_vec(),
            ..Entry::default()
        };
        let entries = [
            entry(1, "SCHEMA", "s", &[]),
            entry(2, "TABLE", "t", &[1, 99, 3]),
            entry(3, "FUNCTION", "f", &[2]),
            entry(4, "VIEW", "v", &[2]),
            entry(5, "TABLE", "v", &[]),
            entry(6, "VIEW", "w", &[4]),
        ];
        let open = SchemaEntry {
            desc: "VIEW".to_owned(),
            namespace: name("public"),
            tag: name("v"),
            ..SchemaEntry::default()
        };
        assert_eq!(closure(&entries, &[&open]), BTreeSet::from([1, 2, 3, 4]));
    }
}
