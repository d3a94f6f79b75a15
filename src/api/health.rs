//! How well a policy must go, and what is wrong with it: the fields that speak of health.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the owner of the data expects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Objectives {
    /// So much data may be lost at most, as time: `6h`. A schedule that cannot keep it is told at once (`ObjectiveUnreachable`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^0*[1-9][0-9]{0,8}[smhdwy]$")
    )]
    pub rpo: Option<String>,
    /// So long may a restore take, as drills measure it: `4h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^0*[1-9][0-9]{0,8}[smhdwy]$")
    )]
    pub rto: Option<String>,
}

/// When something is worth an alert. Each has a default, and of each one half may be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertThresholds {
    /// Age of the newest complete backup. Default: `26h`, or 1.1 times the schedule's longest gap and the deadline where that is
    /// longer; critical `48h`, or twice that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_age: Option<TimeThreshold>,
    /// Age of the newest proven backup. Default `8d` and `15d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_age: Option<TimeThreshold>,
    /// Failed backups among those that ended in the last 7 days, in percent. Default 5 and 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_percent: Option<PercentThreshold>,
    /// How long the newest complete backup took. Default `30m` and `2h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<TimeThreshold>,
    /// Age of the data in the newest complete backup. Default: 2 and 4 times `objectives.rpo`; without an objective no alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point_age: Option<TimeThreshold>,
    /// How long the restore of the newest drill that passed took. Default: 1.5 and 3 times `objectives.rto`; without an objective
    /// no alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_time: Option<TimeThreshold>,
}

/// Two durations. What is not given has its default, but never such that a warning would come after the critical alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeThreshold {
    /// From here on it is a warning: `26h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^0*[1-9][0-9]{0,8}[smhdwy]$")
    )]
    pub warning: Option<String>,
    /// From here on it is critical: `48h`. Not shorter than `warning`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^0*[1-9][0-9]{0,8}[smhdwy]$")
    )]
    pub critical: Option<String>,
}

/// Two shares, in percent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.warning) || !has(self.critical) || self.warning <= self.critical").message("warning is above critical: a warning comes first, so write the smaller number there"))]
pub struct PercentThreshold {
    /// From here on it is a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub warning: Option<i32>,
    /// From here on it is critical. Not less than `warning`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub critical: Option<i32>,
}

/// How bad it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Severity {
    /// Look at it in working hours.
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// Both, for docs and tests.
    pub const ALL: [Severity; 2] = [Severity::Warning, Severity::Critical];

    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "Warning",
            Severity::Critical => "Critical",
        }
    }
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Its name, which is a reason: `BackupOverdue`. Each has a page in `docs/runbooks`.
    #[schemars(length(max = 64))]
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// Since when it is on, at whatever severity.
    pub since: Timestamp,
    /// One sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// The newest backup that a drill has proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastProven {
    /// Name of its Backup.
    #[schemars(length(max = 253))]
    pub backup: String,
    /// Its recovery point: when its snapshot was taken.
    pub data_at: Timestamp,
    /// When the drill that proved it ended.
    pub proven_at: Timestamp,
    /// Name of that drill's run.
    #[schemars(length(max = 253))]
    pub run: String,
}
