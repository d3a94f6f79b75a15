//! Rights that roles have been given: production's, so that a rehearsal on an older backup meets the same (M9).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use crate::postgres::connect::connect;
use crate::postgres::error::PgError;
use crate::postgres::target::Target;

/// One right of one role, or of PUBLIC, on one object. Names are quoted where they need it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    /// `DATABASE`, `SCHEMA`, `TABLE`, `SEQUENCE`, `ROUTINE`, `TYPE`.
    pub kind: String,
    /// The object.
    pub object: String,
    /// Its name, without schema and quotes.
    pub name: String,
    /// `SELECT`, `CREATE` …; `OWNER`: it is theirs.
    pub right: String,
    /// Whose it is.
    pub to: String,
    /// It may be handed on.
    pub grantable: bool,
}

impl Given {
    /// What gives it.
    #[must_use]
    pub fn statement(&self) -> String {
        let Self {
            kind,
            object,
            right,
            to,
            ..
        } = self;
        match (right.as_str(), self.grantable) {
            ("OWNER", _) if kind == "SEQUENCE" => format!("ALTER TABLE {object} OWNER TO {to}"),
            ("OWNER", _) => format!("ALTER {kind} {object} OWNER TO {to}"),
            (_, false) => format!("GRANT {right} ON {kind} {object} TO {to}"),
            (_, true) => format!("GRANT {right} ON {kind} {object} TO {to} WITH GRANT OPTION"),
        }
    }
}

/// What is given to these roles, and to everybody; what is an object's from the beginning stands nowhere.
const GIVEN: &str = "\
    WITH who(oid, name) AS (SELECT oid, format('%I', rolname) FROM pg_catalog.pg_roles WHERE rolname::text = ANY ($1) UNION ALL SELECT 0, 'PUBLIC'), \
    object(place, kind, object, name, owner, acl) AS ( \
      SELECT 1, 'DATABASE', format('%I', datname), datname::text, datdba, datacl FROM pg_catalog.pg_database WHERE datname = current_database() \
      UNION ALL SELECT 2, 'SCHEMA', format('%I', nspname), nspname::text, nspowner, nspacl FROM pg_catalog.pg_namespace \
      UNION ALL SELECT 3, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('%I.%I', n.nspname, c.relname), c.relname::text, c.relowner, c.relacl \
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') \
      UNION ALL SELECT 4, 'ROUTINE', oid::regprocedure::text, proname::text, proowner, proacl FROM pg_catalog.pg_proc \
      UNION ALL SELECT 5, 'TYPE', format('%I.%I', n.nspname, t.typname), t.typname::text, t.typowner, t.typacl \
        FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd')), \
    theirs AS (SELECT * FROM object WHERE owner <> 10 OR acl IS NOT NULL) \
    SELECT kind, object, o.name, 'OWNER' AS right, w.name AS to, false, place, 0 AS rank FROM theirs AS o JOIN who AS w ON w.oid = o.owner \
    UNION ALL SELECT kind, object, o.name, a.privilege_type, w.name, a.is_grantable, place, 1 FROM theirs AS o \
      CROSS JOIN LATERAL aclexplode(o.acl) AS a JOIN who AS w ON w.oid = a.grantee WHERE a.grantee <> o.owner \
    ORDER BY place, rank, object, 4, 5 LIMIT 50000";

/// Reads what roles are given.
///
/// # Errors
/// Those of a query.
pub async fn given(client: &Client, roles: &[String]) -> Result<Vec<Given>, PgError> {
    let failed = |e: Error| PgError::query("read which rights roles are given", &e);
    let begin =
        "BEGIN READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = '60s'";
    client.batch_execute(begin).await.map_err(failed)?;
    let rows = client.query(GIVEN, &[&roles]).await;
    client.batch_execute("ROLLBACK").await.map_err(failed)?;
    let rows = rows.map_err(failed)?;
    let read = rows.iter().map(|row| {
        Ok(Given {
            kind: row.try_get(0)?,
            object: row.try_get(1)?,
            name: row.try_get(2)?,
            right: row.try_get(3)?,
            to: row.try_get(4)?,
            grantable: row.try_get(5)?,
        })
    });
    let mut given = read
        .collect::<Result<Vec<Given>, Error>>()
        .map_err(failed)?;
    given.retain(|g| !g.object.starts_with("pg_catalog.") && g.name != "lifeboat");
    Ok(given)
}

/// Gives a scratch server what production has and it lacks; what production has that is not there is of no use. Answers what was given.
///
/// # Errors
/// Those of connecting and of a query.
pub async fn give(
    superuser: &Target,
    roles: &[String],
    wanted: &[Given],
) -> Result<Vec<String>, PgError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let session = connect(superuser, "lifeboat/rehearsal").await?;
    let here: BTreeSet<Given> = given(&session.client, roles).await?.into_iter().collect();
    let mut gave = Vec::new();
    for right in wanted.iter().filter(|right| !here.contains(right)) {
        let statement = right.statement();
        match session.client.batch_execute(&statement).await {
            Ok(()) => gave.push(statement),
            Err(error) if error.code().is_some_and(is_missing) => {}
            Err(error) => return Err(PgError::query("give a right of production's", &error)),
        }
    }
    Ok(gave)
}

fn is_missing(code: &SqlState) -> bool {
    [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_OBJECT,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::INVALID_SCHEMA_NAME,
        SqlState::WRONG_OBJECT_TYPE,
        // A sequence of a column goes with its table.
        SqlState::FEATURE_NOT_SUPPORTED,
    ]
    .contains(code)
}
