//! Settings of an application that the restoring role has for itself at the source: its sessions speak with them, because a check
//! may hang on one. They count more than those of the database, as they did there.

use super::connect::Connection;
use super::extension_settings::is_carried;
use super::names::quote_ident;
use super::toc::Toc;
use crate::manifest::{Contents, Role};

/// Those that a backup has of a role: names and values.
fn recorded(role: &Role) -> Vec<(String, String)> {
    let head = format!("ALTER ROLE {} SET ", quote_ident(&role.name));
    let settings = role.statements.iter().filter_map(|statement| {
        let (name, value) = statement.strip_prefix(&head)?.split_once(" TO ")?;
        let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
        let (name, value) = (name.replace('"', ""), value.replace("''", "'"));
        is_carried(&name, &value).then_some((name, value))
    });
    settings.collect()
}

/// Startup options with which sessions of this role speak as at the source, each with a blank before it. What the server does not take
/// is left out: what hangs on it says so by itself.
pub(super) async fn startup_options(
    session: &Connection,
    contents: &Contents,
    toc: &Toc,
    user: &str,
) -> String {
    let mut options = String::new();
    let roles = contents.roles.iter().filter(|role| role.name == user);
    let of_database = toc
        .entries
        .iter()
        .filter(|e| e.desc == "DATABASE PROPERTIES");
    let of_database: Vec<String> = of_database.map(|e| e.definition.display()).collect();
    // What the role has in this database alone counts more, and would be hidden.
    let closer = |name: &str| {
        let set = format!(" SET \"{name}\" TO ");
        let of_role =
            [user.to_owned(), quote_ident(user)].map(|r| format!("ALTER ROLE {r} IN DATABASE "));
        let mut lines = of_database.iter().flat_map(|text| text.lines());
        lines.any(|l| l.contains(&set) && of_role.iter().any(|head| l.starts_with(head)))
    };
    for (name, value) in roles.flat_map(recorded).filter(|(name, _)| !closer(name)) {
        let sql = "SELECT pg_catalog.set_config($1, $2, false)";
        if session
            .client
            .query_one(sql, &[&name, &value])
            .await
            .is_ok()
        {
            let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
            options.push_str(&format!(" -c {name}={value}"));
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g14_what_an_application_has_set_for_a_role_is_read_from_what_makes_it() {
        let role = Role {
            name: "post\"gres".to_owned(),
            statements: [
                "CREATE ROLE \"post\"\"gres\"",
                "ALTER ROLE \"post\"\"gres\" SET \"app\".\"region\" TO 'it''s'",
                "ALTER ROLE \"post\"\"gres\" SET \"work_mem\" TO '1MB'",
                "ALTER ROLE \"post\"\"gres\" SET \"cron\".\"host\" TO 'x'",
                "ALTER ROLE \"other\" SET \"app\".\"region\" TO '2'",
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        let found = recorded(&role);
        assert_eq!(found, [("app.region".to_owned(), "it's".to_owned())]);
    }
}
