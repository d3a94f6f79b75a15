//! One try to read a database: locks, snapshot, dump and counts beside each other, and the locks proved at the end (G1-G3); given
//! up as soon as somebody waits too long for these locks (G9).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncReadExt;

use super::backup::{Open, Plan, ZSTD_LEVEL};
use super::failure::Failure;
use crate::codec::{Codec, ObjectWriter};
use crate::manifest::{Base, Contents, ObjectRole};
use crate::postgres::blocking::{self, Waiter};
use crate::postgres::copying::{self, Underway};
use crate::postgres::error::PgError;
use crate::postgres::globals::Globals;
use crate::postgres::pooler::Pooler;
use crate::postgres::{
    Contention, Coordinator, DumpOrder, DumpProcess, Ended, Observer, Preflight, Print, Programs,
    Step, TocParser, census, left_out, watchdog, witness,
};

/// Bytes read from pg_dump at once.
const READ: usize = 256 * 1024;
/// How long pg_dump is let alone while others may wait for it.
const ALONE: Duration = Duration::from_secs(2);
/// How long a failed run asks whether its locks were lost.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What was read of the database, by sessions that are over: the locks lasted until then (G2).
pub(super) struct Read {
    pub(super) contents: Contents,
    pub(super) globals: Globals,
    /// The recovery point.
    pub(super) data_at: Timestamp,
    pub(super) base: Base,
}

/// How one try to read the database ended.
pub(super) enum Attempt {
    Read(Box<Read>),
    /// Somebody waited for our locks: they are gone, and what was read counts for nothing.
    LetGo(Waiter),
}

/// Locks, dumps and counts; the dump is in the writer that is `open`, and no lock is held any more.
pub(super) async fn read(
    plan: &Plan,
    found: &Preflight,
    tool: &Programs,
    contention: &mut Contention,
    observer: &dyn Observer,
    open: &mut Open,
) -> Result<Attempt, Failure> {
    let coordinator = Coordinator::begin_on(
        Some(&found.server),
        &plan.target,
        &plan.application_name,
        contention,
        observer,
    )
    .await?;
    let pooled = found.pooler != Pooler::None;
    let print = Print::of_session(coordinator.client(), &found.encoding, pooled).await?;
    let heard = coordinator.heard();
    let order = DumpOrder {
        target: &plan.target,
        tool,
        snapshot: coordinator.snapshot(),
        application_name: &plan.application_name,
        pooled,
        print: &print,
        heard: &heard,
        scratch: &plan.scratch,
    };
    let dump = DumpProcess::spawn(&order)?;
    let codec = Codec {
        zstd: (!dump.compressed).then_some(ZSTD_LEVEL),
        recipients: plan.recipients.clone(),
    };
    *open = Some(ObjectWriter::new(
        Arc::clone(&plan.store),
        &plan.identity.prefix(),
        "dump.pgc",
        ObjectRole::Dump,
        &codec,
        plan.limits,
    )?);
    observer.reached(Step::DumpStarted).await;
    // Counting and dumping read under one snapshot, so they may go side by side.
    let underway = Underway::default();
    let counting = async {
        let census = census::take_beside(
            &coordinator,
            plan.line_key,
            apart(&coordinator, &underway),
            alone(&underway),
            observer,
        )
        .await?;
        let _ = underway.contents.set(census.contents.clone());
        match plan.line_key {
            Some(key) => Ok(census.hash(&coordinator, key, None, observer).await?),
            None => Ok::<_, Failure>(census.contents),
        }
    };
    let both = async { tokio::try_join!(stream(dump, &underway, open, observer), counting) };
    // Its table of contents comes when it has locked everything.
    let locked = || underway.toc.get().is_some();
    let read = tokio::select! {
        both = both => both,
        lost = copying::watch(&coordinator, &underway, observer) => Err(lost.into()),
        never = watchdog::stand_by(&coordinator, &plan.target, &plan.application_name) => match never {},
        waiter = blocking::watch(&coordinator, contention, locked, observer) => {
            coordinator.let_go().await;
            return Ok(Attempt::LetGo(waiter));
        }
    };
    observer.blocking(None);
    // The coordinator's own loss explains everything else that went wrong beside it (G2). After a failure it may
    // still be sending rows that nobody reads any more: then it is there, and not waited for.
    match &read {
        Ok(_) => coordinator.prove().await?,
        Err(_) => tokio::time::timeout(AFTER_FAILURE, coordinator.explain())
            .await
            .unwrap_or(Ok(()))?,
    }
    let (dumped, mut contents) = read?;
    for remark in dumped.judge(&coordinator.heard())?.remarks {
        tracing::info!("pg_dump: {remark}");
    }
    let globals = coordinator.globals().await?;
    observer.reached(Step::DumpEnded).await;
    coordinator.prove().await?;
    contents.data_at = Some(coordinator.data_at());
    let (data_at, base) = (coordinator.data_at(), coordinator.base().clone());
    // Everything is read: from here on nobody waits for us. How the session ends changes nothing.
    if let Err(error) = coordinator.finish().await {
        tracing::warn!("failed to end the coordinator's session: {error}");
    }
    let no_toc = || Failure::Internal("the dump left no table of contents".to_owned());
    let toc = underway.toc.into_inner().ok_or_else(no_toc)?;
    witness::compare(&contents, &toc)?;
    witness::record(&mut contents, &toc)?;
    print.record(&mut contents);
    left_out::tell(&contents);
    contents.source = plan.target.address();
    Ok(Attempt::Read(Box::new(Read {
        contents,
        globals,
        data_at,
        base,
    })))
}

/// Whoever wants a busy table waits for pg_dump: it gets the machine for itself, for a moment, before other tables are read.
async fn alone(underway: &Underway) {
    // If it takes longer, both go on beside each other.
    let _ = tokio::time::timeout(ALONE, underway.ended.wait()).await;
}

/// Lets go of busy tables as soon as pg_dump has them too.
async fn apart(coordinator: &Coordinator, underway: &Underway) -> Result<(), PgError> {
    underway.locked.wait().await;
    coordinator.release_busy().await
}

/// pg_dump's output through the reader of its table of contents into the store, until pg_dump has
/// ended well. What it said is judged when our own session has read everything too.
async fn stream(
    mut dump: DumpProcess,
    underway: &Underway,
    open: &mut Open,
    observer: &dyn Observer,
) -> Result<Ended, Failure> {
    let copied = copy(&mut dump, underway, open, observer).await;
    underway.ended.set();
    if let Err(failure @ (Failure::Codec(_) | Failure::Store(_))) = copied {
        // The store's fault: pg_dump would only tell of a broken pipe.
        dump.kill().await;
        return Err(failure);
    }
    // What pg_dump says explains a stream that was cut better than the cut itself.
    let end = dump.ended().await?;
    if let Err(cut) = copied {
        end.judge(&[])?;
        return Err(cut);
    }
    Ok(end)
}

async fn copy(
    dump: &mut DumpProcess,
    underway: &Underway,
    open: &mut Open,
    observer: &dyn Observer,
) -> Result<(), Failure> {
    let mut buffer = vec![0_u8; READ];
    let mut parser = Some(TocParser::new());
    loop {
        let n = dump
            .stdout
            .read(&mut buffer)
            .await
            .map_err(|e| Failure::Internal(format!("failed to read from pg_dump: {e}")))?;
        let Some(chunk) = buffer.get(..n).filter(|chunk| !chunk.is_empty()) else {
            // The stream is over: a table of contents that is not complete now never will be.
            if let Some(cut) = parser {
                let _ = underway.toc.set(cut.finish()?);
                underway.locked.set();
            }
            return Ok(());
        };
        if let Some(toc) = &mut parser {
            toc.push(chunk)?;
        }
        if let Some(whole) = parser.take_if(|toc| toc.is_complete()) {
            let _ = underway.toc.set(whole.finish()?);
            underway.locked.set();
        }
        let Some(writer) = open.as_mut() else {
            return Err(Failure::Internal("the dump's upload is gone".to_owned()));
        };
        writer.write(chunk).await?;
        observer.bytes(u64::try_from(n).unwrap_or_default());
    }
}
