//! `MigrationApproval`: somebody else has looked at a plan and its rehearsal.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::shared::LocalRef;

/// Says that somebody has looked at what a `MigrationRun` will do, and at what its rehearsal showed. `lifeboat approve` writes it.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "MigrationApproval",
    plural = "migrationapprovals",
    shortname = "lba",
    category = "lifeboat",
    namespaced,
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 253"),
    printcolumn(name = "Run", type_ = "string", json_path = ".spec.runRef.name"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".spec.approver"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expires"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a MigrationApproval cannot change; delete it and create another"),
    validation = Rule::new("self.approver != self.requestedBy").message("spec.approver: whoever asked for the run (spec.requestedBy) may not approve it; somebody else has to"),
)]
pub struct MigrationApprovalSpec {
    /// The `MigrationRun`, in the same namespace.
    pub run_ref: LocalRef,
    /// Its uid: a run of the same name that was made anew is another run.
    #[schemars(length(min = 1, max = 64))]
    pub run_uid: String,
    /// `status.plan.hash` of the run.
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub plan_hash: String,
    /// `status.rehearsal.evidenceHash` of the run.
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub evidence_hash: String,
    /// Who approves: your name as `kubectl auth whoami` prints it. Admission holds it against the request.
    #[schemars(length(min = 1, max = 253))]
    pub approver: String,
    /// `spec.requestedBy` of the run: whoever asked for it approves nothing.
    #[schemars(length(min = 1, max = 253))]
    pub requested_by: String,
    /// It counts until then, and no longer than seven days.
    pub expires: Timestamp,
}
