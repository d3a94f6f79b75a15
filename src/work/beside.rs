//! A scratch server in the container beside: the worker leaves an order in a folder that both see, the
//! container makes the server and leaves word. That container has no credential of any kind (G30).

use std::path::Path;
use std::time::Duration;

use super::failure::Failure;
use crate::api::Reason;
use crate::postgres::scratch::{Network, Refused, ScratchOrder, ScratchServer};
use crate::postgres::{PgError, Programs};

/// What is wanted.
const ORDER: &str = "order.json";
/// The server answers.
const READY: &str = "ready";
/// It does not, and why.
const FAILED: &str = "failed";
/// Largest of these files, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Until the server must answer (K13: initdb may take its time).
const PATIENCE: Duration = Duration::from_secs(660);

/// Orders a server and waits until it answers. Answers the settings that it does not take.
///
/// # Errors
/// `ServerFailed` or `NoRoom`, with what it said.
pub async fn order(folder: &Path, order: &ScratchOrder) -> Result<Vec<Refused>, Failure> {
    let text = serde_json::to_vec(order).map_err(|e| Failure::Internal(e.to_string()))?;
    put(folder, ORDER, &text).map_err(|e| failed(&format!("failed to order it: {e}")))?;
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Ok(word) = read(&folder.join(READY)) {
            let refused = serde_json::from_str(&word);
            return refused
                .map_err(|e| failed(&format!("its container's word is unreadable: {e}")));
        }
        if let Ok(why) = read(&folder.join(FAILED)) {
            let (reason, text) = why.split_once(' ').unwrap_or(("", &why));
            let reason = Reason::parse(reason).unwrap_or(Reason::ServerFailed);
            return Err(Failure::Postgres(PgError::later(reason, text)));
        }
        if tokio::time::Instant::now() >= until {
            return Err(failed("its container did not answer within 11 min"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits for an order, makes the server and watches it until this process is told to stop.
/// Never returns by itself: a container that ended would be started again.
pub async fn serve(folder: &Path, volume: &Path, postgres_folders: &[std::path::PathBuf]) {
    let stopped = super::stopped();
    tokio::pin!(stopped);
    let order = tokio::select! {
        order = wanted(folder) => order,
        () = &mut stopped => return,
    };
    let started = tokio::select! {
        started = make(order, folder, volume, postgres_folders) => started,
        () = &mut stopped => return,
    };
    match started {
        Ok(mut server) => {
            let missing = server.missing.join(", ");
            if !missing.is_empty() {
                tracing::warn!("the image lacks libraries that the source preloads: {missing}");
            }
            let refused = serde_json::to_string(&server.refused);
            say(folder, READY, &refused.unwrap_or_default());
            tokio::select! {
                status = server.ended() => {
                    tracing::error!("the server ended: {status}");
                    stopped.await;
                }
                () = &mut stopped => server.stop().await,
            }
        }
        Err(error) => {
            tracing::error!(reason = %error.reason(), "{error}");
            say(folder, FAILED, &format!("{} {error}", error.reason()));
            stopped.await;
        }
    }
}

async fn wanted(folder: &Path) -> Result<ScratchOrder, PgError> {
    loop {
        if let Ok(text) = read(&folder.join(ORDER)) {
            return serde_json::from_str(&text).map_err(|e| {
                PgError::never(
                    Reason::ProtocolError,
                    format!("failed to read the order: {e}"),
                )
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn make(
    order: Result<ScratchOrder, PgError>,
    folder: &Path,
    volume: &Path,
    postgres_folders: &[std::path::PathBuf],
) -> Result<ScratchServer, PgError> {
    let order = order?;
    let programs = Programs::any_server(postgres_folders).await;
    let programs = programs.ok_or_else(|| {
        PgError::never(Reason::ToolsMissing, "there is no PostgreSQL in this image")
    })?;
    // The container has a network of its own, and a NetworkPolicy.
    ScratchServer::start(&programs, &order, volume, folder, Network::Host).await
}

/// Written aside and renamed: who looks sees all of it or nothing.
fn put(folder: &Path, name: &str, text: &[u8]) -> std::io::Result<()> {
    let aside = folder.join(format!(".{name}"));
    std::fs::write(&aside, text)?;
    std::fs::rename(aside, folder.join(name))
}

fn say(folder: &Path, name: &str, text: &str) {
    if let Err(error) = put(folder, name, text.as_bytes()) {
        tracing::error!("failed to leave word: {error}");
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MAX_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn failed(what: &str) -> Failure {
    Failure::Postgres(PgError::later(
        Reason::ServerFailed,
        format!("the scratch server failed: {what}"),
    ))
}
