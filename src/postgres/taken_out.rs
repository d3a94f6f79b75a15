//! What a user has taken out of an extension (`ALTER EXTENSION … DROP`): `CREATE EXTENSION` makes it again, as a part of the extension,
//! so that what the dump has of it finds its name taken (G4).

use std::collections::BTreeMap;

use super::connect::Connection;
use super::error::PgError;
use super::judge::Judged;
use super::names::statement_bytes;
use super::toc::Entry;
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::manifest::Name;

/// SQLSTATEs of a name that is taken, but for those of relations: a table of an extension has rows of its own. Dictionaries have no check
/// of their own.
const TAKEN: [&str; 3] = ["23505", "42710", "42723"];

/// A name as both sides write it: `public.citext_eq(public.citext, public.citext)`.
fn plain(name: &str) -> String {
    let bare = name.replace("pg_catalog.", "");
    bare.chars().filter(|c| !matches!(c, '"' | ' ')).collect()
}

/// An object: its kind as a dump writes it, its schema, its name, its definition.
pub(super) type Object = (String, Name, Name, Name);

/// Judges anew what failed because an extension has made it, and answers which objects these are.
///
/// # Errors
/// Those of the query.
pub(super) async fn taken_out(
    session: &Connection,
    entries: &[Entry],
    errors: &mut [Judged],
) -> Result<Vec<Object>, PgError> {
    // In a server that is not ours no log is read, and only the words are known.
    let taken = |error: &&mut Judged| match error.error.sqlstate.as_str() {
        "" => error.error.message.contains("already exists"),
        state => TAKEN.contains(&state),
    };
    if !errors.iter_mut().any(|error| taken(&error)) {
        return Ok(Vec::new());
    }
    let failed = |e: tokio_postgres::Error| PgError::query("list the objects of extensions", &e);
    let sql = format!(
        "SELECT e.extname::text, i.type, {} FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
           CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) AS i \
         WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' AND i.identity IS NOT NULL",
        statement_bytes("i.identity")
    );
    let mut made: BTreeMap<(String, String), String> = BTreeMap::new();
    for row in session.client.query(&sql, &[]).await.map_err(failed)? {
        let kind: String = row.try_get(1).map_err(failed)?;
        let name: Vec<u8> = row.try_get(2).map_err(failed)?;
        let name = String::from_utf8_lossy(&name).into_owned();
        made.insert((kind, plain(&name)), row.try_get(0).map_err(failed)?);
    }
    let mut found = Vec::new();
    for error in errors.iter_mut().filter(taken) {
        let entry = entries.iter().find(|e| Some(e.dump_id) == error.dump_id);
        let Some(entry) = entry else { continue };
        // Rows that are there twice are no name.
        if error.error.sqlstate == "23505" && !entry.desc.starts_with("TEXT SEARCH ") {
            continue;
        }
        let tag = entry.tag.display();
        let name = match entry.namespace.display() {
            schema if schema.is_empty() => tag.trim_start_matches("CAST ").to_owned(),
            schema => format!("{schema}.{tag}"),
        };
        let kind = match entry.desc.as_str() {
            "DOMAIN" | "SHELL TYPE" => "type".to_owned(),
            "FOREIGN DATA WRAPPER" => "foreign-data wrapper".to_owned(),
            desc => desc.to_ascii_lowercase(),
        };
        let key = (kind, plain(&name));
        // A dump's tag says of operators not what they are of, and of their classes not for which method.
        let short = ["operator", "operator class", "operator family"].contains(&key.0.as_str());
        let begins = |made: &str| {
            let rest = made.strip_prefix(&key.1);
            rest.is_some_and(|rest| rest.starts_with('(') || rest.starts_with("USING"))
        };
        let mut same = made
            .iter()
            .filter(|((kind, made), _)| short && *kind == key.0 && begins(made));
        if let Some(extension) = made.get(&key).or_else(|| same.next().map(|(_, e)| e)) {
            error.reason = Reason::Partial;
            error.error.judged = Verdict::Passed;
            error.error.message.push_str(&format!(
                "; it was taken out of the extension {extension}, which makes it again as its own"
            ));
            found.push((
                entry.desc.clone(),
                entry.namespace.clone(),
                entry.tag.clone(),
                entry.definition.clone(),
            ));
        }
    }
    Ok(found)
}
