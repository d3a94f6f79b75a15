//! Roles of a backup against those of a server: how they differ, which of them are the server's own, and what mends them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::compare_majors::{plain_membership, two_majors};
use super::differences::{Comparison, Difference};
use super::names::quote_ident;
use crate::manifest::Contents;

/// What such a difference is called.
const ROLE: &str = "role";
/// A role that is not there at all.
const MISSING: &str = "missing";
/// The other side has a statement more.
const WITHOUT: &str = "without it";
/// Attributes that a role has or has not.
const FLAGS: [&str; 5] = [
    "CREATEDB",
    "CREATEROLE",
    "SUPERUSER",
    "REPLICATION",
    "BYPASSRLS",
];

type Roles<'a> = BTreeMap<&'a str, &'a [String]>;

fn of(contents: &Contents) -> Roles<'_> {
    let roles = contents.roles.iter();
    roles
        .map(|role| (role.name.as_str(), role.statements.as_slice()))
        .collect()
}

/// Statements that a role has in the backup and not here, and the other way round.
struct Apart {
    backup: Vec<String>,
    here: Vec<String>,
}

fn apart(was: &[String], is: &[String], across_16: bool) -> Apart {
    let said = |all: &[String]| -> Vec<String> {
        let all = all.iter();
        all.map(|text| match across_16 {
            true => plain_membership(text),
            false => text.clone(),
        })
        .collect()
    };
    let (was, is) = (said(was), said(is));
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        let one = one.iter().filter(|text| !other.contains(text));
        one.cloned().collect()
    };
    Apart {
        backup: only(&was, &is),
        here: only(&is, &was),
    }
}

fn across_16(expected: &Contents, found: &Contents) -> bool {
    two_majors(expected, found).is_some_and(|(was, is)| was.min(is) < 16 && was.max(is) >= 16)
}

/// Every role of the backup; of others a database says nothing.
pub(super) fn roles(expected: &Contents, found: &Contents, result: &mut Comparison) {
    let across_16 = across_16(expected, found);
    let now = of(found);
    for (name, was) in of(expected) {
        let Some(is) = now.get(name) else {
            result.differs(ROLE, name.to_owned(), "there", MISSING);
            continue;
        };
        let apart = apart(was, is, across_16);
        let text = |all: &[String]| match all {
            [] => WITHOUT.to_owned(),
            all => all.join("; "),
        };
        if !apart.backup.is_empty() || !apart.here.is_empty() {
            let (left, right) = (text(&apart.backup), text(&apart.here));
            result.differs(ROLE, name.to_owned(), left, right);
        }
    }
}

/// Roles that were there before a restore are the server's own: it leaves them as they are, so how they differ is a note.
pub fn keep(comparison: &mut Comparison, there: &BTreeSet<String>) {
    let own = |d: &Difference| d.what == ROLE && d.found != MISSING && there.contains(&d.object);
    let all = std::mem::take(&mut comparison.differences);
    let (kept, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(own);
    comparison.differences = rest;
    for d in kept {
        let said = match (d.expected.as_str(), d.found.as_str()) {
            (lacks, WITHOUT) => format!("it lacks {lacks}"),
            (WITHOUT, more) => format!("it has besides {more}"),
            (lacks, more) => format!("it lacks {lacks}, and has besides {more}"),
        };
        comparison.notes.push(format!(
            "role {} was there before and stays as it is: {said}",
            d.object
        ));
    }
}

/// Says for each role that differs by which statements it would be as it was backed up. In a server that is not ours: there a
/// password that never ends is one without an end, because no statement takes that word back.
pub fn mend(comparison: &mut Comparison, expected: &Contents, found: &Contents) {
    let across_16 = across_16(expected, found);
    let (was, is) = (of(expected), of(found));
    let mut remedies = Vec::new();
    comparison.differences.retain(|d| {
        if d.what != ROLE {
            return true;
        }
        let name = d.object.as_str();
        let was = was.get(name).copied().unwrap_or_default();
        let Some(is) = is.get(name) else {
            remedies.push(remedy(name, was));
            return true;
        };
        let endless = format!(
            "ALTER ROLE {} WITH VALID UNTIL 'infinity'",
            quote_ident(name)
        );
        let mut apart = apart(was, is, across_16);
        apart.backup.retain(|text| *text != endless);
        apart.here.retain(|text| *text != endless);
        let statements = mending(name, &apart);
        if !statements.is_empty() {
            remedies.push(remedy(name, &statements));
        }
        !apart.backup.is_empty() || !apart.here.is_empty()
    });
    comparison.remedies.extend(remedies);
}

fn remedy(name: &str, statements: &[String]) -> String {
    format!("to mend role {name}: {};", statements.join("; "))
}

fn mending(name: &str, apart: &Apart) -> Vec<String> {
    let undone = apart.here.iter();
    let undone = undone.filter_map(|text| undo(name, text, &apart.backup));
    undone.chain(apart.backup.iter().cloned()).collect()
}

/// What takes back a statement that the backup has not; `None` where one of the backup's own overwrites it.
fn undo(name: &str, statement: &str, backup: &[String]) -> Option<String> {
    let role = format!("ALTER ROLE {}", quote_ident(name));
    let overwritten = |head: &str| backup.iter().any(|text| text.starts_with(head));
    if let Some(attribute) = statement.strip_prefix(&format!("{role} WITH ")) {
        if FLAGS.contains(&attribute) {
            return Some(format!("{role} WITH NO{attribute}"));
        }
        let unset = [("CONNECTION LIMIT ", "-1"), ("VALID UNTIL ", "'infinity'")];
        let unset = unset.iter().find(|(key, _)| attribute.starts_with(key))?;
        let head = format!("{role} WITH {}", unset.0);
        return (!overwritten(&head)).then(|| head.clone() + unset.1);
    }
    if let Some((setting, _)) =
        (statement.strip_prefix(&format!("{role} SET "))).and_then(|rest| rest.split_once(" TO "))
    {
        let head = format!("{role} SET {setting} TO ");
        return (!overwritten(&head)).then(|| format!("{role} RESET {setting}"));
    }
    if let Some((membership, options)) = statement
        .strip_prefix("GRANT ")
        .and_then(|rest| rest.rsplit_once(&format!(" TO {}", quote_ident(name))))
    {
        let head = format!("GRANT {membership} TO {}", quote_ident(name));
        let member = quote_ident(name);
        // Where options are said one by one, the backup's statement sets them all.
        return match (overwritten(&head), options) {
            (false, _) => Some(format!("REVOKE {membership} FROM {member}")),
            (true, " WITH ADMIN OPTION") => Some(format!(
                "REVOKE ADMIN OPTION FOR {membership} FROM {member}"
            )),
            (true, _) => None,
        };
    }
    let (head, _) = statement.split_once(" IS ")?;
    (!overwritten(&format!("{head} IS "))).then(|| format!("{head} IS NULL"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::manifest::Role;

    fn contents(statements: &[&str]) -> Contents {
        let texts = statements.iter().map(|text| (*text).to_owned());
        Contents {
            roles: vec![Role {
                name: "app".to_owned(),
                statements: texts.collect(),
            }],
            ..Contents::default()
        }
    }

    #[rstest]
    #[case::a_membership_that_is_gone(&["GRANT \"g\" TO \"app\""], &[], "GRANT \"g\" TO \"app\"")]
    #[case::a_membership_more(&[], &["GRANT \"g\" TO \"app\""], "REVOKE \"g\" FROM \"app\"")]
    #[case::of_a_group_with_an_odd_name(&[], &["GRANT \"a IS b\" TO \"app\""], "REVOKE \"a IS b\" FROM \"app\"")]
    #[case::an_option_of_it(
        &["GRANT \"g\" TO \"app\""],
        &["GRANT \"g\" TO \"app\" WITH ADMIN OPTION"],
        "REVOKE ADMIN OPTION FOR \"g\" FROM \"app\"; GRANT \"g\" TO \"app\""
    )]
    #[case::options_one_by_one(
        &["GRANT \"g\" TO \"app\" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE"],
        &["GRANT \"g\" TO \"app\" WITH ADMIN TRUE, INHERIT TRUE, SET TRUE"],
        "GRANT \"g\" TO \"app\" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE"
    )]
    #[case::a_setting(&["ALTER ROLE \"app\" SET \"a\" TO '1'"], &["ALTER ROLE \"app\" SET \"a\" TO '2'"], "ALTER ROLE \"app\" SET \"a\" TO '1'")]
    #[case::a_setting_more(&[], &["ALTER ROLE \"app\" SET \"a\".\"b\" TO ' TO 2'"], "ALTER ROLE \"app\" RESET \"a\".\"b\"")]
    #[case::an_attribute_more(&[], &["ALTER ROLE \"app\" WITH CREATEDB"], "ALTER ROLE \"app\" WITH NOCREATEDB")]
    #[case::a_limit_more(&[], &["ALTER ROLE \"app\" WITH CONNECTION LIMIT 3"], "ALTER ROLE \"app\" WITH CONNECTION LIMIT -1")]
    #[case::another_end(
        &["ALTER ROLE \"app\" WITH VALID UNTIL '2030-01-01'"],
        &["ALTER ROLE \"app\" WITH VALID UNTIL '2031-01-01'"],
        "ALTER ROLE \"app\" WITH VALID UNTIL '2030-01-01'"
    )]
    #[case::an_end_more(&[], &["ALTER ROLE \"app\" WITH VALID UNTIL '2031-01-01'"], "ALTER ROLE \"app\" WITH VALID UNTIL 'infinity'")]
    #[case::a_login(&["ALTER ROLE \"app\" WITH INHERIT LOGIN"], &["ALTER ROLE \"app\" WITH INHERIT NOLOGIN"], "ALTER ROLE \"app\" WITH INHERIT LOGIN")]
    #[case::a_comment_more(&[], &["COMMENT ON ROLE \"app\" IS 'a IS b'"], "COMMENT ON ROLE \"app\" IS NULL")]
    #[case::a_label_more(&[], &["SECURITY LABEL FOR \"p\" ON ROLE \"app\" IS 'x'"], "SECURITY LABEL FOR \"p\" ON ROLE \"app\" IS NULL")]
    fn g17_a_role_that_differs_is_told_with_what_mends_it_and_is_a_note_where_it_is_the_servers_own(
        #[case] was: &[&str],
        #[case] is: &[&str],
        #[case] mends: &str,
    ) {
        let (was, is) = (contents(was), contents(is));
        let mut found = Comparison::default();
        roles(&was, &is, &mut found);
        mend(&mut found, &was, &is);
        assert_eq!(found.differences.len(), 1);
        assert_eq!(found.remedies, [format!("to mend role app: {mends};")]);
        keep(&mut found, &BTreeSet::from(["other".to_owned()]));
        assert_eq!(found.differences.len(), 1);
        keep(&mut found, &BTreeSet::from(["app".to_owned()]));
        assert!(found.differences.is_empty());
        let note = found.notes.concat();
        assert!(
            note.starts_with("role app was there before and stays as it is: it "),
            "{note}"
        );
    }

    #[test]
    fn g17_a_role_without_an_end_may_say_so_in_a_server_that_is_not_ours() {
        let never = contents(&["ALTER ROLE \"app\" WITH VALID UNTIL 'infinity'"]);
        let mut found = Comparison::default();
        roles(&contents(&[]), &never, &mut found);
        assert_eq!(found.differences.len(), 1);
        mend(&mut found, &contents(&[]), &never);
        assert_eq!((found.differences, found.remedies), (vec![], vec![]));
    }

    #[test]
    fn g17_what_no_statement_mends_differs_all_the_same() {
        let login = contents(&["ALTER ROLE \"app\" WITH INHERIT LOGIN"]);
        let mut found = Comparison::default();
        roles(&contents(&[]), &login, &mut found);
        mend(&mut found, &contents(&[]), &login);
        assert_eq!((found.differences.len(), found.remedies), (1, vec![]));
    }

    #[test]
    fn g17_a_role_that_is_missing_was_not_there_before() {
        let mut found = Comparison::default();
        let was = contents(&[
            "CREATE ROLE \"app\"",
            "ALTER ROLE \"app\" WITH INHERIT LOGIN",
        ]);
        roles(&was, &Contents::default(), &mut found);
        keep(&mut found, &BTreeSet::from(["app".to_owned()]));
        mend(&mut found, &was, &Contents::default());
        assert_eq!(found.differences.len(), 1);
        let made = "to mend role app: CREATE ROLE \"app\"; ALTER ROLE \"app\" WITH INHERIT LOGIN;";
        assert_eq!(found.remedies, [made]);
    }
}
