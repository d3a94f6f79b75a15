//! What of a user's own no dump holds, besides rows (G3): objects in the system's schemas, changes to the system's own, triggers
//! of constraints that are switched off, indexes that are not valid, tablespaces.

use tokio_postgres::{Client, Row};

use super::error::PgError;
use crate::manifest::{Contents, LeftOut, Name};

/// Most of which the log tells.
const TOLD: usize = 20;
/// Most that are named one by one.
const MOST: usize = 1_000;

/// Why a dump does not hold what lies in a schema of the system.
pub(super) const OF_SYSTEM: &str = "pg_dump dumps nothing of the system's own schemas";

/// Why a dump does not hold it.
fn reason(why: &str, relations: i64) -> String {
    match why {
        "system" => OF_SYSTEM.to_owned(),
        "family" => "pg_dump dumps no operator or function that was added to a family of the system".to_owned(),
        "switchedOff" => {
            "its triggers are switched off (ALTER TABLE … DISABLE TRIGGER ALL): a dump does not say so, and a restore has them on".to_owned()
        }
        "notValid" => {
            "the index is not valid, as one is that CREATE INDEX CONCURRENTLY could not finish: pg_dump leaves it out".to_owned()
        }
        "changed" => {
            "it is the system's own and was changed, be it the definition, the owner or the privileges: pg_dump dumps nothing of it, and a restore has it as a new server has it".to_owned()
        }
        "commented" => {
            "its comment: it is the system's own, and pg_dump dumps nothing of it; a restore has it as a new server has it, unless the script of an extension writes it again".to_owned()
        }
        "comment" => {
            "its comment: pg_dump dumps none of what comes with something else, such as the rule of a view, a constraint that is inherited, the type of a table's rows, the constraint of a constraint trigger".to_owned()
        }
        "withType" => {
            "its privileges: it comes with a type or a table, and pg_dump dumps nothing of it".to_owned()
        }
        "keyNamed" => {
            "it has another name than the foreign key of the partitioned table: a dump does not say so, and a restore gives it that name".to_owned()
        }
        "identityType" => {
            "its type is not that of its identity column, and its bound is that type's: a dump does not say so, and a restore gives it type and bound of the column".to_owned()
        }
        "identityLost" => {
            "the index that is its REPLICA IDENTITY was dropped, so it has none: a dump does not say so, and a restore gives it the default, its primary key; ALTER TABLE … REPLICA IDENTITY NOTHING says it".to_owned()
        }
        "depends" => {
            "it DEPENDS ON an EXTENSION: pg_dump says nothing of it for a partition's copy of a trigger, and DROP EXTENSION will be refused".to_owned()
        }
        "rowType" => {
            "a restore puts the columns that the table inherits before its own, and its row type or a whole row of it is used (in columns, functions, views, policies, triggers or checks): values there would get another meaning; \
             make the table anew in that order, and copy its rows, or use a composite type instead".to_owned()
        }
        "columnOrder" => {
            "a restore puts the columns that the table inherits before its own: SELECT *, INSERT without a list of columns, and bodies of functions that make a row of it would see another order".to_owned()
        }
        "detached" => {
            "DETACH PARTITION CONCURRENTLY was stopped halfway: a dump does not say so, and a restore has its rows in the partitioned table again; ALTER TABLE … DETACH PARTITION … FINALIZE ends it".to_owned()
        }
        "named" => {
            "it has another name than the trigger of the partitioned table: a dump does not say so, and a restore gives it that name".to_owned()
        }
        "nullable" => {
            "it may be null and its parent's may not: a dump does not say so, and a restore has it NOT NULL".to_owned()
        }
        "renamed" => {
            "it is the schema public under another name: a dump takes the privileges for granted that public came with, and a restore makes a schema without them".to_owned()
        }
        "validated" => {
            "it is validated and the constraint that it inherits is not: a dump does not say so, and a restore has it not validated".to_owned()
        }
        "ofAll" => {
            "ALTER ROLE ALL has set it for everybody on the server, in no database: neither pg_dump nor pg_dumpall dumps that; set it on the new server too, or with ALTER DATABASE".to_owned()
        }
        "dropped" => "it was dropped, and a dump does not say so: a restore has it".to_owned(),
        _ => format!(
            "a restore puts the {relations} tables and indexes that lie in it, and what follows the database, into the server's default"
        ),
    }
}

/// Warns of what a backup left out, in the log.
pub fn tell(contents: &Contents) {
    for left in contents.left_out.iter().take(TOLD) {
        tracing::warn!("not in the backup: {}: {}", left.display(), left.why);
    }
}

/// What there is of it; named `<kind> <name>`, with no schema of its own: these are no tables of the census.
///
/// # Errors
/// Those of a query.
pub(super) async fn left_out(client: &Client) -> Result<Vec<LeftOut>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("look for what no dump holds", &e);
    let most = i64::try_from(MOST + 1).unwrap_or(i64::MAX);
    let rows = client.query(include_str!("left_out.sql"), &[&most]).await;
    let rows = rows.map_err(failed)?;
    let read = |row: &Row| {
        let (kind, name): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        let (why, relations): (String, i64) = (row.try_get(2)?, row.try_get(3)?);
        let fingerprint = row.try_get(4)?;
        let whole = [kind.as_bytes(), b" ", name.as_slice()].concat();
        Ok(LeftOut {
            fingerprint,
            schema: Name::Text(String::new()),
            name: Name::from_bytes(&whole),
            why: reason(&why, relations),
            rows: 0,
        })
    };
    let found: Result<Vec<_>, _> = rows.iter().map(|row| read(row).map_err(failed)).collect();
    let mut found = found?;
    if found.len() > MOST {
        found.truncate(MOST);
        found.push(LeftOut {
            fingerprint: None,
            schema: Name::Text(String::new()),
            name: Name::Text("more".to_owned()),
            why: format!("more than {MOST} objects of these kinds are in no dump"),
            rows: 0,
        });
    }
    Ok(found)
}
