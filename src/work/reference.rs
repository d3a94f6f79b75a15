//! The reference restore (G23): the recorded definitions alone, restored beside the drilled database, without rows and
//! without event triggers. What they print there is what the server makes of them.

use std::path::Path;

use super::archive::{Archive, Fetched};
use super::failure::Failure;
use super::restored::{Fleeting, NAME, Scratch};
use super::verify::{Subject, definitions};
use crate::api::Reason;
use crate::manifest::SchemaEntry;
use crate::postgres::pg_restore::{RestoreOrder, Section, restore};
use crate::postgres::scratch::create_beside;
use crate::postgres::toc::Entry;
use crate::postgres::{LockPatience, Observer, PgError};

/// Name of its database.
const REFERENCE: &str = "lifeboat_reference";
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
    /// # Errors
    /// [`Failure`], where it could not be tried.
    pub(super) async fn reference(
        &self,
        scratch: &Path,
        archive: &Archive,
        (fetched, left): (&Fetched, &std::collections::BTreeSet<String>),
        observer: &dyn Observer,
    ) -> Result<Vec<SchemaEntry>, Failure> {
        let source = &archive.manifest.server.database;
        let name = match source == REFERENCE {
            true => "lifeboat_reference_2",
            false => REFERENCE,
        };
        let made = fetched.toc.entries.iter().find(|e| e.desc == "DATABASE");
        let sql = made.and_then(Entry::sql).unwrap_or_default();
        create_beside(&self.socket, &self.superuser, (source, &sql), name).await?;
        let target = self.target(name);
        let list = fetched.dump.with_file_name("reference.list");
        let left_out = self.left_out(archive, fetched, left);
        let wanted = fetched
            .toc
            .entries
            .iter()
            .filter(|e| !ROWS.contains(&e.desc.as_str()) && !left_out.contains(&e.dump_id));
        let text: String = wanted.map(|e| format!("{};\n", e.dump_id)).collect();
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
