//! Objects of extensions, with a fingerprint of each (G4). A dump says `CREATE EXTENSION` and nothing of them: what a user
//! changed in them or put on them is lost. What that statement makes is known in a server only, so a drill compares.

use tokio_postgres::{Client, Row};

use super::error::PgError;
use crate::manifest::{Member, Name};

/// Most objects that are recorded: postgis has about a thousand.
pub(crate) const MOST: usize = 20_000;

/// Every object of an extension, and what stands on its tables and views.
///
/// # Errors
/// Those of a query.
pub(super) async fn members(client: &Client) -> Result<Vec<Member>, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("read the objects of extensions", &e);
    let most = i64::try_from(MOST).unwrap_or(i64::MAX);
    let rows = client.query(include_str!("members.sql"), &[&most]).await;
    let read = |row: &Row| {
        let on: Option<Vec<u8>> = row.try_get(3)?;
        Ok(Member {
            extension: row.try_get(0)?,
            kind: row.try_get(1)?,
            name: Name::from_bytes(&row.try_get::<_, Vec<u8>>(2)?),
            on: on.map(|on| Name::from_bytes(&on)),
            fingerprint: row.try_get(4)?,
        })
    };
    let rows = rows.map_err(failed)?;
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}
