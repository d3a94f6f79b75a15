//! One statement of the plan, as it is sent.

use tokio_postgres::Client;

/// Runs it by the extended protocol, which refuses a second one in the same text (M20). Rows are counted, not kept, and their
/// types not asked for: the question would wait behind the rows, and the server with it.
pub(super) async fn run(client: &Client, text: &str) -> Result<u64, tokio_postgres::Error> {
    client.execute_typed(text, &[]).await
}
