//! Who follows the WAL has come after us before we do more: standbys replay what locked readers out (M15), as three milliseconds
//! here may stop the readers there for half a minute; and nobody is left so far behind that it loses what it needs (M19).

use tokio::time::{Duration, Instant, sleep};
use tokio_postgres::Client;

use super::failure::Failure;
use super::{Limits, Observer};
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

/// A slot that is about to lose WAL, or somebody who is too far behind: what is worst first. A slot that has lost it already has
/// nothing left to be spared, and what is hidden from the role the pre-checks have named.
const BEHIND: &str = "SELECT 'the replication slot ' || r.slot_name || ' is about to lose the WAL that it needs' \
      FROM pg_catalog.pg_replication_slots AS r, pg_catalog.pg_settings AS k \
      WHERE k.name = 'max_slot_wal_keep_size' AND (r.wal_status = 'unreserved' \
        OR r.wal_status <> 'lost' AND k.setting::bigint > 0 AND r.safe_wal_size < k.setting::bigint * 1024 * 1024 / 10) \
    UNION ALL SELECT * FROM (SELECT pg_catalog.format('%s (pid %s) is %s bytes of WAL behind, more than %s', r.application_name, r.pid, f.lag, $1::bigint) \
      FROM pg_catalog.pg_stat_replication AS r, LATERAL (SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), \
        coalesce(r.replay_lsn, r.write_lsn)) AS lag) AS f WHERE r.state <> 'backup' AND f.lag > $1::bigint ORDER BY f.lag DESC) AS far LIMIT 1";

/// Waits until all that we have written may be followed by more (M19).
pub(super) async fn followed(
    watch: &Client,
    limits: &Limits,
    observer: &dyn Observer,
) -> Result<(), Failure> {
    let failed = |e: tokio_postgres::Error| Failure::ours("ask who is behind", &e);
    let limit = i64::try_from(limits.lag_bytes).unwrap_or(i64::MAX);
    let until = Instant::now() + limits.replay;
    let mut said = false;
    loop {
        let row = watch.query_opt(BEHIND, &[&limit]).await.map_err(failed)?;
        let Some(row) = row else {
            return Ok(());
        };
        let why: String = row.try_get(0).map_err(failed)?;
        if Instant::now() >= until {
            let why = format!(
                "{why}, and has been for {} s: let it catch up; what is applied stands",
                limits.replay.as_secs()
            );
            return Err(Failure::hold(Reason::WouldBlock, why));
        }
        if !said {
            observer
                .says(&format!("{why}; the next segment waits"))
                .await;
            said = true;
        }
        sleep(LOOK).await;
    }
}
