//! `lifeboat backup`: the same data path as in the cluster, from a shell.

use std::time::Instant;

use super::database::{DatabaseArgs, DeadlineArgs, Scratch, explain, random_hex};
use super::store::StoreArg;
use super::{CommandError, out};
use crate::api::backup::BackupReason;
use crate::api::name;
use crate::codec::{Limits, ObjectWriter, Recipients};
use crate::manifest::Manifest;
use crate::objects::probe;
use crate::postgres::{LockPatience, shell_word};
use crate::work::backup::{Identity, Plan, run as make};
use crate::work::failure::Failure;
use crate::work::progress::{Progress, Show};
use crate::work::{clock, human, line_key};

/// Arguments of `lifeboat backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Where to: `s3://bucket/prefix?endpoint=https://…` or `file:///folder`. S3 keys come from AWS's
    /// own environment variables and profiles.
    #[arg(long, value_name = "LOCATION")]
    to: StoreArg,
    /// age public key to encrypt for (`age1…`); repeat for several. Make one with `age-keygen`.
    #[arg(long, value_name = "KEY")]
    recipient: Vec<String>,
    /// Store plain bytes. Must be written out: a backup is as secret as its database.
    #[arg(long, conflicts_with = "recipient")]
    unencrypted: bool,
    /// Folder in the location. Default: `local.<database>`, with a hash where the name holds more than letters, digits, - and _.
    #[arg(long, value_name = "NAME")]
    directory: Option<String>,
    /// Count the rows only, and do not hash their content: quicker, and a restore can be compared by number only.
    #[arg(long)]
    no_content_hash: bool,
    /// How long a session of the database may wait for a lock of the backup, for example `10s`: instead of keeping it waiting longer
    /// the backup lets go and tries again, and fails when that does not help. Default: it lets go too, but for the last try.
    #[arg(long, value_name = "DURATION", value_parser = super::duration)]
    max_blocking: Option<std::time::Duration>,
    #[command(flatten)]
    deadline: DeadlineArgs,
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
    let (can, outcome) = probe(plan.store.as_ref()).await;
    outcome
        .map_err(Failure::from)
        .map_err(|e| explain(e.into(), &plan.target))?;
    if can.conditional_writes == Some(false) {
        out::complain(format!(
            "warning: {} does not honour If-None-Match, so it would not keep one writer from overwriting another; this backup has a folder of its own",
            plan.store.place()
        ));
    }
    let progress = Progress::new(Show::Person);
    let began = Instant::now();
    let mut open = None;
    let work = make(&plan, &progress, &mut open);
    let outcome = args.deadline.within(work, "; nothing was committed").await;
    if let Some(writer) = open.take() {
        ObjectWriter::abort(writer).await;
    }
    progress.finish();
    let manifest = outcome.map_err(|error| explain(error, &plan.target))?;
    if args.json {
        out::line(serde_json::to_string_pretty(&manifest)?);
    } else {
        let seconds = began.elapsed().as_secs();
        out::print(summary(&manifest, &plan.store.place(), &args.to, seconds));
    }
    Ok(())
}

async fn plan(args: &Args, scratch: &Scratch) -> Result<Plan, CommandError> {
    let target = args.database.target()?;
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
            format!("--directory: `{directory}` may hold letters, digits, - _ and . only, and not begin with a dot").into(),
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
        store: args.to.open().await?,
        target,
        recipients,
        line_key: match args.no_content_hash {
            true => None,
            false => Some(line_key()?),
        },
        limits: Limits::default(),
        scratch: scratch.path().to_owned(),
        postgres_folders: args.database.postgres_folders()?,
        patience: LockPatience {
            max_blocking: args.max_blocking,
            ..LockPatience::default()
        },
    })
}

/// `local.shop`; a name that is no folder's, or too long for one, gets a hash, so that no two databases share a folder.
fn default_directory(database: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if database.chars().all(safe) {
        return format!("local.{database}");
    }
    let readable = database.chars().map(|c| if safe(c) { c } else { '-' });
    let readable: String = readable.collect();
    format!("local.{readable}-{}", name::hash_hex(&[database], 8))
}

fn summary(manifest: &Manifest, place: &str, to: &StoreArg, seconds: u64) -> String {
    let counts = &manifest.counts;
    let number = |n: i64, what| human::count(usize::try_from(n).unwrap_or_default(), what);
    let size = |n: i64| human::bytes(u64::try_from(n).unwrap_or_default());
    let mut lines = vec![
        format!(
            "backed up {} of PostgreSQL {}",
            manifest.server.database, manifest.server.version
        ),
        format!(
            "  {}, {}, {}, {}",
            number(counts.tables, "table"),
            number(counts.rows, "row"),
            number(counts.sequences, "sequence"),
            number(counts.large_objects, "large object")
        ),
    ];
    if counts.left_out > 0 {
        let open = match manifest.encryption.recipients.is_empty() {
            true => "",
            false => " --identity FILE",
        };
        lines.push(format!(
            "  {} left out: `lifeboat inspect{open}` says which and why",
            human::thousands(usize::try_from(counts.left_out).unwrap_or_default())
        ));
    }
    let stored = size(counts.stored_bytes);
    lines.push(format!(
        "  {stored} in the store, in {}",
        human::seconds(seconds)
    ));
    lines.push(format!("  {place}/{}", manifest.prefix));
    // As it can be pasted: the store as it was named, endpoint and all.
    lines.push(format!(
        "look at it:  lifeboat inspect --from {} {}\n",
        to.pasted(),
        shell_word(&manifest.prefix)
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::inspect::tests::manifest;

    #[test]
    fn no_two_databases_share_a_folder() {
        assert_eq!(default_directory("shop_2-x"), "local.shop_2-x");
        let odd = ["..", "üñ", "a'b", "a\\b", "a-b"].map(default_directory);
        let all: std::collections::BTreeSet<&String> = odd.iter().collect();
        assert_eq!(all.len(), odd.len(), "{odd:?}");
        assert!(odd[2].starts_with("local.a-b-"), "{odd:?}");
    }

    #[test]
    fn the_command_that_is_printed_names_the_store_as_it_was_named_and_can_be_pasted() {
        let made = manifest("shop.orders/20261121T020000Z-0123456789ab", vec![]);
        let url = "s3://shop/a?endpoint=http://minio:9000&addressing=path";
        let to: StoreArg = url.parse().unwrap();
        let text = summary(&made, "s3://shop/a", &to, 3);
        let command = format!("lifeboat inspect --from '{url}' {}", made.prefix);
        assert!(
            text.ends_with(&format!("look at it:  {command}\n")),
            "{text}"
        );
    }
}
