//! Money is written in the locale that `lc_monetary` names, and read in that of whoever reads it: `$12.34` of one locale is
//! `$1234` of another, without an error (G14).

use tokio_postgres::Client;

use super::error::PgError;
use crate::api::Reason;
use crate::manifest::Contents;

/// Whether anything in the database holds money: columns of tables and composite types, domains, ranges; arrays of all.
const HELD: &str = "\
    SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.atttypid IN (790, 791) AND a.attrelid >= 16384 AND NOT a.attisdropped) \
        OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typbasetype IN (790, 791)) \
        OR EXISTS (SELECT FROM pg_catalog.pg_range r WHERE r.rngsubtype = 790)";

/// In which locale the session writes money, where that is not the one of the backup although there is money; `None`: no
/// value can be taken for another.
async fn other(client: &Client, recorded: &Contents) -> Result<Option<(String, String)>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("ask for the locale of money", &e);
    let Some(was) = recorded.settings.get("lc_monetary") else {
        return Ok(None);
    };
    let sql = format!("SELECT pg_catalog.current_setting('lc_monetary'), ({HELD})");
    let row = client.query_one(&sql, &[]).await.map_err(failed)?;
    let (is, held): (String, bool) = (
        row.try_get(0).map_err(failed)?,
        row.try_get(1).map_err(failed)?,
    );
    Ok((held && is != *was).then(|| (was.clone(), is)))
}

fn missing(was: &str, is: &str) -> PgError {
    PgError::never(
        Reason::LocaleMissing,
        format!(
            "the database holds money as the locale {was} (lc_monetary) writes it, and this server reads it as {is}, which may be \
             another amount; name an image that has the locale in spec.postgres.image"
        ),
    )
}

/// What was loaded into this database was read as it was written.
///
/// # Errors
/// `LocaleMissing` where it may not have been; those of a query.
pub async fn loaded_alike(client: &Client, recorded: &Contents) -> Result<(), PgError> {
    match other(client, recorded).await? {
        Some((was, is)) => Err(missing(&was, &is)),
        None => Ok(()),
    }
}

/// From here on, until the end of the transaction, money is written as the backup's was.
///
/// # Errors
/// `LocaleMissing` where the server does not have the locale and there is money; those of a query.
pub async fn speak(client: &Client, recorded: &Contents) -> Result<(), PgError> {
    let Some((was, is)) = other(client, recorded).await? else {
        return Ok(());
    };
    let sql = "SELECT pg_catalog.set_config('lc_monetary', $1, true)";
    match client.query(sql, &[&was]).await {
        Ok(_) => Ok(()),
        Err(error) if error.code().is_some() => Err(missing(&was, &is)),
        Err(error) => Err(PgError::query("set the locale of money", &error)),
    }
}
