//! The restored backup of a rehearsal: who logs in to it.

use crate::api::Reason;
use crate::manifest::Role;
use crate::postgres::scratch::allow_login;
use crate::postgres::{PgError, Target, rehearsal};
use crate::work::failure::Failure;
use crate::work::random;

/// Makes the migrating role and the roles that it is a member of what they are on the server (M9), and lets it log in. Answers
/// how it does.
pub(super) async fn log_in(
    superuser: &Target,
    login: &str,
    roles: &[Role],
) -> Result<Target, Failure> {
    let there = rehearsal::roles(superuser).await?;
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
    let statements: Vec<&String> = make.into_iter().chain(bind).collect();
    if let Err(why) = rehearsal::make_roles(superuser, &statements).await {
        return Err(incomplete(format!(
            "the migrating role {login} could not be made as it is on the server: {why}"
        )));
    }
    let known = roles.iter().any(|r| r.name == login) || there.contains(login);
    if !known {
        return Err(incomplete(format!(
            "the backup does not have the role {login}: it owns nothing in the database and has no privilege there"
        )));
    }
    rehearsal::tell_of_temporary_files(superuser, login).await?;
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
