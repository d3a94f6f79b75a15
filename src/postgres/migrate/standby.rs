//! Standbys replay what we did before we do more (M15): three milliseconds here may stop the readers there for half a minute.

use tokio::time::{Duration, Instant, sleep};
use tokio_postgres::Client;

use super::failure::Failure;
use crate::api::Reason;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until every standby that can be seen has replayed what is written by now.
pub(super) async fn replayed(watch: &Client, patience: Duration) -> Result<(), Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("ask how far the standbys are", &e);
    let here = "SELECT pg_catalog.pg_current_wal_lsn()::text";
    let here = watch.query_one(here, &[]).await.map_err(failed)?;
    let here: String = here.try_get(0).map_err(failed)?;
    // Where the columns are hidden from the role nothing can be waited for; the pre-checks have said so.
    // A subscriber has a database, and its readers are not ours to spare.
    let behind = "SELECT r.application_name FROM pg_catalog.pg_stat_replication AS r \
        LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = r.pid \
        WHERE r.state = 'streaming' AND a.datid IS NULL AND r.replay_lsn < $1::text::pg_lsn ORDER BY r.replay_lsn LIMIT 1";
    let until = Instant::now() + patience;
    loop {
        let Some(row) = watch.query_opt(behind, &[&here]).await.map_err(failed)? else {
            return Ok(());
        };
        if Instant::now() >= until {
            let name: Option<String> = row.try_get(0).map_err(failed)?;
            return Err(Failure::hold(
                Reason::WouldBlock,
                format!(
                    "the standby {} has not replayed the last segment in {} s: somebody reads there what it changes; what is \
                     applied stands",
                    name.unwrap_or_default(),
                    patience.as_secs()
                ),
            ));
        }
        sleep(LOOK).await;
    }
}
