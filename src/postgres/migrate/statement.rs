//! One statement of the plan, as it is sent.

use std::pin::pin;

use futures::TryStreamExt;
use tokio_postgres::Client;

/// Runs it by the extended protocol, which refuses a second one in the same text (M20). Rows are counted, not kept.
pub(super) async fn run(client: &Client, text: &str) -> Result<u64, tokio_postgres::Error> {
    let rows = client
        .query_typed_raw(text, Vec::<(&str, _)>::new())
        .await?;
    let mut rows = pin!(rows);
    while rows.try_next().await?.is_some() {}
    Ok(rows.rows_affected().unwrap_or_default())
}
