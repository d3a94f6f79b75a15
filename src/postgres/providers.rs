//! Extensions that only a provider's own servers have (G18): no customer can restore them anywhere else, so a drill
//! leaves them out and says so, where nothing in the backup hangs on them. The archive stays whole.

use std::collections::BTreeSet;

use crate::manifest::{Contents, Name};

/// Whose they are.
const NAMES: [(&str, &str); 12] = [
    ("apg_plan_mgmt", "Amazon"),
    ("azure", "Azure"),
    ("google_columnar_engine", "Google"),
    ("google_db_advisor", "Google"),
    ("google_ml_integration", "Google"),
    ("neon", "Neon"),
    ("neon_utils", "Neon"),
    ("pg_graphql", "Supabase"),
    ("pgaadauth", "Azure"),
    ("rds_activity_stream", "Amazon"),
    ("rds_tools", "Amazon"),
    ("supabase_vault", "Supabase"),
];
/// Families of names.
const FAMILIES: [(&str, &str); 2] = [("aws_", "Amazon"), ("azure_", "Azure")];

/// Roles that a provider makes on its own servers, as a regular expression of the server's: nobody's application logs in as
/// one, and none can be made elsewhere. Whole names, but for families that the provider keeps to itself.
pub const ROLES: &str = "^(rds_(superuser|replication|iam|password|ad|extension|reserved)|\
    rds(admin|repladmin|topmgr|proxyadmin|writeforwarduser)|cloudsql.*|alloydb.*|azure_(pg_admin|superuser)|azuresu|\
    supabase_.*|neon_(superuser|service)|cloud_admin)$";

/// The provider on whose servers alone an extension is to be had.
#[must_use]
pub fn provider_of(extension: &str) -> Option<&'static str> {
    let exact = NAMES.iter().find(|(name, _)| *name == extension);
    let family = || {
        FAMILIES
            .iter()
            .find(|(family, _)| extension.starts_with(family))
    };
    exact.or_else(family).map(|(_, provider)| *provider)
}

/// Whether rows of an extension's own tables are in the backup: then leaving it out would lose them.
#[must_use]
pub fn has_rows(contents: &Contents, extension: &str) -> bool {
    let mut tables = contents.relations.iter();
    tables.any(|r| r.extension.as_deref() == Some(extension) && r.rows.is_some_and(|n| n > 0))
}

/// Whether an entry of a dump makes one of these extensions, or comments on it.
#[must_use]
pub fn makes(extensions: &BTreeSet<String>, desc: &str, tag: &Name) -> bool {
    let tag = tag.display();
    match desc {
        "EXTENSION" => extensions.contains(&tag),
        "COMMENT" => tag
            .strip_prefix("EXTENSION ")
            .is_some_and(|name| extensions.contains(name.trim_matches('"'))),
        _ => false,
    }
}

/// Takes extensions, what makes them and their empty tables out of what is expected of a restored database.
pub fn leave_out(expected: &mut Contents, extensions: &BTreeSet<String>) {
    let left = |name: &Option<String>| name.as_ref().is_some_and(|name| extensions.contains(name));
    expected
        .extensions
        .retain(|(name, _)| !extensions.contains(name));
    expected
        .entries
        .retain(|e| !makes(extensions, &e.desc, &e.tag));
    expected.relations.retain(|r| !left(&r.extension));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g18_only_what_no_customer_can_restore_is_a_providers() {
        assert_eq!(provider_of("aws_s3"), Some("Amazon"));
        assert_eq!(provider_of("supabase_vault"), Some("Supabase"));
        for anybodys in [
            "postgis", "pg_cron", "pg_net", "pgsodium", "neonatal", "hstore",
        ] {
            assert_eq!(provider_of(anybodys), None, "{anybodys}");
        }
    }

    #[test]
    fn an_entry_that_makes_an_extension_is_known_with_its_comment() {
        let left = BTreeSet::from(["aws_s3".to_owned()]);
        let tag = |text: &str| Name::from_bytes(text.as_bytes());
        assert!(makes(&left, "EXTENSION", &tag("aws_s3")));
        assert!(makes(&left, "COMMENT", &tag("EXTENSION aws_s3")));
        assert!(!makes(&left, "EXTENSION", &tag("hstore")));
        assert!(!makes(&left, "TABLE", &tag("aws_s3")));
    }
}
