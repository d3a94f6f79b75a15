//! What who migrates holds of the rights that a plan wants: read from the catalogue, nothing of it touched.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use super::Acting;
use super::rights::Found;
use crate::postgres::error::PgError;
use crate::sql::rights::Wanted;
use crate::sql::{Name, Need, ObjectKind};

/// Who migrates.
#[derive(Debug)]
pub(super) struct Holder {
    /// The role as which statements run.
    pub(super) role: String,
    pub(super) superuser: bool,
    /// It has the rights of the roles that it becomes a member of.
    pub(super) inherits: bool,
    pub(super) in_database: String,
    /// CREATE on the database.
    pub(super) database: bool,
    /// Somebody has changed the server, so that other roles may what only a superuser or an owner may.
    pub(super) provider: bool,
    pub(super) major: i32,
}

#[derive(Debug)]
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) superuser: bool,
    /// Who migrates is a member of it, and does not inherit its rights.
    pub(super) member: bool,
}

#[derive(Debug)]
pub(super) struct Schema {
    pub(super) usage: bool,
    pub(super) create: bool,
    pub(super) owned: bool,
    pub(super) owner: Owner,
}

#[derive(Debug)]
pub(super) struct Thing {
    /// `relkind`.
    pub(super) kind: String,
    pub(super) owned: bool,
    pub(super) owner: Owner,
    pub(super) rights: BTreeSet<String>,
    /// Quoted name of what ALTER TABLE … OWNER takes: of an index its table.
    pub(super) table: String,
}

pub(super) type Things = BTreeMap<(String, String), Thing>;

#[derive(Debug)]
pub(super) struct Holdings {
    pub(super) me: Holder,
    /// The `search_path`.
    path: Vec<String>,
    pub(super) schemas: BTreeMap<String, Schema>,
    pub(super) relations: Things,
    pub(super) types: Things,
    /// Of several of one name the one that is owned, if one is.
    pub(super) routines: Things,
    /// Whether whoever may make a schema may make it; `None`: it is there already, or nobody knows it.
    pub(super) extensions: BTreeMap<String, Option<bool>>,
}

impl Holdings {
    /// Schemas in which names are looked for, up to the first of which nobody knows what is in it.
    fn looked(&self, unsure: &BTreeSet<String>) -> (Vec<&String>, bool) {
        let known = |name: &&String| self.schemas.contains_key(*name) && !unsure.contains(*name);
        let looked: Vec<&String> = self.path.iter().take_while(known).collect();
        let all = looked.len() == self.path.len();
        (looked, all)
    }

    /// The schema in which things are made that name none.
    pub(super) fn first(&self, unsure: &BTreeSet<String>) -> Option<String> {
        let (looked, all) = self.looked(unsure);
        let usable = |name: &&String| self.schemas.get(*name).is_some_and(|s| s.usage);
        let first = looked.iter().copied().find(usable);
        let none = looked.first().copied().filter(|_| all);
        first.or(none).cloned()
    }

    pub(super) fn find<'h>(
        &'h self,
        all: &'h Things,
        name: &Name,
        unsure: &BTreeSet<String>,
    ) -> Found<'h> {
        let at = |schema: &str| {
            let there = all.get(&(schema.to_owned(), name.name.clone()))?;
            Some(Found::At(schema.to_owned(), there))
        };
        if let Some(schema) = &name.schema {
            return at(schema).unwrap_or(Found::Unknown);
        }
        // The server's own come first, whatever the search_path says.
        if all.contains_key(&("pg_catalog".to_owned(), name.name.clone())) {
            return Found::Unknown;
        }
        let (looked, whole) = self.looked(unsure);
        let mut hidden = None;
        for schema in looked {
            let usable = self.schemas.get(schema).is_some_and(|s| s.usage);
            match at(schema) {
                Some(found) if usable => return found,
                Some(_) if hidden.is_none() => hidden = Some(schema.clone()),
                _ => {}
            }
        }
        match hidden.filter(|_| whole) {
            Some(schema) => Found::Unusable(schema),
            None => Found::Unknown,
        }
    }
}

/// Reads it, in a transaction of its own.
pub(super) async fn holdings(
    client: &Client,
    acting: &Acting,
    wanted: &[Wanted],
) -> Result<Holdings, PgError> {
    let failed = |e: Error| PgError::query("ask which rights the migrating role has", &e);
    let begin =
        "BEGIN READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = '60s'";
    client.batch_execute(begin).await.map_err(failed)?;
    let read = read(client, acting, wanted).await;
    client.batch_execute("ROLLBACK").await.map_err(failed)?;
    read.map_err(failed)
}

async fn read(client: &Client, acting: &Acting, wanted: &[Wanted]) -> Result<Holdings, Error> {
    let me = holder(client, acting).await?;
    let user = |name: String| match name.as_str() {
        "$user" => me.role.clone(),
        _ => name,
    };
    let path: Vec<String> = names_of(&acting.search_path)
        .into_iter()
        .map(user)
        .collect();
    let (mut schemas, mut names, mut extensions) = (path.clone(), Vec::new(), Vec::new());
    for want in wanted {
        match &want.need {
            Need::Database => {}
            Need::Create(schema) => schemas.extend(schema.clone()),
            Need::Extension(name) => extensions.push(name.clone()),
            Need::Own { kind, name, .. } if *kind == ObjectKind::Schema => {
                schemas.push(name.name.clone());
            }
            Need::Beside(name) | Need::May(name, _) | Need::Own { name, .. } => {
                schemas.extend(name.schema.clone());
                names.push(name.name.clone());
            }
        }
    }
    let role = &me.role;
    Ok(Holdings {
        schemas: read_schemas(client, role, &schemas).await?,
        relations: things(client, &relations(me.major), &[role, &names]).await?,
        types: things(client, TYPES, &[role, &names]).await?,
        routines: things(client, ROUTINES, &[role, &names]).await?,
        extensions: read_extensions(client, &extensions).await?,
        path,
        me,
    })
}

/// Of a `search_path`, as it stands in a SET.
fn names_of(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut name, mut quoted, mut within) = (String::new(), false, false);
    let mut letters = path.chars().chain([',']).peekable();
    while let Some(c) = letters.next() {
        match c {
            '"' if within && letters.peek() == Some(&'"') => name.extend(letters.next()),
            '"' => (within, quoted) = (!within, true),
            ',' if !within => {
                let folded = if quoted {
                    name.clone()
                } else {
                    name.trim().to_lowercase()
                };
                names.extend(Some(folded).filter(|n| !n.is_empty()));
                (name, quoted) = (String::new(), false);
            }
            c if within || !c.is_whitespace() => name.push(c),
            _ => {}
        }
    }
    names
}

/// Roles that only a provider has.
const PROVIDERS: [&str; 6] = [
    "rds_superuser",
    "cloudsqlsuperuser",
    "alloydbsuperuser",
    "supabase_admin",
    "neon_superuser",
    "azure_pg_admin",
];
/// Libraries that change nobody's rights.
const HARMLESS: [&str; 6] = [
    "auto_explain",
    "pg_cron",
    "pg_prewarm",
    "pg_stat_statements",
    "pgaudit",
    "plpgsql",
];

async fn holder(client: &Client, acting: &Acting) -> Result<Holder, Error> {
    // Who may not see which libraries are loaded does not see the rows.
    let sql = "SELECT r.rolname::text, r.rolsuper, r.rolinherit, current_database()::text, \
          has_database_privilege(r.rolname, current_database(), 'CREATE'), current_setting('server_version_num')::int / 10000, \
          EXISTS (SELECT FROM pg_catalog.pg_roles AS p WHERE p.rolname::text = ANY ($2)), \
          (SELECT string_agg(setting, ',') FROM pg_catalog.pg_settings WHERE name LIKE '%\\_preload\\_libraries' HAVING count(*) = 3) \
        FROM pg_catalog.pg_roles AS r WHERE r.rolname = coalesce($1::text::name, session_user)";
    let row = client
        .query_one(sql, &[&acting.role, &PROVIDERS.as_slice()])
        .await?;
    let libraries: Option<String> = row.try_get(7)?;
    let known = libraries.is_some_and(|all| {
        let mut named = all.split([',', ' ']).filter(|name| !name.is_empty());
        named.all(|name| HARMLESS.contains(&name.trim_matches('"')))
    });
    Ok(Holder {
        role: row.try_get(0)?,
        superuser: row.try_get(1)?,
        inherits: row.try_get(2)?,
        in_database: row.try_get(3)?,
        database: row.try_get(4)?,
        major: row.try_get(5)?,
        provider: row.try_get::<_, bool>(6)? || !known,
    })
}

/// Whose an object is, from column `at` on.
fn owner(row: &Row, at: usize) -> Result<Owner, Error> {
    Ok(Owner {
        name: row.try_get(at)?,
        superuser: row.try_get(at + 1)?,
        member: row.try_get(at + 2)?,
    })
}

/// Whether the role has the rights of an owner; the owner; whether it is a member at all.
const OWNER: &str = "pg_has_role($1::text::name, o.oid, 'USAGE'), o.rolname::text, o.rolsuper, pg_has_role($1::text::name, o.oid, 'MEMBER')";

async fn read_schemas(
    client: &Client,
    role: &str,
    names: &[String],
) -> Result<BTreeMap<String, Schema>, Error> {
    let sql = format!(
        "SELECT n.nspname::text, has_schema_privilege($1::text::name, n.oid, 'USAGE'), has_schema_privilege($1::text::name, n.oid, 'CREATE'), {OWNER} \
         FROM pg_catalog.pg_namespace AS n JOIN pg_catalog.pg_roles AS o ON o.oid = n.nspowner \
         WHERE n.nspname::text = ANY ($2) AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    );
    let mut schemas = BTreeMap::new();
    for row in client.query(&sql, &[&role, &names]).await? {
        let schema = Schema {
            usage: row.try_get(1)?,
            create: row.try_get(2)?,
            owned: row.try_get(3)?,
            owner: owner(&row, 4)?,
        };
        schemas.insert(row.try_get(0)?, schema);
    }
    Ok(schemas)
}

/// A right on one column is one: which columns a statement needs is not looked at.
fn relations(major: i32) -> String {
    let maintain = if major >= 17 { ", 'MAINTAIN'" } else { "" };
    format!(
        "SELECT n.nspname::text, c.relname::text, c.relkind::text, {OWNER}, \
           ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'{maintain}]) AS p \
             WHERE has_table_privilege($1::text::name, coalesce(i.indrelid, c.oid), p) \
               OR CASE WHEN p IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') THEN has_any_column_privilege($1::text::name, coalesce(i.indrelid, c.oid), p) ELSE false END), \
           (SELECT format('%I.%I', tn.nspname, t.relname) FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace \
             WHERE t.oid = coalesce(i.indrelid, c.oid)) \
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_roles AS o ON o.oid = c.relowner LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid \
         WHERE c.relname::text = ANY ($2) AND n.nspname !~ '^pg_(toast|temp)'"
    )
}

/// Types of their own, not those that come with a table; and those of the server, which come first.
const TYPES: &str = "SELECT n.nspname::text, t.typname::text, 'y', pg_has_role($1::text::name, o.oid, 'USAGE'), o.rolname::text, o.rolsuper, \
      pg_has_role($1::text::name, o.oid, 'MEMBER'), '{}'::text[], '' \
    FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace JOIN pg_catalog.pg_roles AS o ON o.oid = t.typowner \
    WHERE t.typname::text = ANY ($2) AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = t.typrelid AND c.relkind = 'c'))";

/// What is owned comes last of its name, and stays.
const ROUTINES: &str = "SELECT n.nspname::text, f.proname::text, 'f', pg_has_role($1::text::name, o.oid, 'USAGE') AS owned, o.rolname::text, o.rolsuper, \
      pg_has_role($1::text::name, o.oid, 'MEMBER'), '{}'::text[], '' \
    FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace JOIN pg_catalog.pg_roles AS o ON o.oid = f.proowner \
    WHERE f.proname::text = ANY ($2) ORDER BY owned";

async fn things(client: &Client, sql: &str, of: &[&(dyn ToSql + Sync)]) -> Result<Things, Error> {
    let mut things = Things::new();
    for row in client.query(sql, of).await? {
        let rights: Vec<String> = row.try_get(7)?;
        let thing = Thing {
            kind: row.try_get(2)?,
            owned: row.try_get(3)?,
            owner: owner(&row, 4)?,
            rights: rights.into_iter().collect(),
            table: row.try_get(8)?,
        };
        things.insert((row.try_get(0)?, row.try_get(1)?), thing);
    }
    Ok(things)
}

async fn read_extensions(
    client: &Client,
    names: &[String],
) -> Result<BTreeMap<String, Option<bool>>, Error> {
    // Which of several versions is made is not looked at: what does not go for all of them nobody knows.
    let sql = "SELECT a.name::text, CASE WHEN e.oid IS NULL THEN (SELECT CASE WHEN NOT bool_and(v.superuser) THEN NULL \
            WHEN bool_and(v.trusted) THEN true WHEN NOT bool_or(v.trusted) THEN false END \
          FROM pg_catalog.pg_available_extension_versions AS v WHERE v.name = a.name) END \
        FROM pg_catalog.pg_available_extensions AS a LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = a.name WHERE a.name::text = ANY ($1)";
    let mut extensions = BTreeMap::new();
    for row in client.query(sql, &[&names]).await? {
        extensions.insert(row.try_get(0)?, row.try_get(1)?);
    }
    Ok(extensions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_path_is_read_as_the_server_reads_it() {
        for (path, names) in [
            ("public", &["public"][..]),
            ("\"App\", public", &["App", "public"]),
            ("\"a\"\"b,c\", \"$user\"", &["a\"b,c", "$user"]),
            ("\"\"", &[]),
            ("Public , x", &["public", "x"]),
        ] {
            assert_eq!(names_of(path), names, "{path}");
        }
    }
}
