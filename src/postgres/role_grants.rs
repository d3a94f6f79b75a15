//! What roles were given: memberships, and privileges on settings (G15).

use tokio_postgres::Client;

use super::globals::quote_setting;
use super::names::quote_ident;
use super::role_closure::readable;

/// Memberships of these roles, but in groups whose names cannot be read here. `options` are those that the server has from 16 on.
fn asked(options: &str) -> String {
    format!(
        "SELECT g.rolname::text, m.rolname::text, pg_catalog.bool_or(a.admin_option) {options} \
         FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid = a.roleid \
         JOIN pg_catalog.pg_roles m ON m.oid = a.member WHERE m.oid = ANY ($1) AND {} GROUP BY 1, 2 ORDER BY 1, 2",
        readable("g.rolname")
    )
}

const OPTIONS: &str = ", pg_catalog.bool_or(a.inherit_option), pg_catalog.bool_or(a.set_option)";

/// From 15 on a setting has privileges, which belong to the server as roles do.
const PARAMETERS: &str = "\
    SELECT p.parname::text, r.rolname::text, x.privilege_type::text, pg_catalog.bool_or(x.is_grantable) \
    FROM pg_catalog.pg_parameter_acl p CROSS JOIN LATERAL pg_catalog.aclexplode(p.paracl) x \
    JOIN pg_catalog.pg_roles r ON r.oid = x.grantee WHERE r.oid = ANY ($1) AND r.oid <> 10 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

/// Memberships of these roles, and their privileges on settings.
pub(super) async fn grants(
    client: &Client,
    oids: &[u32],
    sql: &mut String,
) -> Result<(), tokio_postgres::Error> {
    let version = "SELECT pg_catalog.current_setting('server_version_num')::int / 10000";
    let major: i32 = client.query_one(version, &[]).await?.try_get(0)?;
    memberships(client, oids, major >= 16, sql).await?;
    if major < 15 {
        return Ok(());
    }
    for row in client.query(PARAMETERS, &[&oids]).await? {
        let (setting, role): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let privilege: String = row.try_get(2)?;
        let with = match row.try_get::<_, bool>(3)? {
            true => " WITH GRANT OPTION",
            false => "",
        };
        sql.push_str(&format!(
            "GRANT {privilege} ON PARAMETER {} TO {}{with};\n",
            quote_setting(&setting),
            quote_ident(&role)
        ));
    }
    Ok(())
}

async fn memberships(
    client: &Client,
    oids: &[u32],
    since_16: bool,
    sql: &mut String,
) -> Result<(), tokio_postgres::Error> {
    let asked = asked(if since_16 { OPTIONS } else { "" });
    for row in client.query(&asked, &[&oids]).await? {
        let (group, member): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let admin: bool = row.try_get(2)?;
        let with = if since_16 {
            let (inherit, set): (bool, bool) = (row.try_get(3)?, row.try_get(4)?);
            format!(" WITH ADMIN {admin}, INHERIT {inherit}, SET {set}").to_uppercase()
        } else if admin {
            " WITH ADMIN OPTION".to_owned()
        } else {
            String::new()
        };
        sql.push_str(&format!(
            "GRANT {} TO {}{with};\n",
            quote_ident(&group),
            quote_ident(&member)
        ));
    }
    Ok(())
}
