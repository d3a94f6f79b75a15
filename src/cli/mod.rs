//! Commands for people, and the two roles of the image: `operator` and `work`.
//!
//! The only room that reads the process's arguments and environment.

pub mod approve;
pub mod backup;
mod backups;
pub mod crd;
mod database;
mod differences;
pub mod drill;
pub mod inspect;
pub mod install;
pub mod lint;
pub mod list;
mod migration_report;
pub mod operator;
mod out;
mod proofs;
pub mod report;
pub mod restore;
pub mod scratch_server;
mod store;
pub mod validate;
pub mod verify;
mod words;
pub mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code of a command that failed.
pub const FAILED: u8 = 1;

/// PostgreSQL backups that are proven, on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, about, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the custom resource definitions, or write them to a folder.
    Crd(crd::Args),
    /// Run the operator: watch the cluster, start what is due, report what became of it.
    Operator(operator::Args),
    /// Hold manifests against schema, rules and sense, offline. Exit code 1 when something is wrong.
    Validate(validate::Args),
    /// Hold SQL migrations against the rules for production, offline. Exit code 1 when something blocks.
    Lint(lint::Args),
    /// Back a database up from this shell: the same data path as in the cluster.
    Backup(backup::Args),
    /// List the backups in a store.
    List(list::Args),
    /// Show one backup; with an age identity also its tables.
    Inspect(inspect::Args),
    /// Hold a database against a backup: rows, content, schema and all the rest. Changes nothing.
    Verify(verify::Args),
    /// Prove a backup: restore it into a scratch server made of the PostgreSQL programs here, and compare everything.
    Drill(drill::Args),
    /// Restore a backup into an empty database, and compare everything.
    Restore(restore::Args),
    /// Write down what drills of a backup found, for auditors: Markdown, HTML or JSON.
    Report(report::Args),
    /// Approve a MigrationRun: see what it will do and what its rehearsal showed, and say yes.
    Approve(approve::Args),
    /// Do the task that the operator put into this pod.
    #[command(hide = true)]
    Work(work::Args),
    /// Copy this binary and a passwd line into a folder: the init container of every backup pod.
    #[command(hide = true)]
    Install(install::Args),
    /// Make the scratch server that a drill orders: the container beside the worker.
    #[command(hide = true)]
    ScratchServer(scratch_server::Args),
}

/// Runs the command line and gives the process's exit code.
#[must_use]
pub fn run() -> ExitCode {
    let code = dispatch();
    match out::finish() {
        Ok(()) => code,
        Err(why) => fail(why.into()),
    }
}

fn dispatch() -> ExitCode {
    let args = Args::parse();
    // One TLS stack for everything; a second call would only say that it is there already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    crate::objects::proxy::install(&environment);
    let result = match args.command {
        Command::Crd(args) => crd::run(&args),
        Command::Install(args) => install::run(&args),
        Command::Operator(args) => return block_on(finish(operator::run(args))),
        Command::Validate(args) => validate::run(&args),
        Command::Lint(args) => return lint::run(&args),
        Command::Backup(args) => return block_on(at_a_shell(backup::run(args))),
        Command::List(args) => return block_on(at_a_shell(list::run(args))),
        Command::Inspect(args) => return block_on(at_a_shell(inspect::run(args))),
        Command::Verify(args) => return block_on(at_a_shell(verify::run(args))),
        Command::Drill(args) => return block_on(at_a_shell(drill::run(args))),
        Command::Restore(args) => return block_on(at_a_shell(restore::run(args))),
        Command::Report(args) => return block_on(at_a_shell(report::run(args))),
        Command::Approve(args) => return block_on(finish(approve::run(args))),
        Command::ScratchServer(args) => return block_on(finish(scratch_server::run(args))),
        Command::Work(args) => return block_on(work::run(args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// The error of a command, as `main` prints it.
pub type CommandError = Box<dyn std::error::Error + Send + Sync>;

/// A variable of the environment, if it is set and text.
#[expect(
    clippy::disallowed_methods,
    reason = "the door: commands read what libpq reads"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where PostgreSQL's programs are looked for: in the folder that was named, in those of packages, then on PATH.
fn postgres_folders(named: Option<std::path::PathBuf>) -> Vec<std::path::PathBuf> {
    let path = environment("PATH").unwrap_or_default();
    named
        .into_iter()
        .chain(crate::postgres::tools::packaged())
        .chain(std::env::split_paths(&path))
        .collect()
}

/// A time on the command line, for example `10s`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::api::duration::parse_positive(text).map_err(|error| error.to_string())
}

fn fail(error: CommandError) -> ExitCode {
    out::complain(explained(&error));
    ExitCode::from(FAILED)
}

/// The error, and what caused it where it does not say so itself.
fn explained(error: &CommandError) -> String {
    let mut text = format!("lifeboat: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let why = cause.to_string();
        if !error.to_string().contains(&why) {
            text.push_str(&format!("\n  because: {why}"));
        }
        source = cause.source();
    }
    text
}

async fn finish(command: impl Future<Output = Result<(), CommandError>>) -> ExitCode {
    match command.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// A command on data, whose messages name its flags.
async fn at_a_shell(command: impl Future<Output = Result<(), CommandError>>) -> ExitCode {
    match command.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::complain(words::at_a_shell(&explained(&error)));
            ExitCode::from(FAILED)
        }
    }
}

fn block_on<F: Future<Output = ExitCode>>(future: F) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => fail(error.into()),
    }
}
