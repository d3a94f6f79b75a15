//! Which approvals count (M12). Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::Case;
use crate::api::migration_run::{ApprovalRecord, MigrationRunStatus};
use crate::api::{MigrationApproval, Reason};
use crate::cluster::decision::{Decision, Notice};
use crate::cluster::seen::Admission;
use crate::schedule::later;

/// No approval counts longer.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Begins the name of every ServiceAccount.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// Most that the status lists.
const MOST: usize = 16;

impl Case<'_> {
    /// The status with every approval of this run, those that count first, and why the others do not.
    pub(super) fn with_approvals(&self, old: MigrationRunStatus) -> MigrationRunStatus {
        let mut records: Vec<(Timestamp, ApprovalRecord)> = Vec::new();
        for approval in &self.seen.approvals {
            let record = ApprovalRecord {
                name: approval.name_any(),
                approver: approval.spec.approver.clone(),
                expires: approval.spec.expires,
                void: self.void(&old, approval).map(str::to_owned),
            };
            records.push((created(approval), record));
        }
        records.sort_by(|(a, x), (b, y)| {
            let counts = x.void.is_some().cmp(&y.void.is_some());
            counts.then(b.cmp(a)).then(x.name.cmp(&y.name))
        });
        records.truncate(MOST);
        MigrationRunStatus {
            approvals: records.into_iter().map(|(_, record)| record).collect(),
            ..old
        }
    }

    /// Why it does not count.
    fn void(
        &self,
        status: &MigrationRunStatus,
        approval: &MigrationApproval,
    ) -> Option<&'static str> {
        let spec = &approval.spec;
        let plan = status.plan.as_ref().map(|p| &p.hash);
        let evidence = status.rehearsal.as_ref().map(|r| &r.evidence_hash);
        let since = match &self.seen.admission {
            Admission::InPlace(since) => *since,
            Admission::Missing(_) => Timestamp::MAX,
        };
        let rules = [
            (
                Some(&spec.run_uid) != self.seen.run.uid().as_ref(),
                "it is for another run of that name",
            ),
            (Some(&spec.plan_hash) != plan, "the plan is another one now"),
            (
                Some(&spec.evidence_hash) != evidence,
                "the rehearsal showed something else",
            ),
            (spec.expires <= self.now, "it has expired"),
            (
                spec.expires > later(created(approval), LONGEST),
                "it would count for longer than seven days",
            ),
            (
                spec.requested_by != self.seen.run.spec.requested_by,
                "it says that somebody else asked for the run",
            ),
            (
                spec.approver == self.seen.run.spec.requested_by,
                "who asked for the run may not approve it",
            ),
            (
                spec.approver.starts_with(SERVICE_ACCOUNT),
                "a ServiceAccount may not approve",
            ),
            (
                created(approval) <= since,
                "it is older than the admission policies, so nobody held its approver against who wrote it",
            ),
        ];
        rules
            .into_iter()
            .find(|(broken, _)| *broken)
            .map(|(_, why)| why)
    }

    pub(super) fn who_may_approve(&self) -> String {
        let run = &self.seen.run;
        let by = &run.spec.requested_by;
        let who = match by.starts_with(SERVICE_ACCOUNT) {
            true => format!("a person, since {by} asked for it"),
            false => format!("somebody else than {by}"),
        };
        format!(
            "waits for the approval of {who}: lifeboat approve {} -n {}",
            run.name_any(),
            run.namespace().unwrap_or_default()
        )
    }
}

/// Tells of approvals that are new, and of what became of them.
pub(super) fn tell(
    old: &[ApprovalRecord],
    decision: Decision<MigrationRunStatus>,
) -> Decision<MigrationRunStatus> {
    let mut notices = decision.notices;
    for record in &decision.status.approvals {
        if old.contains(record) {
            continue;
        }
        let (name, approver) = (&record.name, &record.approver);
        notices.push(match &record.void {
            None => Notice::normal(
                Reason::Succeeded,
                format!("approved by {approver} until {}: `{name}`", record.expires),
            ),
            Some(why) => Notice::warning(
                Reason::AwaitingApproval,
                format!("MigrationApproval `{name}` of {approver} does not count: {why}"),
            ),
        });
    }
    Decision {
        notices,
        ..decision
    }
}

fn created(approval: &MigrationApproval) -> Timestamp {
    let time = approval.metadata.creation_timestamp.as_ref();
    time.map_or(Timestamp::UNIX_EPOCH, |t| t.0)
}
