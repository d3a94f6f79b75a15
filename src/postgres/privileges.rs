//! May this role read everything that the dump must hold? Asked before the first lock (G6).

use tokio_postgres::{Client, Row};

use super::error::PgError;
use super::names::{NAME_BYTES, TABLES_WHERE, quote_ident};
use crate::api::Reason;

/// Objects that a message names.
const NAMED: usize = 5;

/// Refuses if a table, sequence, schema or large object cannot be read, or if row-level security
/// would hide rows. The message has the statements that mend it.
///
/// # Errors
/// `PermissionDenied` or `RowSecurity`.
pub async fn check(client: &Client) -> Result<(), PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("ask for privileges", &e);
    let role: String = client
        .query_one("SELECT current_user::text", &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    let mut denied = Denied::default();
    denied.add(
        client.query(&schemas(), &[]).await.map_err(failed)?,
        "USAGE ON SCHEMA",
        "schema(s)",
    )?;
    denied.add(
        client.query(&tables(), &[]).await.map_err(failed)?,
        "SELECT ON TABLE",
        "table(s)",
    )?;
    denied.add(
        client.query(&sequences(), &[]).await.map_err(failed)?,
        "SELECT ON SEQUENCE",
        "sequence(s)",
    )?;
    denied.add(
        client.query(LARGE_OBJECTS, &[]).await.map_err(failed)?,
        "SELECT ON LARGE OBJECT",
        "large object(s)",
    )?;
    denied.refuse(&role)?;
    let hidden = client.query(&row_security(), &[]).await.map_err(failed)?;
    refuse_hidden(&hidden, &role)
}

#[derive(Default)]
struct Denied {
    grants: Vec<String>,
    counts: Vec<String>,
}

impl Denied {
    /// Rows: the name as bytes, and how many there are in all.
    fn add(&mut self, rows: Vec<Row>, right: &str, what: &str) -> Result<(), PgError> {
        for (at, row) in rows.iter().enumerate() {
            let (name, total) = named(row)?;
            if at == 0 {
                self.counts.push(format!("{total} {what}"));
            }
            if self.grants.len() < NAMED {
                self.grants.push(format!("GRANT {right} {name}"));
            }
        }
        Ok(())
    }

    fn refuse(self, role: &str) -> Result<(), PgError> {
        if self.counts.is_empty() {
            return Ok(());
        }
        let role = quote_ident(role);
        let grants: Vec<String> = self
            .grants
            .iter()
            .map(|g| format!("{g} TO {role};"))
            .collect();
        Err(PgError::never(
            Reason::PermissionDenied,
            format!(
                "the role {role} may not read {}; a backup without them would be partial. This mends the first of them: {} \
                 (all tables and sequences at once, from 14 on: GRANT pg_read_all_data TO {role};)",
                self.counts.join(", "),
                grants.join(" ")
            ),
        ))
    }
}

fn named(row: &Row) -> Result<(String, i64), PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("ask for privileges", &e);
    let name: Vec<u8> = row.try_get(0).map_err(failed)?;
    Ok((
        String::from_utf8_lossy(&name).into_owned(),
        row.try_get(1).map_err(failed)?,
    ))
}

fn refuse_hidden(rows: &[Row], role: &str) -> Result<(), PgError> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let (_, total) = named(first)?;
    let names: Result<Vec<String>, PgError> = rows
        .iter()
        .map(|row| named(row).map(|(name, _)| name))
        .collect();
    Err(PgError::never(
        Reason::RowSecurity,
        format!(
            "row-level security would hide rows of {total} table(s) from the role {0}: {1}. This mends it: ALTER ROLE {0} BYPASSRLS; \
             or back up as the owner, without FORCE ROW LEVEL SECURITY",
            quote_ident(role),
            names?.join(", ")
        ),
    ))
}

fn schemas() -> String {
    format!(
        "SELECT pg_catalog.convert_to(pg_catalog.quote_ident(nspname), {ENCODING}), count(*) OVER () FROM \
           (SELECT DISTINCT n.oid, n.nspname {TABLES_WHERE}) AS s \
         WHERE NOT pg_catalog.has_schema_privilege(oid, 'USAGE') ORDER BY oid LIMIT 5"
    )
}

fn tables() -> String {
    format!(
        "SELECT {NAME_BYTES}, count(*) OVER () {TABLES_WHERE} \
         AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') ORDER BY c.oid LIMIT 5"
    )
}

/// As for tables, but the extensions' own sequences count only if pg_dump dumps them. Not
/// has_sequence_privilege: the planner may ask it of a table, and it fails there.
fn sequences() -> String {
    let relations = TABLES_WHERE.replace("('r', 'p')", "('S')");
    format!(
        "SELECT {NAME_BYTES}, count(*) OVER () {relations} \
         AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
               WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0 \
                 AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
                 AND NOT coalesce(c.oid = ANY (e.extconfig), false)) \
         ORDER BY c.oid LIMIT 5"
    )
}

fn row_security() -> String {
    format!(
        "SELECT {NAME_BYTES}, count(*) OVER () {TABLES_WHERE} \
         AND pg_catalog.row_security_active(c.oid) ORDER BY c.oid LIMIT 5"
    )
}

/// Before 18 there is no has_largeobject_privilege: owner, membership and ACL are read here.
/// Before 19 pg_read_all_data does not reach large objects.
const LARGE_OBJECTS: &str = "\
    SELECT pg_catalog.convert_to(m.oid::text, 'SQL_ASCII'), count(*) OVER () FROM pg_catalog.pg_largeobject_metadata m \
    WHERE NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) \
      AND pg_catalog.current_setting('lo_compat_privileges') <> 'on' \
      AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE') \
      AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT' \
            AND CASE WHEN a.grantee = 0 THEN true ELSE pg_catalog.pg_has_role(a.grantee, 'USAGE') END) \
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = 'pg_read_all_data' \
            AND pg_catalog.current_setting('server_version_num')::int >= 190000 AND pg_catalog.pg_has_role(r.oid, 'USAGE')) \
    ORDER BY m.oid LIMIT 5";

const ENCODING: &str = "CASE WHEN pg_catalog.getdatabaseencoding() IN ('SQL_ASCII', 'MULE_INTERNAL') \
    THEN pg_catalog.getdatabaseencoding() ELSE 'UTF8' END";
