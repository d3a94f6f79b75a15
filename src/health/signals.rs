//! What is known of a policy, as far as it can be seen (P13): what is `None` is not known.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::health::LastProven;
use crate::schedule::Tiers;

/// Everything that alerts are made of.
#[derive(Debug, Clone)]
pub struct Signals<'a> {
    /// When the policy was created: from then on a backup is owed.
    pub created: Option<Timestamp>,
    /// No new runs start, by wish.
    pub suspended: bool,
    /// When backups are due.
    pub tiers: &'a Tiers,
    /// How long an attempt may take.
    pub deadline: Duration,
    /// The newest complete backup.
    pub backup: Option<Done>,
    /// How long the newest complete backup took.
    pub took: Option<Took>,
    /// The newest backup holds what was committed until then.
    pub recovery_point: Option<Timestamp>,
    /// The newest backup that a drill has proven.
    pub proven: Option<LastProven>,
    /// Backups that ended, in any order.
    pub ended: Vec<End>,
    /// The restore of the newest drill that passed.
    pub restore: Option<Took>,
    /// Drills whose last run failed.
    pub failed: Vec<Told>,
    /// Tables of extensions whose rows are in no dump, and that nobody accepted (G4).
    pub not_dumped: Vec<String>,
    /// What else no dump holds, and that nobody accepted (G3).
    pub left_out: Vec<String>,
    /// When the password of the backup's role expires.
    pub password_expires: Option<Timestamp>,
    /// Drills whose last run could not tell.
    pub inconclusive: Vec<Told>,
    /// Drills of which the script that needs no Lifeboat did not restore what they had restored.
    pub by_script: Vec<Told>,
}

/// A complete backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its name.
    pub name: String,
    /// When it was finished.
    pub at: Timestamp,
}

/// How long something took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Took {
    /// Its name.
    pub name: String,
    /// In whole seconds.
    pub seconds: u64,
}

/// How a Backup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// It was given up.
    pub failed: bool,
}

/// What a drill says of its last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Name of the drill.
    pub drill: String,
    /// Its sentence.
    pub message: String,
}
