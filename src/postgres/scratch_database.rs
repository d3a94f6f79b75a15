//! The database of a scratch server, and who may enter it.

use std::path::Path;

use super::connect::connect;
use super::error::PgError;
use super::names::{quote_ident, quote_literal};
use super::scratch::target;
use super::target::Target;
use crate::api::Reason;

/// Makes the database as the dump says, without tablespace; one of its name that initdb made goes first.
///
/// # Errors
/// `BackupDamaged` if the dump makes a database of another name; `LocaleMissing` naming locale and encoding, where
/// the image does not have them.
pub async fn create_database(
    socket: &Path,
    superuser: &str,
    name: &str,
    sql: &str,
) -> Result<(), PgError> {
    let Some(options) = options_of(name, sql) else {
        return Err(PgError::never(
            Reason::BackupDamaged,
            format!(
                "the manifest says that the database is {name}, and its dump says: {}",
                sql.trim()
            ),
        ));
    };
    make(socket, superuser, name, options).await
}

/// Makes an empty database beside another, with the same options.
///
/// # Errors
/// As [`create_database`].
pub async fn create_beside(
    socket: &Path,
    superuser: &str,
    (other, sql): (&str, &str),
    name: &str,
) -> Result<(), PgError> {
    let options = options_of(other, sql).unwrap_or_default();
    make(socket, superuser, name, options).await
}

/// What stands behind the name in a dump's CREATE DATABASE; `None` if that is of another name.
fn options_of<'s>(name: &str, sql: &'s str) -> Option<&'s str> {
    let made = sql.strip_prefix("CREATE DATABASE ")?;
    let behind = |name: &str| {
        made.strip_prefix(name)
            .filter(|after| after.starts_with(' '))
    };
    behind(name).or_else(|| behind(&quote_ident(name)))
}

async fn make(socket: &Path, superuser: &str, name: &str, options: &str) -> Result<(), PgError> {
    if ["template0", "template1"].contains(&name) {
        return Err(PgError::never(
            Reason::InvalidSpec,
            format!(
                "{name} is what every database of the scratch server is made from, so its backup is not restored there: \
                 keep what you need in a database of its own"
            ),
        ));
    }
    let session = connect(&target(socket, superuser, "template1"), "lifeboat/scratch").await?;
    // A library that is preloaded may have a session there already (pg_cron).
    let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote_ident(name));
    let create = format!(
        "CREATE DATABASE {}{}",
        quote_ident(name),
        without_tablespace(options)
    );
    for statement in [drop, create] {
        if let Err(error) = session.client.batch_execute(&statement).await {
            let code = error
                .code()
                .map(|c| c.code().to_owned())
                .unwrap_or_default();
            let failed = PgError::query("make the database", &error);
            let locale = matches!(code.as_str(), "42809" | "22023" | "42704" | "0A000")
                || failed.to_string().contains("locale");
            return Err(match locale {
                true => PgError::never(
                    Reason::LocaleMissing,
                    format!(
                        "{failed}: the scratch server's image lacks the locale of the database ({}); name one that has it in spec.postgres.image",
                        statement.trim()
                    ),
                ),
                false => failed,
            });
        }
    }
    Ok(())
}

/// `… TABLESPACE = fast` goes: the scratch server has none.
fn without_tablespace(sql: &str) -> String {
    let sql = sql.trim_end().trim_end_matches(';');
    match sql.split_once(" TABLESPACE = ") {
        Some((head, tail)) => {
            let rest = tail.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{head} {rest}")
        }
        None => sql.to_owned(),
    }
}

/// Gives a role a password and lets it log in (G17).
///
/// # Errors
/// Those of the statement; that there is no such role is `InvalidSpec`.
pub async fn allow_login(server: &Target, role: &str, password: &str) -> Result<(), PgError> {
    let session = connect(server, "lifeboat/scratch").await?;
    let sql = format!(
        "ALTER ROLE {} LOGIN PASSWORD {}",
        quote_ident(role),
        quote_literal(password)
    );
    session.client.batch_execute(&sql).await.map_err(|e| {
        PgError::never(
            Reason::InvalidSpec,
            format!(
                "spec.applicationRole: {}",
                PgError::query("let the role log in", &e)
            ),
        )
    })
}

/// Makes a role that may log in and read everything, and nothing more: it has no part of the superuser's ways to the
/// server's files and programs.
///
/// # Errors
/// Those of the statements.
pub async fn make_reader(server: &Target, role: &str) -> Result<(), PgError> {
    let session = connect(server, "lifeboat/scratch").await?;
    let (name, text) = (quote_ident(role), quote_literal(role));
    // In a statement of its own: it counts from the next transaction on. The database's own event triggers have no say.
    let open = "SET default_transaction_read_only = off; SET session_replication_role = replica";
    // Functions of extensions keep the rights that they came with.
    let sql = format!(
        "CREATE ROLE {name} LOGIN BYPASSRLS; GRANT pg_monitor TO {name}; ALTER ROLE {name} SET lo_compat_privileges = on; \
         DO $lifeboat$ DECLARE s record; BEGIN \
         FOR s IN SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP \
           EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', s.nspname, {text}); \
           EXECUTE pg_catalog.format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', s.nspname, {text}); \
           EXECUTE pg_catalog.format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', s.nspname, {text}); \
         END LOOP; \
         FOR s IN SELECT p.oid::pg_catalog.regprocedure AS name FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
           WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d \
             WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e') LOOP \
           EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %I', s.name, {text}); \
         END LOOP; END $lifeboat$"
    );
    let failed = |e| PgError::query("make the role that asks the checks", &e);
    session.client.batch_execute(open).await.map_err(failed)?;
    session.client.batch_execute(&sql).await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_server_has_no_tablespaces() {
        assert_eq!(
            without_tablespace(
                "CREATE DATABASE a WITH ENCODING = 'UTF8' TABLESPACE = fast LOCALE = 'C';\n"
            ),
            "CREATE DATABASE a WITH ENCODING = 'UTF8' LOCALE = 'C'"
        );
    }
}
