//! The rights of who migrates: what the plan needs is asked before anything else, what production has given the rehearsal has too.

use super::rehearse::Rehearsal;
use super::task::acting_of;
use crate::api::migration_run::MigrationRunSpec;
use crate::plan::{Direction, History, Plan};
use crate::postgres::migrate::{Given, Place, give, given, lacks, refusal};
use crate::postgres::{Connection, Target};
use crate::sql::File;
use crate::sql::rights::wanted;
use crate::work::failure::Failure;

/// Rights that a note names.
const NAMED: usize = 5;

/// Refuses a plan that needs a right which is missing. Answers what production has given, as far as the files may meet it.
pub(super) async fn permitted(
    session: &Connection,
    spec: &MigrationRunSpec,
    place: &Place,
    (files, plan, history): (&[File], &Plan, &History),
) -> Result<Vec<Given>, Failure> {
    let acting = acting_of(spec);
    let down = plan.direction == Direction::Down;
    let planned = plan.files.iter().filter_map(|planned| {
        let mut files = files.iter();
        let file = files.find(|f| f.name == planned.name && f.down == down)?;
        let done = |index| history.is_done(&planned.version, plan.direction, index);
        let applied = planned.segments.iter().filter(|s| done(s.index));
        Some((file, applied.map(|s| s.statements.len()).sum()))
    });
    let lacks = lacks(&session.client, &acting, &wanted(planned)).await?;
    let role = acting.role.as_deref().unwrap_or(&place.login);
    if let Some(refused) = refusal(role, &lacks) {
        return Err(refused.into());
    }
    let roles = [place.roles.as_slice(), acting.role.as_slice()].concat();
    let mut given = given(&session.client, &roles).await?;
    let named = |name: &str| files.iter().any(|file| file.text.contains(name));
    given.retain(|g| ["DATABASE", "SCHEMA"].contains(&g.kind.as_str()) || named(&g.name));
    Ok(given)
}

/// Gives the restored backup the rights that were given since: mending one needs no new backup. A younger one has what production has,
/// and not what was taken since they were read. Answers a note.
pub(super) async fn caught_up(
    superuser: &Target,
    rehearsal: &Rehearsal,
    data_at: jiff::Timestamp,
) -> Result<Option<String>, Failure> {
    if data_at >= rehearsal.rights_at {
        return Ok(None);
    }
    let login = &rehearsal.login;
    let mut roles: Vec<String> = login.roles.iter().map(|r| r.name.clone()).collect();
    roles.push(login.name.clone());
    roles.extend(rehearsal.acting.role.clone());
    let gave = give(superuser, &roles, &rehearsal.rights).await?;
    let more = match gave.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let named: Vec<&str> = gave.iter().take(NAMED).map(String::as_str).collect();
    let note = format!(
        "the restored backup lacks rights that production has given, and the rehearsal had them: {}{more}",
        named.join("; ")
    );
    Ok((!gave.is_empty()).then_some(note))
}
