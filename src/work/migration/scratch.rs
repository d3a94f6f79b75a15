//! The restored backup of a rehearsal: who logs in to it, and which names its tables have.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::Reason;
use crate::manifest::Role;
use crate::postgres::scratch::allow_login;
use crate::postgres::{PgError, Target, connect};
use crate::work::failure::Failure;
use crate::work::random;

const NAME: &str = "lifeboat/rehearsal";

/// Makes the migrating role and the roles that it is a member of what they are on the server (M9), and lets it log in. Answers
/// how it does.
pub(super) async fn log_in(
    superuser: &Target,
    login: &str,
    roles: &[Role],
) -> Result<Target, Failure> {
    let session = connect(superuser, NAME).await?;
    let client = &session.client;
    let failed = |e: tokio_postgres::Error| PgError::query("look at the roles", &e);
    let asked = "SELECT rolname::text FROM pg_catalog.pg_roles";
    let mut there = BTreeSet::new();
    for row in client.query(asked, &[]).await.map_err(failed)? {
        there.insert(row.try_get::<_, String>(0).map_err(failed)?);
    }
    // First all of them, then what binds them to each other.
    let (mut make, mut bind) = (Vec::new(), Vec::new());
    for role in roles {
        for statement in &role.statements {
            match statement.starts_with("CREATE ROLE ") {
                true if there.contains(&role.name) => {}
                true => make.push(statement),
                false => bind.push(statement),
            }
        }
    }
    for statement in make.into_iter().chain(bind) {
        if let Err(error) = client.batch_execute(statement).await {
            let why = PgError::query("make a role of production", &error);
            return Err(incomplete(format!(
                "the migrating role {login} could not be made as it is on the server: {why}"
            )));
        }
    }
    let known = roles.iter().any(|r| r.name == login) || there.contains(login);
    if !known {
        return Err(incomplete(format!(
            "the backup does not have the role {login}: it owns nothing in the database and has no privilege there"
        )));
    }
    let mut target = superuser.clone();
    if login == superuser.user {
        return Ok(target);
    }
    let secret: [u8; 16] = random::bytes().map_err(|e| Failure::Internal(e.to_string()))?;
    let password: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    allow_login(superuser, login, &password).await?;
    login.clone_into(&mut target.user);
    target.password = Some(password.into());
    Ok(target)
}

pub(super) fn incomplete(why: String) -> Failure {
    Failure::Postgres(PgError::never(Reason::RehearsalIncomplete, why))
}

/// Schema and name of every table and materialized view, by their quoted names.
pub(super) async fn names(
    superuser: &Target,
) -> Result<BTreeMap<String, (String, String)>, Failure> {
    let session = connect(superuser, NAME).await?;
    let failed = |e: tokio_postgres::Error| PgError::query("read the names of tables", &e);
    let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), n.nspname::text, c.relname::text \
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p', 'm')";
    let mut names = BTreeMap::new();
    for row in session.client.query(sql, &[]).await.map_err(failed)? {
        let name = (
            row.try_get(1).map_err(failed)?,
            row.try_get(2).map_err(failed)?,
        );
        names.insert(row.try_get(0).map_err(failed)?, name);
    }
    Ok(names)
}
