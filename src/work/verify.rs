//! Holds a database against a backup: everything is read again as it was read then, and compared.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::io::AsyncReadExt;

use super::failure::Failure;
use crate::api::Reason;
use crate::api::restore_drill::AcceptedDefinition;
use crate::manifest::Contents;
use crate::postgres::compare::{Comparison, Reference, compare_with, mend};
use crate::postgres::content::LineKey;
use crate::postgres::globals::roles_called;
use crate::postgres::pooler::Pooler;
use crate::postgres::{
    Contention, Coordinator, DumpOrder, DumpProcess, LockPatience, Observer, PgError, Print,
    Programs, Target, Toc, TocParser, census, preflight, watchdog, witness,
};

/// Bytes read from pg_dump at once.
const READ: usize = 64 * 1024;

/// The database that is held against a backup, and the means.
#[derive(Debug)]
pub struct Subject {
    /// The database.
    pub target: Target,
    /// Folder for service and password files.
    pub scratch: PathBuf,
    /// Where pg_dump is looked for first.
    pub postgres_folders: Vec<PathBuf>,
    /// How long locks are tried for.
    pub patience: LockPatience,
    /// `application_name` of our sessions.
    pub application_name: String,
}

/// What somebody has looked at and found good enough.
#[derive(Debug, Clone, Default)]
pub struct Accepted {
    /// Definitions that are printed otherwise, and read to mean the same.
    pub definitions: Vec<AcceptedDefinition>,
    /// What no dump holds and need not come back, by name.
    pub lost: BTreeSet<String>,
}

/// Compares a database with what a backup recorded. Changes nothing in it.
///
/// # Errors
/// [`Failure`]; that something differs is none.
pub async fn verify(
    subject: &Subject,
    recorded: &Contents,
    accepted: &Accepted,
    observer: &dyn Observer,
) -> Result<Comparison, Failure> {
    let found = observe(subject, recorded, observer).await?;
    let reference = Reference {
        entries: None,
        accepted: &accepted.definitions,
    };
    let mut comparison = compare_with(recorded, &found, Some(&reference));
    mend(&mut comparison, recorded, &found);
    comparison.settle(&accepted.lost);
    Ok(comparison)
}

/// What the database holds now, recorded as the backup recorded it, under one snapshot.
///
/// # Errors
/// [`Failure`].
pub async fn observe(
    subject: &Subject,
    recorded: &Contents,
    observer: &dyn Observer,
) -> Result<Contents, Failure> {
    let (coordinator, toc) = begin(subject, Some(recorded), observer).await?;
    let census = census::take(&coordinator, observer).await?;
    let mut contents = match recorded.line_key.as_deref() {
        None => census.contents,
        Some(hex) => {
            let key = LineKey::from_hex(hex).ok_or_else(|| {
                let text = "contents.json holds no key for its hashes that can be read";
                Failure::Postgres(PgError::never(Reason::StoreFailed, text))
            })?;
            census
                .hash(&coordinator, key, Some(recorded), observer)
                .await?
        }
    };
    witness::record(&mut contents, &toc)?;
    // What belonged to a role because it made an extension belongs to whoever restored: the role is there, and nothing names it.
    let names: Vec<String> = recorded.roles.iter().map(|r| r.name.clone()).collect();
    contents.roles = roles_called(&subject.target, &subject.application_name, &names).await?;
    coordinator.release_busy().await?;
    coordinator.prove().await?;
    coordinator.finish().await?;
    Ok(contents)
}

/// A snapshot with its locks, and what pg_dump says there is under it.
async fn begin(
    subject: &Subject,
    like: Option<&Contents>,
    observer: &dyn Observer,
) -> Result<(Coordinator, Toc), Failure> {
    let found = preflight(&subject.target, &subject.application_name).await?;
    let tool = Programs::find(found.major(), &subject.postgres_folders).await?;
    let mut contention = Contention::new(subject.patience).pooled(found.pooler != Pooler::None);
    let coordinator = Coordinator::begin_on(
        Some(&found.server),
        &subject.target,
        &subject.application_name,
        &mut contention,
        observer,
    )
    .await?;
    let mut print = like.map_or_else(|| Print::plain(""), Print::of);
    print.encoding.clone_from(&found.encoding);
    let heard = coordinator.heard();
    let order = DumpOrder {
        target: &subject.target,
        tool: &tool,
        snapshot: coordinator.snapshot(),
        application_name: &subject.application_name,
        pooled: found.pooler != Pooler::None,
        heard: &heard,
        print: &print,
        scratch: &subject.scratch,
    };
    let toc = tokio::select! {
        toc = table_of_contents(&order) => toc?,
        never = watchdog::stand_by(&coordinator, &subject.target, &subject.application_name) => match never {},
    };
    Ok((coordinator, toc))
}

/// Every definition of the database, under one snapshot, printed as in the backup `like`; no row is read.
///
/// # Errors
/// [`Failure`].
pub async fn definitions(
    subject: &Subject,
    like: Option<&Contents>,
    observer: &dyn Observer,
) -> Result<Contents, Failure> {
    let (coordinator, toc) = begin(subject, like, observer).await?;
    let mut contents = Contents::default();
    witness::record(&mut contents, &toc)?;
    coordinator.finish().await?;
    Ok(contents)
}

/// What pg_dump says there is. It says so before the data, and is ended then.
async fn table_of_contents(order: &DumpOrder<'_>) -> Result<Toc, Failure> {
    let mut dump = DumpProcess::spawn(order)?;
    let mut parser = TocParser::new();
    let mut buffer = vec![0_u8; READ];
    while !parser.is_complete() {
        let n = dump
            .stdout
            .read(&mut buffer)
            .await
            .map_err(|e| Failure::Internal(format!("failed to read from pg_dump: {e}")))?;
        let Some(piece) = buffer.get(..n).filter(|piece| !piece.is_empty()) else {
            // What pg_dump says explains a stream that was cut better than the cut itself.
            dump.finish().await?;
            return Ok(parser.finish()?);
        };
        parser.push(piece)?;
    }
    dump.kill().await;
    Ok(parser.finish()?)
}
