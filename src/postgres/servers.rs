//! Is it one server that answers? Behind one address there may be several: a proxy that gives each connection to the next one, a
//! pooler that sends reads elsewhere. Facts of one and a snapshot of another make no backup.

use std::fmt;

use tokio_postgres::{Client, SimpleQueryMessage};

use super::connect::Connection;
use super::contention::Contention;
use super::coordinator::Coordinator;
use super::error::PgError;
use super::step::Observer;
use super::target::Target;
use crate::api::Reason;

/// When the server was started, to the microsecond: no two servers have that in common. Where it is, is for people.
const STARTED: &str = "\
    pg_catalog.to_char(pg_catalog.pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
    pg_catalog.host(pg_catalog.inet_server_addr()), pg_catalog.inet_server_port()";

/// A server, as one statement found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    started: String,
    place: Option<String>,
    standby: Option<bool>,
}

impl Who {
    /// From the first four columns: those of [`STARTED`], and whether it is a standby.
    pub(super) fn of(row: &[Option<String>]) -> Self {
        let text = |at: usize| row.get(at).cloned().flatten();
        let place = text(1).zip(text(2));
        Self {
            started: text(0).unwrap_or_default(),
            place: place.map(|(host, port)| format!("{host}:{port}")),
            standby: text(3).map(|t| matches!(t.as_str(), "t" | "on")),
        }
    }

    /// Fails if another server answered than this one.
    ///
    /// # Errors
    /// `SeveralServers`.
    pub(super) fn same(&self, other: &Self, target: &Target) -> Result<(), PgError> {
        match self.started == other.started {
            true => Ok(()),
            false => Err(several(target, &format!("{self}, and {other}"))),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.standby {
            Some(true) => "a standby",
            Some(false) => "a primary",
            None => "a server",
        })?;
        if let Some(place) = &self.place {
            write!(f, " at {place}")?;
        }
        write!(f, " (started {})", self.started)
    }
}

/// What several servers behind one address are called, and what to do.
fn several(target: &Target, which: &str) -> PgError {
    PgError::later(
        Reason::SeveralServers,
        format!(
            "several servers answer behind {}:{}: {which}; a backup must be of one: give the address of one server, or of a proxy that leads to one",
            target.host, target.port
        ),
    )
}

/// The first row of an answer, as text.
pub(super) async fn row(client: &Client, sql: &str) -> Result<Vec<Option<String>>, PgError> {
    let messages = client
        .simple_query(sql)
        .await
        .map_err(|e| PgError::query("ask the server who it is", &e))?;
    let first = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(
            (0..row.len())
                .map(|at| row.get(at).map(str::to_owned))
                .collect(),
        ),
        _ => None,
    });
    Ok(first.unwrap_or_default())
}

/// Who answers a plain read, which a pooler may send to a standby, and who answers a statement with effects; `more` are further
/// columns of the latter.
pub(super) async fn ask(
    client: &Client,
    more: &str,
    target: &Target,
) -> Result<(Who, Vec<Option<String>>), PgError> {
    let plain = format!("SELECT {STARTED}, pg_catalog.current_setting('in_hot_standby', true)");
    let plain = Who::of(&row(client, &plain).await?);
    let full = format!("SELECT {STARTED}, pg_catalog.pg_is_in_recovery(){more}");
    let full = row(client, &full).await?;
    let who = Who::of(&full);
    who.same(&plain, target)?;
    Ok((who, full))
}

/// Fails unless all of these connections lead to one server, which is the one that was looked at before.
///
/// # Errors
/// `SeveralServers`, and those of a query.
pub(super) async fn one(
    target: &Target,
    known: Option<&Who>,
    connections: &[&Connection],
) -> Result<(), PgError> {
    let mut known = known.cloned();
    for connection in connections {
        let (who, _) = ask(&connection.client, "", target).await?;
        known
            .get_or_insert_with(|| who.clone())
            .same(&who, target)?;
    }
    Ok(())
}

impl Coordinator {
    /// As [`Coordinator::begin_on`], on whichever server answers.
    ///
    /// # Errors
    /// As there.
    pub async fn begin(
        target: &Target,
        application_name: &str,
        contention: &mut Contention,
        observer: &dyn Observer,
    ) -> Result<Self, PgError> {
        Self::begin_on(None, target, application_name, contention, observer).await
    }
}

/// Exports a snapshot in one session and takes it over in others, as pg_dump will.
///
/// # Errors
/// `SeveralServers` if it is not known there, and those of a query.
pub(super) async fn share_a_snapshot(
    target: &Target,
    exporter: &Client,
    importers: &[&Client],
) -> Result<(), PgError> {
    const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let failed = |e: &tokio_postgres::Error| PgError::query("share a snapshot", e);
    exporter
        .batch_execute(BEGIN)
        .await
        .map_err(|e| failed(&e))?;
    let found = row(exporter, "SELECT pg_catalog.pg_export_snapshot()").await?;
    let name = found.into_iter().flatten().next().unwrap_or_default();
    for importer in importers {
        importer
            .batch_execute(BEGIN)
            .await
            .map_err(|e| failed(&e))?;
        let import = format!("SET TRANSACTION SNAPSHOT '{name}'");
        let outcome = importer.batch_execute(&import).await;
        outcome.map_err(|e| match e.as_db_error() {
            Some(said) => several(
                target,
                &format!(
                    "a snapshot of one connection is not known to another ({})",
                    said.message()
                ),
            ),
            None => failed(&e),
        })?;
        importer
            .batch_execute("ROLLBACK")
            .await
            .map_err(|e| failed(&e))?;
    }
    exporter
        .batch_execute("ROLLBACK")
        .await
        .map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(started: &str, standby: &str) -> Who {
        Who::of(&[started, "10.0.0.1", "5432", standby].map(|t| Some(t.to_owned())))
    }

    #[test]
    fn a_server_is_known_by_its_start_and_not_by_its_address_or_its_part() {
        let target = Target::from_uri("postgresql://u@db/shop?sslmode=disable", &|_| None).unwrap();
        let one = who("2026-11-30T15:09:26.913650Z", "f");
        let promoted = Who {
            place: None,
            ..who("2026-11-30T15:09:26.913650Z", "t")
        };
        one.same(&promoted, &target).unwrap();
        let error = one
            .same(&who("2026-11-30T15:09:26.913651Z", "t"), &target)
            .unwrap_err();
        assert_eq!(error.reason(), Reason::SeveralServers);
        for told in [
            "several servers answer behind db:5432: a primary at 10.0.0.1:5432 (started 2026-11-30T15:09:26.913650Z)",
            "and a standby at 10.0.0.1:5432 (started 2026-11-30T15:09:26.913651Z)",
        ] {
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
