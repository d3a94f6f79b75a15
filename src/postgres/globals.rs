//! The roles of this database, as plain SQL (G15). Not pg_dumpall's: that cannot be restored on a
//! managed server and copies other tenants' password hashes.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use super::connect::connect;
use super::error::PgError;
use super::names::{quote_ident, quote_literal};
use super::role_closure::{closure, lacking, readable};
use super::role_grants::grants;
use super::target::Target;
use crate::manifest::Role;

/// What is read of a role, as far as it can be read here.
fn role_columns() -> String {
    let comment = "pg_catalog.shobj_description(r.oid, 'pg_authid')";
    format!(
        "r.oid, r.rolname::text, r.rolinherit, r.rolcanlogin, r.rolcreatedb, r.rolcreaterole, r.rolsuper, \
         r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text, \
         (SELECT t.setconfig FROM pg_catalog.pg_db_role_setting t WHERE t.setrole = r.oid AND t.setdatabase = 0 \
            AND {}), CASE WHEN {} THEN {comment} END, \
         (SELECT pg_catalog.array_agg(l.provider ORDER BY l.provider) FROM pg_catalog.pg_shseclabel l \
           WHERE l.objoid = r.oid AND l.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND {label}), \
         (SELECT pg_catalog.array_agg(l.label ORDER BY l.provider) FROM pg_catalog.pg_shseclabel l \
           WHERE l.objoid = r.oid AND l.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND {label})",
        readable("pg_catalog.array_to_string(t.setconfig, ',')"),
        readable(comment),
        label = readable("l.label")
    )
}

/// Settings whose value is a list of quoted names: each must be quoted for itself.
const LISTS: [&str; 7] = [
    "createrole_self_grant",
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

fn asked() -> String {
    let closure = closure();
    format!(
        "SELECT {} FROM pg_catalog.pg_roles r WHERE r.oid IN ({closure}) ORDER BY 2",
        role_columns()
    )
}

/// The roles of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Globals {
    /// What makes them.
    pub sql: String,
    /// What of them the backup lacks, one sentence each: passwords, members. It stands in `sql` too.
    pub lacks: Vec<String>,
}

/// The statements. One that a server refuses can be left out without the others: what needs a
/// superuser stands on lines of its own.
///
/// # Errors
/// Those of a query.
pub async fn globals(client: &Client) -> Result<Globals, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the roles", &e);
    let rows = client.query(&asked(), &[]).await.map_err(failed)?;
    let oids: Vec<u32> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let readable = passwords(client, &oids).await.map_err(failed)?;
    let known = readable.clone().unwrap_or_default();
    let mut statements = String::new();
    let mut without = Vec::new();
    for row in &rows {
        role(&mut statements, row, &known).map_err(failed)?;
        let oid: u32 = row.try_get(0).map_err(failed)?;
        if row.try_get::<_, bool>(3).map_err(failed)? && !known.contains_key(&oid) {
            without.push(row.try_get::<_, String>(1).map_err(failed)?);
        }
    }
    grants(client, &oids, &mut statements)
        .await
        .map_err(failed)?;
    let lacks = lacking(client, &without, readable.is_some()).await?;
    let mut sql = String::from(
        "-- Roles that this database names, their members, and what all of them are members of. Plain SQL: psql -f roles.sql\n\
         -- Lines that the server refuses (a role that exists, an attribute that needs a superuser) may be left out.\n",
    );
    for lack in &lacks {
        sql.push_str(&format!("-- Not in here: {lack}.\n"));
    }
    sql.push('\n');
    sql.push_str(&statements);
    Ok(Globals { sql, lacks })
}

/// The roles of the closure, ordered by name, with what makes them; without passwords.
///
/// # Errors
/// Those of a query.
pub async fn roles(client: &Client) -> Result<Vec<Role>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the roles", &e);
    let rows = client.query(&asked(), &[]).await.map_err(failed)?;
    described(client, &rows).await
}

/// The roles of these names, whether the database names them or not, as a coordinator reads them (G14).
///
/// # Errors
/// Those of connecting and of a query.
pub async fn roles_called(
    target: &Target,
    application_name: &str,
    names: &[String],
) -> Result<Vec<Role>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the roles", &e);
    let session = connect(target, application_name).await?;
    let settings = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET search_path = ''";
    let client = &session.client;
    client.batch_execute(settings).await.map_err(failed)?;
    let sql = format!(
        "SELECT {} FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($1) ORDER BY 2",
        role_columns()
    );
    let rows = client.query(&sql, &[&names]).await.map_err(failed)?;
    described(client, &rows).await
}

async fn described(client: &Client, rows: &[Row]) -> Result<Vec<Role>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the roles", &e);
    let mut oids: Vec<u32> = Vec::new();
    let mut roles = Vec::new();
    for row in rows {
        let mut sql = String::new();
        role(&mut sql, row, &BTreeMap::new()).map_err(failed)?;
        oids.push(row.try_get(0).map_err(failed)?);
        roles.push(Role {
            name: row.try_get(1).map_err(failed)?,
            statements: lines(&sql),
        });
    }
    let mut sql = String::new();
    grants(client, &oids, &mut sql).await.map_err(failed)?;
    for line in lines(&sql) {
        // GRANT "group" TO "member" WITH …, GRANT SET ON PARAMETER "setting" TO "role" …
        for role in &mut roles {
            let member = format!(" TO {}", quote_ident(&role.name));
            let after = line.split_once(&member).map(|(_, after)| after);
            if after.is_some_and(|after| after.is_empty() || after.starts_with(" WITH ")) {
                role.statements.push(line.clone());
            }
        }
    }
    Ok(roles)
}

/// The statements, each without its semicolon; and lines of words. A name or a value may hold a line's end.
#[must_use]
pub fn lines(sql: &str) -> Vec<String> {
    let (mut all, mut one, mut quote) = (Vec::new(), String::new(), None);
    for line in sql.split('\n') {
        if !one.is_empty() {
            one.push('\n');
        }
        one.push_str(line);
        if quote.is_some() || !line.starts_with("--") {
            quote = line.chars().fold(quote, quoted_after);
        }
        if quote.is_none() {
            let statement = one.trim_end().trim_end_matches(';');
            if !statement.is_empty() {
                all.push(statement.to_owned());
            }
            one.clear();
        }
    }
    all
}

/// The quote that is open behind a character: a doubled one closes and opens.
fn quoted_after(quote: Option<char>, c: char) -> Option<char> {
    match (quote, c) {
        (None, '\'' | '"') => Some(c),
        (Some(open), c) if c == open => None,
        _ => quote,
    }
}

/// Whether a statement sets a password.
#[must_use]
pub fn is_password(statement: &str) -> bool {
    statement.starts_with("ALTER ROLE ") && statement.contains(" WITH PASSWORD ")
}

/// Only readable by superusers; `None`: elsewhere roles come without passwords.
async fn passwords(
    client: &Client,
    oids: &[u32],
) -> Result<Option<BTreeMap<u32, String>>, tokio_postgres::Error> {
    let may =
        "SELECT pg_catalog.has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT')";
    if !client.query_one(may, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let sql = "SELECT oid, rolpassword FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL AND oid = ANY ($1)";
    client
        .query(sql, &[&oids])
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn role(
    sql: &mut String,
    row: &Row,
    passwords: &BTreeMap<u32, String>,
) -> Result<(), tokio_postgres::Error> {
    let name: String = row.try_get(1)?;
    let name = quote_ident(&name);
    let flag = |at: usize| row.try_get::<_, bool>(at);
    let word = |on: bool, yes: &'static str, no: &'static str| if on { yes } else { no };
    let mut line = |text: String| {
        sql.push_str(&text);
        sql.push_str(";\n");
    };
    line(format!("CREATE ROLE {name}"));
    line(format!(
        "ALTER ROLE {name} WITH {} {}",
        word(flag(2)?, "INHERIT", "NOINHERIT"),
        word(flag(3)?, "LOGIN", "NOLOGIN")
    ));
    for (at, attribute) in [
        (4, "CREATEDB"),
        (5, "CREATEROLE"),
        (6, "SUPERUSER"),
        (7, "REPLICATION"),
        (8, "BYPASSRLS"),
    ] {
        if flag(at)? {
            line(format!("ALTER ROLE {name} WITH {attribute}"));
        }
    }
    let limit: i32 = row.try_get(9)?;
    if limit != -1 {
        line(format!("ALTER ROLE {name} WITH CONNECTION LIMIT {limit}"));
    }
    if let Some(until) = row.try_get::<_, Option<String>>(10)? {
        line(format!(
            "ALTER ROLE {name} WITH VALID UNTIL {}",
            quote_literal(&until)
        ));
    }
    if let Some(password) = passwords.get(&row.try_get(0)?) {
        line(format!(
            "ALTER ROLE {name} WITH PASSWORD {}",
            quote_literal(password)
        ));
    }
    for setting in row
        .try_get::<_, Option<Vec<String>>>(11)?
        .unwrap_or_default()
    {
        if let Some((key, value)) = setting.split_once('=') {
            line(format!(
                "ALTER ROLE {name} SET {} TO {}",
                quote_setting(key),
                setting_value(key, value)
            ));
        }
    }
    if let Some(comment) = row.try_get::<_, Option<String>>(12)? {
        line(format!(
            "COMMENT ON ROLE {name} IS {}",
            quote_literal(&comment)
        ));
    }
    let texts = |at: usize| row.try_get::<_, Option<Vec<String>>>(at);
    let (providers, labels) = (texts(13)?, texts(14)?);
    for (provider, label) in providers.iter().flatten().zip(labels.iter().flatten()) {
        line(format!(
            "SECURITY LABEL FOR {} ON ROLE {name} IS {}",
            quote_ident(provider),
            quote_literal(label)
        ));
    }
    sql.push('\n');
    Ok(())
}

/// `a.b` is two names.
pub(super) fn quote_setting(key: &str) -> String {
    key.split('.')
        .map(quote_ident)
        .collect::<Vec<_>>()
        .join(".")
}

fn setting_value(key: &str, value: &str) -> String {
    if !LISTS.contains(&key.to_ascii_lowercase().as_str()) {
        return quote_literal(value);
    }
    let items: Vec<String> = split_names(value)
        .iter()
        .map(|item| quote_literal(item))
        .collect();
    if items.is_empty() {
        "''".to_owned()
    } else {
        items.join(", ")
    }
}

/// `"$user", public` → `$user`, `public`
fn split_names(text: &str) -> Vec<String> {
    let (mut items, mut item, mut quoted) = (vec![], String::new(), false);
    let mut was_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                item.push('"');
            }
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => {
                items.push(std::mem::take(&mut item));
                was_quoted = false;
            }
            c if c.is_whitespace() && !quoted => {}
            c => item.push(c),
        }
    }
    if !item.is_empty() || was_quoted {
        items.push(item);
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_path_keeps_its_names_apart() {
        assert_eq!(
            setting_value("search_path", "\"$user\", public, \"a,\"\"b\""),
            "'$user', 'public', 'a,\"b'"
        );
        assert_eq!(setting_value("search_path", "\"\""), "''");
        assert_eq!(setting_value("statement_timeout", "5 s"), "'5 s'");
        assert_eq!(setting_value("application_name", "it's\\"), "E'it''s\\\\'");
        assert_eq!(quote_setting("my.Setting"), "\"my\".\"Setting\"");
    }

    #[test]
    fn g15_a_statement_ends_where_no_quote_is_open() {
        let sql = "-- it's a remark\nCREATE ROLE \"a\nb\";\n\nCOMMENT ON ROLE \"a\nb\" IS 'it''s; \"';\nCREATE ROLE c;\n";
        let expected = [
            "-- it's a remark",
            "CREATE ROLE \"a\nb\"",
            "COMMENT ON ROLE \"a\nb\" IS 'it''s; \"'",
            "CREATE ROLE c",
        ];
        assert_eq!(lines(sql), expected);
    }
}
