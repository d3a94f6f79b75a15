//! A scratch server that is there already: it is lent to a drill and comes back as it was.

use std::collections::BTreeSet;
use std::path::Path;

use super::connect::{Connection, connect};
use super::error::PgError;
use super::globals::roles_called;
use super::names::{quote_ident, quote_literal};
use super::role_closure::readable;
use super::scratch;
use super::target::Target;
use crate::api::Reason;
use crate::manifest::Role;

/// `application_name` of our sessions.
const NAME: &str = "lifeboat/drill";
/// What a superuser has who was never altered.
const PLAIN: &str =
    "WITH INHERIT LOGIN SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS CONNECTION LIMIT -1";

/// A server as it was lent.
#[derive(Debug)]
pub(crate) struct Running {
    target: Target,
    databases: BTreeSet<String>,
    superuser: Vec<Role>,
}

impl Running {
    /// Looks at a server before it is used.
    ///
    /// # Errors
    /// `InvalidSpec` if it holds the database already, or roles that are not its superuser's: a drill would change
    /// them. Those of connecting.
    pub(crate) async fn look(
        socket: &Path,
        superuser: &str,
        database: &str,
    ) -> Result<Self, PgError> {
        let target = scratch::target(socket, superuser, "template1");
        let session = connect(&target, NAME).await?;
        let databases = names(&session, DATABASES).await?;
        let roles = names(&session, &own_roles()).await?;
        let strangers: Vec<&str> = roles
            .iter()
            .map(String::as_str)
            .filter(|name| *name != superuser)
            .collect();
        if databases.contains(database) || !strangers.is_empty() {
            let text = format!(
                "the server at {} is in use: it has the database {database} or roles of its own ({})",
                socket.display(),
                strangers.join(", ")
            );
            return Err(PgError::never(Reason::InvalidSpec, text));
        }
        let superuser = roles_called(&target, NAME, &[superuser.to_owned()]).await?;
        Ok(Self {
            target,
            databases,
            superuser,
        })
    }

    /// Takes away what the drill made, and gives the superuser back what it had.
    ///
    /// # Errors
    /// Those of the statements; `ServerFailed` if the server is not as it was: it must not be lent again.
    pub(crate) async fn clean(self) -> Result<(), PgError> {
        let made: Vec<String> = {
            let session = connect(&self.target, NAME).await?;
            let all = names(&session, DATABASES).await?;
            all.difference(&self.databases).cloned().collect()
        };
        clear(&self.target, &made).await?;
        let session = connect(&self.target, NAME).await?;
        let called = [self.target.user.clone()];
        if roles_called(&self.target, NAME, &called).await? == self.superuser {
            return Ok(());
        }
        let superuser = quote_ident(&self.target.user);
        let mut statements = vec![
            format!("ALTER ROLE {superuser} {PLAIN}"),
            format!("ALTER ROLE {superuser} RESET ALL"),
            format!("COMMENT ON ROLE {superuser} IS NULL"),
        ];
        let was = self.superuser.iter().flat_map(|role| &role.statements);
        statements.extend(was.filter(|s| !s.starts_with("CREATE ROLE ")).cloned());
        run(&session, &statements).await?;
        let is = roles_called(&self.target, NAME, &called).await?;
        if is == self.superuser {
            return Ok(());
        }
        let text = format!(
            "the scratch server did not become what it was: {is:?} instead of {:?}",
            self.superuser
        );
        Err(PgError::never(Reason::ServerFailed, text))
    }
}

/// Takes databases and all roles but the superuser away.
///
/// # Errors
/// Those of the statements.
pub(crate) async fn clear(superuser: &Target, databases: &[String]) -> Result<(), PgError> {
    let session = connect(superuser, NAME).await?;
    let mut statements = Vec::new();
    for name in databases {
        // A template cannot be dropped.
        statements.push(format!(
            "DO $lifeboat$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = {text} AND datistemplate) THEN \
             ALTER DATABASE {name} IS_TEMPLATE false; END IF; END $lifeboat$",
            text = quote_literal(name),
            name = quote_ident(name)
        ));
        statements.push(format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            quote_ident(name)
        ));
    }
    // What they have been given on what is the whole server's, and as whom they gave memberships. There: a name may be in the encoding of
    // a database that is gone.
    for what in ["DROP OWNED BY", "DROP ROLE"] {
        statements.push(format!(
            "DO $lifeboat$ DECLARE r record; BEGIN FOR r IN SELECT rolname FROM pg_catalog.pg_roles WHERE oid >= 16384 AND rolname <> current_user LOOP \
             EXECUTE pg_catalog.format('{what} %I', r.rolname); END LOOP; END $lifeboat$"
        ));
    }
    run(&session, &statements).await
}

const DATABASES: &str = "SELECT datname::text FROM pg_catalog.pg_database";

/// Those that somebody has made, as far as their names can be read here.
fn own_roles() -> String {
    format!(
        "SELECT rolname::text FROM pg_catalog.pg_roles WHERE oid >= 16384 AND {}",
        readable("rolname")
    )
}

async fn names(session: &Connection, sql: &str) -> Result<BTreeSet<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("look at the scratch server", &e);
    let rows = session.client.query(sql, &[]).await.map_err(failed)?;
    let names = rows.iter().map(|row| row.try_get(0).map_err(failed));
    names.collect()
}

async fn run(session: &Connection, statements: &[String]) -> Result<(), PgError> {
    for statement in statements {
        let done = session.client.batch_execute(statement).await;
        done.map_err(|e| PgError::query("clear the scratch server", &e))?;
    }
    Ok(())
}
