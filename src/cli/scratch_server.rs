//! `lifeboat scratch-server`: the container beside a drill's worker. It has no credential of any kind (G30).

use std::path::PathBuf;

use super::CommandError;
use crate::task::{SERVER_DIR, VOLUME_DIR};
use crate::work::beside;

/// Arguments of `lifeboat scratch-server`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder that the worker sees too: its order, our answer, the socket.
    #[arg(long, default_value = SERVER_DIR, value_name = "FOLDER")]
    folder: PathBuf,
    /// Folder for the data.
    #[arg(long, default_value = VOLUME_DIR, value_name = "FOLDER")]
    volume: PathBuf,
    /// Folder where PostgreSQL's programs are looked for first, then on PATH and under /usr/lib/postgresql.
    #[arg(long, value_name = "FOLDER")]
    postgres_bin: Option<PathBuf>,
}

/// Makes a server when one is ordered, and runs until it is told to stop.
///
/// # Errors
/// None: what goes wrong is told to the worker.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let _ = tracing_subscriber::fmt()
        .json()
        .with_writer(std::io::stderr)
        .try_init();
    let folders = super::postgres_folders(args.postgres_bin);
    beside::serve(&args.folder, &args.volume, &folders).await;
    Ok(())
}
