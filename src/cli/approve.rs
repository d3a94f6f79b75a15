//! `lifeboat approve`: what a MigrationRun will do and what its rehearsal showed, and a person's word on it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};

use super::proofs::sha256;
use super::{CommandError, out};
use crate::api::duration::parse_positive;
use crate::api::migration_approval::MigrationApprovalSpec;
use crate::api::restore_drill::Verdict;
use crate::api::shared::LocalRef;
use crate::api::visible::visible;
use crate::api::{MigrationApproval, MigrationRun, name};
use crate::cluster::fault::said;
use crate::cluster::people::Person;
use crate::cluster::{Clock, SystemClock};
use crate::work::human::count;

/// No approval counts longer.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Arguments of `lifeboat approve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the MigrationRun.
    run: String,
    /// Its namespace. Default: that of the kubeconfig.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// How long the approval counts, at most 7d.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    expires: String,
    /// Folder with your own copy of the migrations: each file of the plan must be there, byte for byte, and is shown whole.
    #[arg(long, value_name = "FOLDER")]
    files: Option<PathBuf>,
    /// Do not ask: what would be shown was looked at elsewhere.
    #[arg(long)]
    yes: bool,
}

/// Runs `lifeboat approve`.
///
/// # Errors
/// When there is nothing to approve yet, the answer is not `yes`, or the API server refuses.
pub async fn run(args: Args) -> Result<(), CommandError> {
    let for_long = expires(&args.expires)?;
    let person = Person::connect().await?;
    let namespace = args.namespace.as_deref().unwrap_or(person.namespace());
    let run = person
        .run(namespace, &args.run)
        .await
        .map_err(|e| format!("failed to read MigrationRun {}: {}", args.run, said(&e)))?;
    let who = person.name().await.map_err(|e| said(&e))?;
    let who = who.filter(|name| !name.is_empty());
    let who = who.ok_or("the API server does not say who you are")?;
    let approval = approval(&run, &who, SystemClock.now(), for_long)?;
    let own = args.files.as_deref().map(|folder| checkout(&run, folder));
    out::print(shown(&run));
    if let Some(own) = own {
        out::print(own?);
    }
    out::line(format!(
        "\nYou are {who}. Your approval would count until {}.",
        approval.spec.expires
    ));
    if !args.yes && !asked()? {
        return Err("not approved".into());
    }
    person.approve(&approval).await.map_err(|e| {
        format!(
            "failed to create MigrationApproval {}: {}",
            approval.name_any(),
            said(&e)
        )
    })?;
    out::line(format!(
        "approved: MigrationApproval {}",
        approval.name_any()
    ));
    Ok(())
}

fn expires(text: &str) -> Result<Duration, CommandError> {
    let time = parse_positive(text).map_err(|e| format!("--expires: {e}"))?;
    match time <= LONGEST {
        true => Ok(time),
        false => Err("--expires: an approval counts for at most 7d".into()),
    }
}

fn asked() -> Result<bool, CommandError> {
    out::ask("Type yes to approve: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// The approval of what stands in the run's status.
fn approval(
    run: &MigrationRun,
    who: &str,
    now: Timestamp,
    for_long: Duration,
) -> Result<MigrationApproval, CommandError> {
    let status = run.status.clone().unwrap_or_default();
    let plan = status
        .plan
        .ok_or("there is nothing to approve yet: it is not planned")?;
    let rehearsal = status.rehearsal.filter(|r| r.result == Verdict::Passed);
    let rehearsal =
        rehearsal.ok_or("there is nothing to approve yet: no rehearsal of it has gone well")?;
    if run.spec.requested_by == who {
        return Err(format!("{who} asked for it: somebody else has to approve").into());
    }
    let expires = now.checked_add(for_long)?;
    // The API writes whole seconds.
    let expires = Timestamp::from_second(expires.as_second())?;
    if let Some(opens) = run.spec.window.not_before.filter(|opens| *opens >= expires) {
        return Err(format!(
            "the window opens at {opens}, and the approval would count until {expires}: give it later, or a longer --expires"
        )
        .into());
    }
    let run_name = run.name_any();
    let parts = [
        who,
        &plan.hash,
        &rehearsal.evidence_hash,
        &expires.to_string(),
    ];
    let hash = name::hash_hex(&parts, 8);
    Ok(MigrationApproval {
        metadata: ObjectMeta {
            name: Some(format!("{run_name}-{hash}")),
            namespace: run.namespace(),
            // It is of no use when the run is gone, and goes with it.
            owner_references: run.owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: MigrationApprovalSpec {
            run_ref: LocalRef { name: run_name },
            run_uid: run.uid().unwrap_or_default(),
            plan_hash: plan.hash,
            evidence_hash: rehearsal.evidence_hash,
            approver: who.to_owned(),
            requested_by: run.spec.requested_by.clone(),
            expires,
        },
    })
}

/// The files of the plan as they stand in the approver's own folder.
///
/// # Errors
/// Each that is not there, or another than was planned.
fn checkout(run: &MigrationRun, folder: &Path) -> Result<String, CommandError> {
    let status = run.status.as_ref();
    let plan = status.and_then(|s| s.plan.as_ref());
    let plan = plan.ok_or("there is nothing to approve yet: it is not planned")?;
    let listed: i64 = plan.files.iter().map(|file| file.segments).sum();
    if listed != plan.segments {
        return Err(
            "the plan has more files than its status lists: lifeboat report migrationrun shows all"
                .into(),
        );
    }
    let (mut text, mut wrong) = (String::new(), Vec::new());
    for file in &plan.files {
        let name = visible(&file.name, false);
        match std::fs::read(folder.join(&file.name)) {
            Ok(bytes) if sha256(&bytes) == file.sha256 => {
                let _ = writeln!(text, "\n{name} (SHA-256 {})", file.sha256);
                for line in String::from_utf8_lossy(&bytes).lines() {
                    let _ = writeln!(text, "  {}", visible(line, false));
                }
            }
            Ok(_) => wrong.push(format!("{name} is another than was planned")),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    match wrong.is_empty() {
        true => Ok(text),
        false => Err(format!("not approved: in {} {}", folder.display(), wrong.join("; ")).into()),
    }
}

/// What there is to look at.
fn shown(run: &MigrationRun) -> String {
    let mut out = String::new();
    let status = run.status.clone().unwrap_or_default();
    let mut say = |line: String| {
        let _ = writeln!(out, "{}", visible(&line, false));
    };
    say(format!(
        "MigrationRun {} in {}, asked for by {}",
        run.name_any(),
        run.namespace().unwrap_or_default(),
        run.spec.requested_by
    ));
    if let Some(plan) = &status.plan {
        let what = count(
            usize::try_from(plan.statements).unwrap_or_default(),
            "statement",
        );
        let segments = count(
            usize::try_from(plan.segments).unwrap_or_default(),
            "segment",
        );
        say(format!(
            "{what} in {segments} on database {}:",
            plan.database
        ));
        plan.lines.iter().for_each(|line| say(format!("  {line}")));
        let hidden = usize::try_from(plan.statements).unwrap_or_default();
        if hidden > plan.lines.len() {
            say(format!(
                "  … and {} more, in the store",
                hidden - plan.lines.len()
            ));
        }
        if !plan.findings.is_empty() {
            say("Findings:".to_owned());
            plan.findings
                .iter()
                .for_each(|line| say(format!("  {line}")));
        }
    }
    if let Some(rehearsal) = &status.rehearsal {
        say(format!(
            "Rehearsed on Backup {}: {}",
            rehearsal.backup, rehearsal.message
        ));
        rehearsal
            .locks
            .iter()
            .for_each(|line| say(format!("  {line}")));
        say(match rehearsal.way_back {
            true => "The way back was rehearsed too, and led to where it began.".to_owned(),
            false => "There is no rehearsed way back.".to_owned(),
        });
    }
    if let Some(gate) = &status.gate {
        let data_at = gate
            .data_at
            .map_or("an unknown time".to_owned(), |t| t.to_string());
        say(format!(
            "Restoring Backup {} would lose every write since {data_at}.",
            gate.backup
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::migration_run::PlannedMigration;

    fn rehearsed() -> MigrationRun {
        let (plan, evidence) = ("a".repeat(64), "b".repeat(64));
        serde_saphyr::from_str(&format!(
            "
apiVersion: lifeboat.dev/v1alpha1
kind: MigrationRun
metadata: {{name: orders-index, namespace: shop, uid: u-1}}
spec:
  policyRef: {{name: orders}}
  drillRef: {{name: nightly}}
  credentials: {{secretRef: {{name: migrator}}}}
  requestedBy: ada
  source: {{configMapRef: {{name: files}}}}
  target: {{version: '1'}}
  window: {{notAfter: '2026-12-01T00:00:00Z'}}
status:
  plan: {{hash: {plan}, at: '2026-11-22T00:00:00Z', systemIdentifier: '7', database: shop, historyHead: '', major: 17, segments: 1, statements: 2, lines: ['CREATE INDEX …'], findings: [LB101]}}
  gate: {{backup: orders-1, dataAt: '2026-11-21T23:00:00Z', proven: true}}
  rehearsal: {{evidenceHash: {evidence}, result: Passed, reason: Succeeded, message: fine, backup: orders-1, finishedAt: '2026-11-22T01:00:00Z', wayBack: true, locks: ['public.orders: SHARE']}}
"
        ))
        .unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-22T02:00:00.5Z".parse().unwrap()
    }

    #[test]
    fn m12_an_approval_names_exactly_what_was_shown() {
        let run = rehearsed();
        let approval = approval(&run, "grace", now(), Duration::from_secs(86_400)).unwrap();
        assert_eq!(approval.spec.run_uid, "u-1");
        assert_eq!(approval.spec.plan_hash, "a".repeat(64));
        assert_eq!(approval.spec.evidence_hash, "b".repeat(64));
        assert_eq!(approval.spec.approver, "grace");
        assert_eq!(approval.spec.expires.to_string(), "2026-11-23T02:00:00Z");
        assert!(approval.name_any().starts_with("orders-index-"));
    }

    #[test]
    fn what_cannot_count_is_not_written() {
        let mut run = rehearsed();
        let day = Duration::from_secs(86_400);
        let told =
            |run: &MigrationRun, who: &str| approval(run, who, now(), day).unwrap_err().to_string();
        assert!(told(&run, "ada").contains("somebody else"));
        run.spec.window.not_before = Some("2026-11-23T02:00:00Z".parse().unwrap());
        assert!(told(&run, "grace").contains("--expires"));
        run.spec.window.not_before = None;
        run.status.as_mut().unwrap().rehearsal = None;
        assert!(told(&run, "grace").contains("no rehearsal"));
        run.status = None;
        assert!(told(&run, "grace").contains("not planned"));
        assert!(expires("8d").is_err() && expires("7d").is_ok());
    }

    #[test]
    fn the_approvers_own_files_are_held_against_the_plan() {
        let folder = tempfile::tempdir().unwrap();
        let text = "CREATE INDEX a ON b (c); -- \u{202e}\n";
        let mut run = rehearsed();
        let plan = run.status.as_mut().unwrap().plan.as_mut().unwrap();
        plan.files = vec![PlannedMigration {
            version: "1".to_owned(),
            name: "1_a.sql".to_owned(),
            sha256: sha256(text.as_bytes()),
            segments: 1,
        }];
        let told = |run: &MigrationRun| checkout(run, folder.path()).unwrap_err().to_string();
        assert!(
            told(&run).contains("1_a.sql: No such file"),
            "{}",
            told(&run)
        );
        std::fs::write(folder.path().join("1_a.sql"), "DROP TABLE b;").unwrap();
        assert!(told(&run).contains("1_a.sql is another than was planned"));
        std::fs::write(folder.path().join("1_a.sql"), text).unwrap();
        let shown = checkout(&run, folder.path()).unwrap();
        assert!(
            shown.contains("  CREATE INDEX a ON b (c); -- ⟨U+202E⟩\n"),
            "{shown}"
        );
        run.status.as_mut().unwrap().plan.as_mut().unwrap().segments = 2;
        assert!(told(&run).contains("more files than its status lists"));
    }

    #[test]
    fn a_person_sees_plan_locks_and_what_a_restore_would_cost() {
        let text = shown(&rehearsed());
        for part in [
            "asked for by ada",
            "  CREATE INDEX …",
            "and 1 more",
            "LB101",
            "public.orders: SHARE",
            "way back was rehearsed",
            "every write since 2026-11-21T23:00:00Z",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
