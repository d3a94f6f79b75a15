//! One statement of the plan, as it is sent.

use tokio_postgres::Client;

/// Statements whose count is of rows that they write. What a SELECT returns is nobody's change.
const WRITES: [&str; 6] = [
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "CREATE TABLE AS",
    "SELECT INTO",
];

/// Whether its count says how many rows it writes (M8).
pub(super) fn writes_rows(verb: &str) -> bool {
    WRITES.contains(&verb)
}

/// Runs it by the extended protocol, which refuses a second one in the same text (M20). Rows are counted, not kept, and their
/// types not asked for: the question would wait behind the rows, and the server with it.
pub(super) async fn run(client: &Client, text: &str) -> Result<u64, tokio_postgres::Error> {
    client.execute_typed(text, &[]).await
}
