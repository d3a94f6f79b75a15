//! What a standby has replayed, as a moment: its data is no newer, whatever its clock says (G5).

use jiff::Timestamp;
use tokio_postgres::Client;

use super::error::PgError;
use crate::api::Reason;

/// Commits carry the moment at which the primary made them. Where the primary is idle, what it says while it sends its log is
/// younger: everything that it had by then is replayed. Only a role that may read all statistics sees that.
const REPLAYED: &str = "\
    SELECT pg_catalog.pg_last_xact_replay_timestamp(), \
           (SELECT w.last_msg_send_time FROM pg_catalog.pg_stat_wal_receiver w \
             WHERE w.status = 'streaming' AND w.latest_end_lsn <= pg_catalog.pg_last_wal_replay_lsn())";
/// The primary's newest checkpoint that was replayed. A managed service may deny it.
const CHECKPOINT: &str = "SELECT checkpoint_time FROM pg_catalog.pg_control_checkpoint()";

/// The recovery point of what the standby shows from now on: everything that the server it follows had committed by then is
/// there, by that server's clock.
///
/// # Errors
/// Those of a query; `PermissionDenied` where the standby tells none of it.
pub(super) async fn replayed(client: &Client) -> Result<Timestamp, PgError> {
    let failed = |e: tokio_postgres::Error| PgError::query("ask what was replayed", &e);
    let row = client.query_one(REPLAYED, &[]).await.map_err(failed)?;
    let commit: Option<Timestamp> = row.try_get(0).map_err(failed)?;
    let sent: Option<Timestamp> = row.try_get(1).map_err(failed)?;
    let checkpoint = client.query_one(CHECKPOINT, &[]).await.ok();
    let checkpoint = checkpoint.and_then(|row| row.try_get(0).ok());
    let known = [commit, sent, checkpoint].into_iter().flatten().max();
    known.ok_or_else(|| {
        PgError::never(
            Reason::PermissionDenied,
            "the server is a standby and does not say up to when it has replayed, so the age of its data is not known; \
             GRANT pg_monitor to the role, or back up from the primary",
        )
    })
}
