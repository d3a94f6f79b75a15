//! How far pg_dump is: the rows it has read, of all that the census counted.
//!
//! pg_dump compresses what it writes, so its output does not tell. It copies table by table in the
//! order of its table of contents, and the server shows the rows of the COPY under way.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::coordinator::Coordinator;
use super::error::PgError;
use super::step::Observer;
use super::toc::Toc;
use crate::manifest::{Contents, Name};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// From this major on a server shows the progress of a COPY.
const SHOWN_SINCE: i32 = 14;

/// What is known of a dump under way; each part is set once.
#[derive(Debug, Default)]
pub struct Underway {
    /// The table of contents, as soon as it has gone by.
    pub toc: OnceLock<Toc>,
    /// The census, as soon as everything is counted; hashed or not.
    pub contents: OnceLock<Contents>,
    /// pg_dump has locked every table.
    pub locked: Event,
    /// pg_dump's output is at its end.
    pub ended: Event,
}

/// Something that happens once.
#[derive(Debug, Default)]
pub struct Event(CancellationToken);

impl Event {
    /// It has happened.
    pub fn set(&self) {
        self.0.cancel();
    }

    /// Until it has.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}

/// Tells the observer of rows, from when contents and census are known. Returns only when the
/// coordinator is lost: nothing that is read from then on counts (G2).
pub async fn watch(
    coordinator: &Coordinator,
    underway: &Underway,
    observer: &dyn Observer,
) -> PgError {
    let mut plan = None;
    loop {
        tokio::time::sleep(EVERY).await;
        if coordinator.client().is_closed()
            && let Err(lost) = coordinator.prove().await
        {
            return lost;
        }
        if coordinator.major() < SHOWN_SINCE {
            continue;
        }
        let (Some(toc), Some(contents)) = (underway.toc.get(), underway.contents.get()) else {
            continue;
        };
        let plan = plan.get_or_insert_with(|| Plan::new(toc, contents));
        // That nothing is shown is no reason to fail.
        if let Ok(Some((schema, name, rows))) = look(coordinator).await
            && let Some(done) = plan.done(schema, name, rows)
        {
            observer.rows(done, plan.total);
        }
    }
}

/// The table that is copied, and the rows of it that were read.
async fn look(
    coordinator: &Coordinator,
) -> Result<Option<(Name, Name, u64)>, tokio_postgres::Error> {
    let client = coordinator.monitor();
    let sql = "SELECT pg_catalog.convert_to(n.nspname::text, pg_catalog.getdatabaseencoding()), \
                      pg_catalog.convert_to(c.relname::text, pg_catalog.getdatabaseencoding()), p.tuples_processed \
               FROM pg_catalog.pg_stat_progress_copy p JOIN pg_catalog.pg_stat_activity a ON a.pid = p.pid \
               JOIN pg_catalog.pg_class c ON c.oid = p.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE p.command = 'COPY TO' AND p.datid = a.datid AND a.datname = pg_catalog.current_database() \
                 AND a.application_name = pg_catalog.current_setting('application_name') AND p.pid <> $1 LIMIT 1";
    let Some(row) = client.query_opt(sql, &[&coordinator.backend_pid()]).await? else {
        return Ok(None);
    };
    let (schema, name): (Vec<u8>, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
    let rows: i64 = row.try_get(2)?;
    let rows = u64::try_from(rows).unwrap_or_default();
    Ok(Some((
        Name::from_bytes(&schema),
        Name::from_bytes(&name),
        rows,
    )))
}

/// Rows that are read before each table is.
struct Plan {
    before: HashMap<(Name, Name), u64>,
    total: u64,
}

impl Plan {
    fn new(toc: &Toc, contents: &Contents) -> Self {
        let rows: HashMap<(&Name, &Name), u64> = contents
            .relations
            .iter()
            .filter_map(|r| {
                Some((
                    (&r.schema, &r.name),
                    u64::try_from(r.rows?).unwrap_or_default(),
                ))
            })
            .collect();
        let (mut before, mut total) = (HashMap::new(), 0);
        for entry in toc.entries.iter().filter(|e| e.desc == "TABLE DATA") {
            before.insert((entry.namespace.clone(), entry.tag.clone()), total);
            total += rows
                .get(&(&entry.namespace, &entry.tag))
                .copied()
                .unwrap_or_default();
        }
        Self { before, total }
    }

    fn done(&self, schema: Name, name: Name, rows: u64) -> Option<u64> {
        let before = self.before.get(&(schema, name))?;
        Some((before + rows).min(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Relation;
    use crate::postgres::toc::Entry;

    fn name(text: &str) -> Name {
        Name::Text(text.to_owned())
    }

    #[test]
    fn rows_of_the_tables_before_count_as_read() {
        let entry = |tag: &str| Entry {
            dump_id: 1,
            has_data: true,
            desc: "TABLE DATA".to_owned(),
            namespace: name("public"),
            tag: name(tag),
            owner: name("o"),
            definition: Name::Text(String::new()),
            ..Entry::default()
        };
        let relation = |tag: &str, rows| Relation {
            schema: name("public"),
            name: name(tag),
            kind: 'r',
            rows: Some(rows),
            columns: None,
            bytes: None,
            hash: None,
            loaded_through: None,
            extension: None,
            lines: None,
            generated: None,
            types_of: Vec::new(),
        };
        let toc = Toc {
            format: (1, 16),
            server_version: String::new(),
            dump_version: String::new(),
            database: name("d"),
            entries: vec![entry("b"), entry("a")],
        };
        let contents = Contents {
            relations: vec![relation("a", 10), relation("b", 5)],
            ..Contents::default()
        };
        let plan = Plan::new(&toc, &contents);
        assert_eq!(plan.total, 15);
        assert_eq!(plan.done(name("public"), name("a"), 3), Some(8));
        assert_eq!(plan.done(name("public"), name("b"), 3), Some(3));
        assert_eq!(plan.done(name("public"), name("gone"), 3), None);
    }
}
