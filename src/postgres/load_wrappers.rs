//! Foreign servers whose wrapper connects when they are made: the validator of `ogr_fdw` opens the data source in CREATE SERVER.
//! A scratch server reaches no other server (P9), so there such a server is made without asking its wrapper.

use std::collections::BTreeSet;

use super::connect::Connection;
use super::error::PgError;
use super::judge::Judged;
use super::names::quote_ident;
use super::toc::Entry;
use crate::api::Reason;
use crate::api::restore_drill::Verdict;

/// A validator that is not asked for the moment.
#[derive(Debug)]
pub(super) struct Silenced {
    /// Name of the wrapper, quoted.
    wrapper: String,
    /// Name of its validator, with its schema.
    validator: String,
}

/// The servers among these errors that could not be made because their wrapper could not connect.
pub(super) fn unreachable<'a>(entries: &'a [Entry], errors: &[Judged]) -> Vec<&'a Entry> {
    // fdw_unable_to_establish_connection, and what a library for connections says of its own.
    let connects = |state: &str| state == "HV00N" || state.starts_with("08");
    let failed = errors.iter().filter(|e| connects(&e.error.sqlstate));
    let failed: BTreeSet<i64> = failed.filter_map(|e| e.dump_id).collect();
    let servers = entries.iter().filter(|e| e.desc == "SERVER");
    servers.filter(|e| failed.contains(&e.dump_id)).collect()
}

/// Where the wrapper must be asked, nobody can tell: what it asks for is in no backup.
pub(super) fn in_the_way(entries: &[Entry], mut errors: Vec<Judged>) -> Vec<Judged> {
    let servers = unreachable(entries, &errors);
    let ids: BTreeSet<i64> = servers.iter().map(|e| e.dump_id).collect();
    let of_them = |e: &&mut Judged| e.dump_id.is_some_and(|id| ids.contains(&id));
    for error in errors.iter_mut().filter(of_them) {
        error.reason = Reason::ExtensionInTheWay;
        error.error.judged = Verdict::Inconclusive;
        error.error.message.push_str(
            "; its wrapper connects when a server is made, and could not from here, so a restore with stock tools is refused here as \
             well: let this server reach the data source",
        );
    }
    errors
}

/// Takes the validators of these servers' wrappers away.
///
/// # Errors
/// Those of the statements.
pub(super) async fn silence(
    session: &Connection,
    servers: &[&Entry],
) -> Result<Vec<Silenced>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("look at foreign-data wrappers", &e);
    let sql = "SELECT w.fdwname::text, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) \
        FROM pg_catalog.pg_foreign_data_wrapper AS w JOIN pg_catalog.pg_proc AS p ON p.oid = w.fdwvalidator \
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace";
    let rows = session.client.query(sql, &[]).await.map_err(failed)?;
    let mut silenced = Vec::new();
    for row in &rows {
        let (name, validator): (String, String) = (
            row.try_get(0).map_err(failed)?,
            row.try_get(1).map_err(failed)?,
        );
        if servers.iter().any(|server| is_of(server, &name)) {
            let wrapper = quote_ident(&name);
            alter(session, &wrapper, "NO VALIDATOR").await?;
            silenced.push(Silenced { wrapper, validator });
        }
    }
    Ok(silenced)
}

/// Gives them back.
///
/// # Errors
/// Those of the statements.
pub(super) async fn give_back(session: &Connection, silenced: &[Silenced]) -> Result<(), PgError> {
    for Silenced { wrapper, validator } in silenced {
        alter(session, wrapper, &format!("VALIDATOR {validator}")).await?;
    }
    Ok(())
}

/// Event triggers have no say in it.
async fn alter(session: &Connection, wrapper: &str, what: &str) -> Result<(), PgError> {
    let sql = format!(
        "BEGIN; SET LOCAL session_replication_role = replica; ALTER FOREIGN DATA WRAPPER {wrapper} {what}; COMMIT"
    );
    let altered = session.client.batch_execute(&sql).await;
    altered.map_err(|e| PgError::query("alter a foreign-data wrapper", &e))
}

/// `CREATE SERVER towns FOREIGN DATA WRAPPER ogr_fdw OPTIONS (` is of `ogr_fdw`.
fn is_of(server: &Entry, wrapper: &str) -> bool {
    let definition = server.definition.display();
    [quote_ident(wrapper), wrapper.to_owned()]
        .iter()
        .any(|name| {
            let said = format!(" FOREIGN DATA WRAPPER {name}");
            let mut after = definition
                .match_indices(&said)
                .map(|(at, _)| at + said.len());
            after.any(|at| {
                let next = definition.get(at..).and_then(|rest| rest.chars().next());
                next.is_none_or(|c| c == ';' || c.is_whitespace())
            })
        })
}

/// What is to be known of a server that was made so.
pub(super) fn note(server: &Entry) -> String {
    format!(
        "foreign server {}: its wrapper connects when a server is made, and could not from here; it was made without asking the wrapper. A restore \
         by stock tools makes it, and what hangs on it, only where its data source can be reached",
        server.tag.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Name;
    use crate::manifest::RestoreError;

    fn entry(dump_id: i64, desc: &str, definition: &str) -> Entry {
        Entry {
            dump_id,
            has_data: false,
            desc: desc.to_owned(),
            namespace: Name::default(),
            tag: Name::Text("towns".to_owned()),
            owner: Name::Text("o".to_owned()),
            definition: Name::Text(definition.to_owned()),
            ..Entry::default()
        }
    }

    fn error(dump_id: i64, sqlstate: &str) -> Judged {
        Judged {
            error: RestoreError {
                sqlstate: sqlstate.to_owned(),
                entry: String::new(),
                message: "no".to_owned(),
                judged: Verdict::Failed,
            },
            reason: Reason::RestoreFailed,
            dump_id: Some(dump_id),
            of_server: true,
        }
    }

    #[test]
    fn the_wrapper_of_a_server_is_known_by_its_name() {
        let of = |wrapper: &str, said: &str| {
            let sql = format!("CREATE SERVER a TYPE 'x' FOREIGN DATA WRAPPER {said};\n");
            is_of(&entry(1, "SERVER", &sql), wrapper)
        };
        assert!(of("ogr_fdw", "ogr_fdw OPTIONS (\n    a 'b'\n)"));
        assert!(of("ogr_fdw", "ogr_fdw"));
        assert!(of("Odd \"one", "\"Odd \"\"one\""));
        assert!(!of("ogr", "ogr_fdw"));
    }

    #[test]
    fn only_a_server_that_could_not_connect_is_made_without_asking() {
        let entries = [entry(1, "SERVER", ""), entry(2, "FOREIGN TABLE", "")];
        let found = |id, state| unreachable(&entries, &[error(id, state)]).len();
        assert_eq!((found(1, "HV00N"), found(1, "08001")), (1, 1));
        // An option that the wrapper does not know is the definition's own fault.
        assert_eq!((found(1, "HV00D"), found(2, "HV00N")), (0, 0));
        let judged = in_the_way(&entries, vec![error(1, "HV00N"), error(2, "42704")]);
        let verdicts: Vec<_> = judged.iter().map(|e| e.error.judged).collect();
        assert_eq!(verdicts, [Verdict::Inconclusive, Verdict::Failed]);
    }
}
