//! Whether a row of the history was deleted or changed: each row keeps the hash over all before it.

use tokio_postgres::Client;

use super::history::{HEAD, exists};
use crate::postgres::error::PgError;

/// Most looks for the first row that does not fit, each half as far as the one before.
const MOST_LOOKS: usize = 64;

/// The first row before which one is missing or other than it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Its `id`.
    pub id: i64,
    /// Its version.
    pub version: String,
}

/// Looks for a break. A row that was undone, or whose batches another run goes on with, is another than it was, so what comes after it is not looked at.
///
/// # Errors
/// Those of a query.
pub async fn broken(client: &Client) -> Result<Option<Break>, PgError> {
    let failed = |e| PgError::query("look at the chain of the history", &e);
    if !exists(client).await.map_err(failed)? {
        return Ok(None);
    }
    let sql = "SELECT h.id, h.version, h.previous FROM lifeboat.migration_history AS h WHERE NOT EXISTS (\
          SELECT FROM lifeboat.migration_history AS u WHERE (u.state = 'undone' OR u.kind = 'batches' AND u.state = 'failed') AND u.id < h.id) ORDER BY h.id";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let head = HEAD.replace(
        "FROM lifeboat.migration_history",
        "FROM lifeboat.migration_history WHERE id < $1",
    );
    let fits = async |at: usize| -> Result<bool, tokio_postgres::Error> {
        let Some(row) = rows.get(at) else {
            return Ok(true);
        };
        let (id, previous): (i64, String) = (row.try_get(0)?, row.try_get(2)?);
        let head: Option<String> = client.query_one(&head, &[&id]).await?.try_get(0)?;
        Ok(head.unwrap_or_default() == previous)
    };
    // Where one does not fit, none behind it does.
    let Some(last) = rows.len().checked_sub(1) else {
        return Ok(None);
    };
    if fits(last).await.map_err(failed)? {
        return Ok(None);
    }
    let (mut fit, mut broken) = (0, last);
    for _ in 0..MOST_LOOKS {
        if fit >= broken {
            break;
        }
        let middle = fit + (broken - fit) / 2;
        match fits(middle).await.map_err(failed)? {
            true => fit = middle + 1,
            false => broken = middle,
        }
    }
    let Some(row) = rows.get(broken) else {
        return Ok(None);
    };
    Ok(Some(Break {
        id: row.try_get(0).map_err(failed)?,
        version: row.try_get(1).map_err(failed)?,
    }))
}
