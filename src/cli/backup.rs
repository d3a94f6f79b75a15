//! `lifeboat backup`: the same data path as in the cluster, from a shell.

use std::path::PathBuf;
use std::time::Instant;

use super::CommandError;
use crate::api::Reason;
use crate::api::backup::BackupReason;
use crate::codec::{Limits, ObjectWriter, Recipients};
use crate::manifest::Manifest;
use crate::objects::Location;
use crate::objects::probe::writable;
use crate::postgres::{LockPatience, Target};
use crate::work::backup::{Identity, Plan, run as make};
use crate::work::failure::Failure;
use crate::work::progress::{Progress, Show};
use crate::work::{clock, human, line_key, random, stopped};

/// Arguments of `lifeboat backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The database as a `postgresql://` URI without a password. Passwords come from ~/.pgpass or the
    /// file that PGPASSFILE names, whole services from PGSERVICE.
    #[arg(long, value_name = "URI")]
    database: String,
    /// Where to: `s3://bucket/prefix?endpoint=https://…` or `file:///folder`. S3 keys come from AWS's
    /// own environment variables and profiles.
    #[arg(long, value_name = "LOCATION")]
    to: String,
    /// age public key to encrypt for (`age1…`); repeat for several. Make one with `age-keygen`.
    #[arg(long, value_name = "KEY")]
    recipient: Vec<String>,
    /// Store plain bytes. Must be written out: a backup is as secret as its database.
    #[arg(long, conflicts_with = "recipient")]
    unencrypted: bool,
    /// Folder in the location. Default: `local.<database>`.
    #[arg(long, value_name = "NAME")]
    directory: Option<String>,
    /// PEM file with the authority that signed the server's certificate.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Folder with pg_dump, instead of looking on PATH and under /usr/lib/postgresql.
    #[arg(long, value_name = "FOLDER")]
    postgres_bin: Option<PathBuf>,
    /// Count the rows only, and do not hash their content: quicker, and a restore can be compared by number only.
    #[arg(long)]
    no_content_hash: bool,
    /// Print the manifest as JSON instead of a summary.
    #[arg(long)]
    json: bool,
}

/// Runs `lifeboat backup`.
///
/// # Errors
/// Whatever kept the backup from being made; nothing is left behind but invisible garbage.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let scratch = Scratch::make()?;
    let plan = plan(&args, &scratch).await?;
    // Before anything is locked or dumped.
    writable(plan.store.as_ref())
        .await
        .map_err(Failure::from)
        .map_err(|e| explain(e.into(), &plan))?;
    let progress = Progress::new(Show::Person);
    let began = Instant::now();
    let mut open = None;
    let outcome = tokio::select! {
        outcome = make(&plan, &progress, &mut open) => outcome.map_err(CommandError::from),
        () = stopped() => Err("stopped; nothing was committed".into()),
    };
    if let Some(writer) = open.take() {
        ObjectWriter::abort(writer).await;
    }
    progress.finish();
    let manifest = outcome.map_err(|error| explain(error, &plan))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&manifest)?);
    } else {
        summary(&manifest, &plan.store.place(), began.elapsed().as_secs());
    }
    Ok(())
}

/// The reason stands before the sentence, as it does in conditions, and behind it what helps at a shell.
fn explain(error: CommandError, plan: &Plan) -> CommandError {
    let failure = match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) => return error,
    };
    let help = match (failure.reason(), failure.found_major()) {
        (Reason::WrongMajor | Reason::ToolsMissing, Some(major)) => format!(
            "; install the client programs of PostgreSQL {major} (Debian: postgresql-client-{major}) or name their folder with --postgres-bin"
        ),
        (Reason::AuthenticationFailed, _) if plan.target.password.is_none() => {
            "; no password was found: write a line host:port:database:user:password into ~/.pgpass or the file that PGPASSFILE names, mode 0600".to_owned()
        }
        _ => String::new(),
    };
    format!("{}: {failure}{help}", failure.reason()).into()
}

async fn plan(args: &Args, scratch: &Scratch) -> Result<Plan, CommandError> {
    let mut target = Target::from_uri(&args.database, &super::environment)?;
    if let Some(file) = &args.ca {
        let pem =
            std::fs::read(file).map_err(|e| format!("failed to read {}: {e}", file.display()))?;
        target.ca_pem = Some(pem);
    }
    if let Some(folder) = &args.postgres_bin
        && !folder.join("pg_dump").is_file()
    {
        return Err(format!(
            "--postgres-bin: there is no pg_dump in {}",
            folder.display()
        )
        .into());
    }
    let recipients = if args.unencrypted {
        None
    } else if args.recipient.is_empty() {
        return Err("--recipient is missing: name an age public key (`age-keygen -o key.txt` makes a pair and prints it), or write --unencrypted to store plain bytes".into());
    } else {
        Some(Recipients::parse(&args.recipient).map_err(|error| format!("--recipient: {error}"))?)
    };
    let directory = args
        .directory
        .clone()
        .unwrap_or_else(|| default_directory(&target.dbname));
    if !directory
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        || directory.starts_with('.')
    {
        return Err(
            format!("--directory: `{directory}` may hold letters, digits, - _ and . only").into(),
        );
    }
    // Due times have no fractions of a second, in names and in the manifest.
    let now = clock::now();
    let now = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
    // No pod made this, so 12 random hex digits take the place of its uid (P2).
    let uid = random_hex()?;
    Ok(Plan {
        application_name: format!("lifeboat/cli/{uid}"),
        identity: Identity {
            backup: crate::api::name::backup(&directory.to_ascii_lowercase(), now),
            namespace: String::new(),
            policy: String::new(),
            policy_uid: String::new(),
            directory,
            pod_uid: uid,
            tiers: Vec::new(),
            reason: BackupReason::Manual,
            due: now,
        },
        store: Location::parse(&args.to)?.open().await?,
        target,
        recipients,
        line_key: match args.no_content_hash {
            true => None,
            false => Some(line_key()?),
        },
        limits: Limits::default(),
        scratch: scratch.0.clone(),
        postgres_folders: super::postgres_folders(args.postgres_bin.clone()),
        patience: LockPatience::default(),
    })
}

fn default_directory(database: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            c
        } else {
            '-'
        }
    };
    format!("local.{}", database.chars().map(safe).collect::<String>())
}

fn random_hex() -> Result<String, CommandError> {
    let bytes: [u8; 6] = random::bytes()?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// A folder for service and password files that only this user may enter; gone with the command.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, CommandError> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("lifeboat-{}", random_hex()?));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn summary(manifest: &Manifest, place: &str, seconds: u64) {
    let counts = &manifest.counts;
    let number = |n: i64, what| human::count(usize::try_from(n).unwrap_or_default(), what);
    let size = |n: i64| human::bytes(u64::try_from(n).unwrap_or_default());
    println!(
        "backed up {} of PostgreSQL {}",
        manifest.server.database, manifest.server.version
    );
    println!(
        "  {}, {}, {}, {}",
        number(counts.tables, "table"),
        number(counts.rows, "row"),
        number(counts.sequences, "sequence"),
        number(counts.large_objects, "large object")
    );
    println!(
        "  {} in the store, in {}",
        size(counts.stored_bytes),
        human::seconds(seconds)
    );
    println!("  {place}/{}", manifest.prefix);
    println!(
        "look at it:  lifeboat inspect --from {place} {}",
        manifest.prefix
    );
}
