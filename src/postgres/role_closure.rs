//! Which roles go into a backup (G15): those that the database names, those that are members of these, because that is how
//! applications log in, and what all of them are members of.

use tokio_postgres::Client;

use super::error::PgError;
use super::names::quote_ident;
use super::providers::ROLES as PROVIDERS;

/// Most roles that are taken because they are members: a server may have thousands that log in.
const MOST_MEMBERS: usize = 1_000;
/// Most names that are told.
const MOST_NAMES: usize = 100;

/// A column of a table whose values name roles.
const ROLES_IN_ROWS: &str = "\
    SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    WHERE a.atttypid = ANY ('{regrole,_regrole,aclitem,_aclitem}'::pg_catalog.regtype[]) AND NOT a.attisdropped AND a.attnum > 0 \
      AND c.relkind IN ('r', 'm') AND c.oid >= 16384";

/// Whether a text of a role can be read here: its name, for example. They are the server's, not the database's: a session writes them
/// in its own database's encoding, and another gets those bytes. Of the two ways to those each looks at them in one of the encodings.
pub(super) fn readable(text: &str) -> String {
    format!(
        "CASE WHEN pg_catalog.getdatabaseencoding() NOT IN ('UTF8', 'SQL_ASCII') THEN true ELSE pg_catalog.encode( \
           CASE pg_catalog.getdatabaseencoding() WHEN 'UTF8' THEN pg_catalog.textsend({text}::text) ELSE pg_catalog.convert_to({text}::text, 'SQL_ASCII') END, 'hex') ~ \
         '^([0-7][0-9a-f]|[cd][0-9a-f][89ab][0-9a-f]|e[0-9a-f]([89ab][0-9a-f]){{2}}|f[0-4]([89ab][0-9a-f]){{3}})*$' END"
    )
}

/// Owners, grantees, default privileges and policies of this database, owner and grantees of the database itself,
/// roles with settings in it, the bootstrap superuser where an application's settings are its own (who restores may need them), and every role where columns hold roles, since rows may name any (`named`); with their members, and the members of those (`reached`). Not through
/// superusers: whoever is a member of one is one in effect. Nor through what PostgreSQL or a provider brings along, which
/// says nothing of this database.
fn reached() -> String {
    // A role that is not walked into, and not through.
    let foreign = |role: &str| {
        format!("{role}.rolsuper OR {role}.rolname ~ '^pg_' OR {role}.rolname ~ '{PROVIDERS}'")
    };
    format!(
        "WITH RECURSIVE db AS (SELECT oid, datdba FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()), \
         named AS ( \
           SELECT s.refobjid AS role FROM pg_catalog.pg_shdepend s, db \
             WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass \
               AND (s.dbid = db.oid OR (s.dbid = 0 AND s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = db.oid)) \
           UNION SELECT datdba FROM db \
           UNION SELECT setrole FROM pg_catalog.pg_db_role_setting t, db WHERE t.setdatabase = db.oid AND t.setrole <> 0 \
           UNION SELECT setrole FROM pg_catalog.pg_db_role_setting t WHERE t.setdatabase = 0 AND t.setrole = 10 \
             AND EXISTS (SELECT FROM pg_catalog.unnest(t.setconfig) AS c WHERE pg_catalog.split_part(c, '=', 1) LIKE '%.%') \
             AND pg_catalog.pg_get_userbyid(10) !~ '{PROVIDERS}' \
           UNION (SELECT r.oid FROM pg_catalog.pg_roles r WHERE NOT ({}) AND EXISTS ({ROLES_IN_ROWS}) \
             ORDER BY r.rolname LIMIT {MOST_MEMBERS})), \
         walked AS ( \
           SELECT role, 0 AS depth FROM named \
           UNION SELECT a.member, walked.depth + 1 FROM walked JOIN pg_catalog.pg_auth_members a ON a.roleid = walked.role \
             JOIN pg_catalog.pg_roles g ON g.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member \
             WHERE NOT ({}) AND NOT ({})), \
         reached AS (SELECT role, min(depth) AS depth FROM walked GROUP BY role)",
        foreign("r").replace("r.rolsuper OR ", ""),
        foreign("g"),
        foreign("m")
    )
}

/// What is taken of it, the nearest first, and what that is a member of, as far as names can be read.
pub(super) fn closure() -> String {
    format!("{} AND {}", all(), readable("r.rolname"))
}

/// That, whatever the names.
fn all() -> String {
    format!(
        "{}, taken AS ( \
           SELECT role FROM named UNION ALL \
           (SELECT n.role FROM reached n JOIN pg_catalog.pg_roles r ON r.oid = n.role WHERE n.depth > 0 \
             ORDER BY n.depth, r.rolname LIMIT {MOST_MEMBERS})), \
         closed AS (SELECT role FROM taken UNION \
           SELECT a.roleid FROM closed JOIN pg_catalog.pg_auth_members a ON a.member = closed.role) \
         SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.oid IN (SELECT role FROM closed) AND r.rolname !~ '^pg_'",
        reached()
    )
}

/// What of the roles is not in the backup, one sentence each: `logins` have no password in it.
pub(super) async fn lacking(
    client: &Client,
    logins: &[String],
    may_read: bool,
) -> Result<Vec<String>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the members of roles", &e);
    let mut found = Vec::new();
    if !logins.is_empty() {
        let why = match may_read {
            true => "they have none",
            false => "the backup's role may not read them",
        };
        found.push(format!(
            "roles that log in and come back without a password ({why}): {}",
            told(logins)
        ));
    }
    let sql = format!("{} SELECT count(*) FROM reached WHERE depth > 0", reached());
    let row = client.query_one(&sql, &[]).await.map_err(failed)?;
    let members: i64 = row.try_get(0).map_err(failed)?;
    let most = i64::try_from(MOST_MEMBERS).unwrap_or(i64::MAX);
    if members > most {
        found.push(format!(
            "{} members of the database's roles are not in the backup: there are {members}, and {most} are taken; \
             make the others from a list of your own, or with pg_dumpall --roles-only",
            members - most
        ));
    }
    let sql = format!(
        "{} SELECT DISTINCT m.rolname::text FROM reached JOIN pg_catalog.pg_auth_members a ON a.roleid = reached.role \
         JOIN pg_catalog.pg_roles g ON g.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member \
         WHERE m.rolsuper AND NOT g.rolsuper AND m.oid NOT IN (SELECT role FROM reached) AND {} ORDER BY 1",
        reached(),
        readable("m.rolname")
    );
    let rows = client.query(&sql, &[]).await.map_err(failed)?;
    let superusers: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    let superusers = superusers.map_err(failed)?;
    if !superusers.is_empty() {
        found.push(format!(
            "superusers that are members of the database's roles are not in the backup: {}",
            told(&superusers)
        ));
    }
    let labels = "(SELECT pg_catalog.string_agg(l.label, ',') FROM pg_catalog.pg_shseclabel l WHERE l.objoid = r.oid \
        AND l.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass)";
    let texts = [
        labels,
        "r.rolname",
        "pg_catalog.shobj_description(r.oid, 'pg_authid')",
        "(SELECT pg_catalog.array_to_string(t.setconfig, ',') FROM pg_catalog.pg_db_role_setting t WHERE t.setrole = r.oid AND t.setdatabase = 0)",
    ];
    let sql = format!(
        "SELECT count(*) FROM pg_catalog.pg_roles r WHERE r.oid IN ({}) AND NOT ({})",
        all(),
        texts
            .map(|text| format!("coalesce({}, true)", readable(text)))
            .join(" AND ")
    );
    let row = client.query_one(&sql, &[]).await.map_err(failed)?;
    let unreadable: i64 = row.try_get(0).map_err(failed)?;
    if unreadable > 0 {
        found.push(format!(
            "{unreadable} roles have names, comments, settings or labels that are not UTF-8 (a session in a database of another encoding wrote them): what cannot be read \
             here is not in the backup; write it again from there in ASCII"
        ));
    }
    Ok(found)
}

/// Names in one line.
fn told(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES);
    let shown: Vec<String> = shown.map(|name| flat(&quote_ident(name))).collect();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Nothing that ends a comment.
fn flat(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_comment_stay_in_their_line_and_are_not_endless() {
        let names: Vec<String> = (0..102).map(|n| format!("r\n{n}")).collect();
        let text = told(&names);
        assert!(!text.contains('\n'), "{text}");
        assert!(
            text.starts_with("\"r 0\", ") && text.ends_with(" and 2 more"),
            "{text}"
        );
    }
}
