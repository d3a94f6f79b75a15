//! What commands that talk to a database share: how it is named, and where its password is put.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::CommandError;
use crate::api::Reason;
use crate::api::duration::parse_positive;
use crate::postgres::Target;
use crate::work::failure::Failure;
use crate::work::{human, random, stopped};

/// The database of a command.
#[derive(Debug, clap::Args)]
pub struct DatabaseArgs {
    /// The database as a `postgresql://` URI without a password. Passwords come from ~/.pgpass or the
    /// file that PGPASSFILE names, client certificates from sslcert and sslkey, whole services from PGSERVICE.
    #[arg(long, value_name = "URI")]
    database: String,
    #[command(flatten)]
    means: MeansArgs,
}

/// What it takes to get there.
#[derive(Debug, clap::Args)]
pub struct MeansArgs {
    /// PEM file with the authority that signed the server's certificate.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    programs: ProgramsArgs,
}

/// PostgreSQL's programs.
#[derive(Debug, clap::Args)]
pub struct ProgramsArgs {
    /// Folder where PostgreSQL's programs are looked for first. It must hold pg_dump; what else it lacks, or has of another
    /// major version, is looked for under /usr/lib/postgresql and its like, then on PATH.
    #[arg(long, value_name = "FOLDER")]
    postgres_bin: Option<PathBuf>,
}

/// For how long a command may read from a database.
#[derive(Debug, clap::Args)]
pub struct DeadlineArgs {
    /// End after so long, and let go of every lock: 45m, 2h, 1d.
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = parse_positive)]
    deadline: Duration,
}

impl DeadlineArgs {
    /// Does the work, until the time is over or this process is told to stop: then it says what is left of it.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
        left: &str,
    ) -> Result<T, CommandError> {
        tokio::select! {
            outcome = work => Ok(outcome?),
            () = stopped() => Err(format!("stopped{left}").into()),
            () = tokio::time::sleep(self.deadline) => Err(format!(
                "{}: it took longer than {}{left}; --deadline allows it more",
                Reason::DeadlineExceeded,
                human::seconds(self.deadline.as_secs()),
            )
            .into()),
        }
    }
}

impl DatabaseArgs {
    /// Where it is and how it is reached.
    pub(super) fn target(&self) -> Result<Target, CommandError> {
        self.means.target(&self.database)
    }

    /// Where pg_dump is looked for first.
    pub(super) fn postgres_folders(&self) -> Result<Vec<PathBuf>, CommandError> {
        self.means.postgres_folders()
    }
}

impl MeansArgs {
    /// Where the database of this URI is and how it is reached.
    pub(super) fn target(&self, uri: &str) -> Result<Target, CommandError> {
        let mut target = Target::from_uri(uri, &super::environment)?;
        if let Some(file) = &self.ca {
            let pem = std::fs::read(file)
                .map_err(|e| format!("--ca: failed to read {}: {e}", file.display()))?;
            target.trust(pem, file.display().to_string());
        }
        Ok(target)
    }

    /// Where programs are looked for first.
    pub(super) fn postgres_folders(&self) -> Result<Vec<PathBuf>, CommandError> {
        self.programs.folders()
    }
}

impl ProgramsArgs {
    /// Where they are looked for first.
    pub(super) fn folders(&self) -> Result<Vec<PathBuf>, CommandError> {
        if let Some(folder) = &self.postgres_bin
            && !folder.join("pg_dump").is_file()
        {
            let name = folder.display();
            let text = match folder.is_dir() {
                true => format!(
                    "--postgres-bin: there is no pg_dump in {name}; name the folder that has it, or leave the option out"
                ),
                false => format!("--postgres-bin: there is no folder {name}"),
            };
            return Err(text.into());
        }
        Ok(super::postgres_folders(self.postgres_bin.clone()))
    }
}

/// The reason stands before the sentence, as it does in conditions, and behind it what helps at a shell.
pub(super) fn explain(error: CommandError, target: &Target) -> CommandError {
    let failure = match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) => return error,
    };
    format!(
        "{}: {failure}{}",
        failure.reason(),
        help(&failure, Some(target))
    )
    .into()
}

/// The same where no database was named.
pub(super) fn explain_failure(failure: &Failure) -> CommandError {
    format!("{}: {failure}{}", failure.reason(), help(failure, None)).into()
}

fn help(failure: &Failure, target: Option<&Target>) -> String {
    match (failure.reason(), failure.found_major()) {
        (Reason::WrongMajor | Reason::ToolsMissing, Some(major)) => format!(
            "; install the programs of PostgreSQL {major} (Debian: postgresql-client-{major}, for drills postgresql-{major}) or name their folder with --postgres-bin"
        ),
        (Reason::AuthenticationFailed, _) if target.is_some_and(|t| t.password.is_none()) => {
            "; no password was found: write a line host:port:database:user:password into ~/.pgpass or the file that PGPASSFILE names, mode 0600".to_owned()
        }
        _ => String::new(),
    }
}

/// Twelve random hex digits.
pub(super) fn random_hex() -> Result<String, CommandError> {
    let bytes: [u8; 6] = random::bytes()?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// A folder for service and password files that only this user may enter; gone with the command.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn make() -> Result<Self, CommandError> {
        Self::below(None)
    }

    /// In a folder that the user named, or among the temporary files.
    pub(super) fn below(folder: Option<&Path>) -> Result<Self, CommandError> {
        use std::os::unix::fs::DirBuilderExt;
        let base = match folder {
            Some(folder) => std::fs::canonicalize(folder)
                .map_err(|e| format!("--work-dir: {}: {e}", folder.display()))?,
            None => std::env::temp_dir(),
        };
        let path = base.join(format!("lifeboat-{}", random_hex()?));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
