//! Which alerts are on, and when that may change by itself.

use std::time::Duration;

use jiff::Timestamp;

use super::level::{EXPIRES, FORETOLD, Limits, level};
use super::rules::Rules;
use super::signals::{Signals, Told, Took};
use crate::api::Reason;
use crate::api::condition::{Truth, cut};
use crate::api::health::{Alert, Severity};
use crate::cluster::decision::Notice;
use crate::schedule::{later, longest_gap};

/// Every alert there is, worst first among those of one severity. Each has a page in `docs/runbooks`.
pub const ALERTS: [Reason; 14] = [
    Reason::BackupOverdue,
    Reason::DrillFailed,
    Reason::RecoveryPointOld,
    Reason::ProofOverdue,
    Reason::FailureRateHigh,
    Reason::RtoExceeded,
    Reason::BackupSlow,
    Reason::DrillInconclusive,
    Reason::BreakGlassFailed,
    Reason::ObjectiveUnreachable,
    Reason::NeverProven,
    Reason::ExtensionDataNotDumped,
    Reason::NotDumped,
    Reason::PasswordExpires,
];

/// How far back failures count.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Clocks differ. What lies farther in the future than this was told by one that is wrong, and tells nothing.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3_600);

/// What is wrong at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The alerts that are on, worst first.
    pub alerts: Vec<Alert>,
    /// There is a complete backup, as far as can be seen.
    pub has_backup: bool,
    /// The next time at which an alert may come, worsen or go although nothing happens.
    pub next: Option<Timestamp>,
}

/// Which alerts are on, given those that were.
#[must_use]
pub fn assess(
    rules: &Rules,
    signals: &Signals<'_>,
    before: &[Alert],
    now: Timestamp,
) -> Assessment {
    let mut round = Round {
        before,
        now,
        alerts: Vec::new(),
        next: None,
    };
    let backup = signals.backup.as_ref().filter(|b| round.has_been(b.at));
    let proven = signals
        .proven
        .as_ref()
        // Data is never newer than its proof, whatever the server's clock said.
        .map(|proven| (proven, proven.data_at.min(proven.proven_at)))
        .filter(|(_, at)| round.has_been(*at));
    round.backup_age(rules, signals, backup.map(|b| (b.name.as_str(), b.at)));
    round.drills(signals);
    round.recovery_point(rules, signals);
    if let Some((proven, at)) = proven {
        round.age(Reason::ProofOverdue, at, rules.proof_age, |limit| {
            format!(
                "the newest proven backup, `{}`, is of {}; it should not be older than {limit}",
                proven.backup,
                time(at)
            )
        });
    } else if backup.is_some() {
        let message = "there are backups, and no RestoreDrill has proven one yet";
        round.turn_on(Reason::NeverProven, Severity::Warning, message);
    }
    round.failures(rules, signals);
    round.durations(rules, signals);
    round.objective(rules, signals);
    if !signals.not_dumped.is_empty() {
        let tables = signals.not_dumped.join("`, `");
        let message = format!(
            "no backup holds the rows of `{tables}`: an extension owns the table and does not mark it as its configuration, so pg_dump leaves it out; where that is known and good enough, name it in spec.accept.extensionData"
        );
        round.turn_on(Reason::ExtensionDataNotDumped, Severity::Warning, message);
    }
    if !signals.left_out.is_empty() {
        let things = signals.left_out.join("`, `");
        let message = format!(
            "no dump holds `{things}`, and so a restore does not give it back; where that is known and good enough, name it in spec.accept.notDumped"
        );
        round.turn_on(Reason::NotDumped, Severity::Warning, message);
    }
    if let Some(expires) = signals.password_expires {
        let since = crate::schedule::earlier(expires, FORETOLD);
        round.age(Reason::PasswordExpires, since, EXPIRES, |_| {
            format!(
                "the password of the backup's role expires at {}, and no backup can be made after that: renew it (ALTER ROLE … PASSWORD … VALID UNTIL …)",
                time(expires)
            )
        });
    }
    round
        .alerts
        .sort_by_key(|(rank, alert)| (std::cmp::Reverse(alert.severity), *rank));
    Assessment {
        alerts: round.alerts.into_iter().map(|(_, alert)| alert).collect(),
        has_backup: backup.is_some(),
        next: round.next,
    }
}

/// What the alerts make of the condition `Healthy`.
#[must_use]
pub fn condition(assessment: &Assessment) -> (Truth, Reason, String) {
    match assessment.alerts.split_first() {
        Some((worst, others)) => {
            let reason = Reason::parse(&worst.name).unwrap_or(Reason::Unknown);
            let mut message = worst.message.clone();
            if !others.is_empty() {
                let names: Vec<&str> = others.iter().map(|alert| alert.name.as_str()).collect();
                message = format!("{message}; also: {}", names.join(", "));
            }
            (Truth::False, reason, message)
        }
        None if assessment.has_backup => {
            let message = "the newest backup and the newest proven one are as they should be";
            (Truth::True, Reason::Healthy, message.to_owned())
        }
        None => {
            let message = "no backup has been completed yet";
            (Truth::Unknown, Reason::Pending, message.to_owned())
        }
    }
}

/// An Event for each alert that came, worsened or went.
#[must_use]
pub fn notices(before: &[Alert], now: &[Alert]) -> Vec<Notice> {
    let find = |alerts: &[Alert], name: Reason| -> Option<Alert> {
        alerts.iter().find(|a| a.name == name.as_str()).cloned()
    };
    let turn = |name: &Reason| match (find(before, *name), find(now, *name)) {
        (Some(_), None) => Some(Notice::normal(*name, format!("{name} is over"))),
        (None, Some(new)) => Some(Notice::warning(*name, told(&new))),
        (Some(old), Some(new)) if new.severity > old.severity => {
            Some(Notice::warning(*name, told(&new)))
        }
        _ => None,
    };
    ALERTS.iter().filter_map(turn).collect()
}

fn told(alert: &Alert) -> String {
    format!("{}: {}", alert.severity.as_str(), alert.message)
}

/// One assessment as it is made.
struct Round<'a> {
    before: &'a [Alert],
    now: Timestamp,
    alerts: Vec<(usize, Alert)>,
    next: Option<Timestamp>,
}

impl Round<'_> {
    fn wake(&mut self, at: Timestamp) {
        if at > self.now {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }

    /// Whether `at` is no time of a wrong clock.
    fn has_been(&mut self, at: Timestamp) -> bool {
        let from = crate::schedule::earlier(at, CLOCKS_DIFFER);
        self.wake(from);
        from <= self.now
    }

    fn seconds_since(&self, at: Timestamp) -> u64 {
        u64::try_from(self.now.duration_since(at).as_secs()).unwrap_or_default()
    }

    fn turn_on(&mut self, name: Reason, severity: Severity, message: impl AsRef<str>) {
        let old = self.before.iter().find(|a| a.name == name.as_str());
        let alert = Alert {
            name: name.as_str().to_owned(),
            severity,
            since: old.map_or(self.now, |old| old.since),
            message: cut(message.as_ref()),
        };
        let rank = ALERTS.iter().position(|a| *a == name);
        self.alerts.push((rank.unwrap_or(ALERTS.len()), alert));
    }

    /// A value that changes only when something happens. The sentence is told the limit that was reached.
    fn value(
        &mut self,
        name: Reason,
        value: u64,
        limits: Limits,
        message: impl FnOnce(u64) -> String,
    ) {
        let old = self.before.iter().find(|a| a.name == name.as_str());
        if let Some(severity) = level(value, limits, old.map(|old| old.severity)) {
            self.turn_on(name, severity, message(limits.of(severity)));
        }
    }

    /// A value that grows with time.
    fn age(
        &mut self,
        name: Reason,
        since: Timestamp,
        limits: Limits,
        message: impl FnOnce(String) -> String,
    ) {
        for limit in [limits.warning, limits.critical] {
            self.wake(later(since, Duration::from_secs(limit)));
        }
        let age = self.seconds_since(since);
        self.value(name, age, limits, |limit| message(span(limit)));
    }

    fn backup_age(
        &mut self,
        rules: &Rules,
        signals: &Signals<'_>,
        newest: Option<(&str, Timestamp)>,
    ) {
        // One that never succeeded is late from its creation on (P13).
        let Some(since) = newest.map(|(_, at)| at).or(signals.created) else {
            return;
        };
        let age = self.seconds_since(since);
        let Some(limits) = rules.backup_age(age, signals.tiers, signals.deadline) else {
            return;
        };
        self.age(Reason::BackupOverdue, since, limits, |limit| {
            let since = time(since);
            let mut message = match newest {
                Some((name, _)) => format!(
                    "the newest backup, `{name}`, was finished at {since}; it should not be older than {limit}"
                ),
                None => format!(
                    "no backup has been completed since {since}; there should be one within {limit}"
                ),
            };
            if signals.suspended {
                message += "; the policy is suspended";
            }
            message
        });
    }

    fn recovery_point(&mut self, rules: &Rules, signals: &Signals<'_>) {
        let point = signals.recovery_point.filter(|at| self.has_been(*at));
        let (Some(since), Some(limits)) = (point.or(signals.created), rules.recovery_point_age)
        else {
            return;
        };
        self.age(Reason::RecoveryPointOld, since, limits, |limit| {
            let what = match point {
                Some(_) => "what was written",
                None => "without a backup, all that was written",
            };
            let since = time(since);
            format!("{what} after {since} would be lost; that should not be more than {limit}")
        });
    }

    fn drills(&mut self, signals: &Signals<'_>) {
        let warning = Severity::Warning;
        let drills = [
            (Reason::DrillFailed, Severity::Critical, &signals.failed),
            (Reason::DrillInconclusive, warning, &signals.inconclusive),
            (Reason::BreakGlassFailed, warning, &signals.by_script),
        ];
        for (name, severity, drills) in drills {
            if let Some(message) = of_drills(drills) {
                self.turn_on(name, severity, message);
            }
        }
    }

    fn failures(&mut self, rules: &Rules, signals: &Signals<'_>) {
        let counts = |at: Timestamp| later(at, WEEK) > self.now;
        let recent: Vec<_> = signals.ended.iter().filter(|e| counts(e.at)).collect();
        let failed = recent.iter().filter(|e| e.failed).count();
        if failed == 0 {
            return;
        }
        // Each one that grows too old changes the share.
        for end in &recent {
            self.wake(later(end.at, WEEK));
        }
        let all = recent.len();
        let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let share = whole(failed).saturating_mul(10_000) / whole(all).max(1);
        self.value(Reason::FailureRateHigh, share, rules.failures, |limit| {
            let limit = limit / 100;
            format!("{failed} of {all} backups of the last 7 days failed; the limit is {limit} %")
        });
    }

    fn durations(&mut self, rules: &Rules, signals: &Signals<'_>) {
        let mut took = |name, took: &Option<Took>, limits: Option<Limits>, what: &str| {
            let (Some(took), Some(limits)) = (took, limits) else {
                return;
            };
            self.value(name, took.seconds, limits, |limit| {
                let (seconds, limit) = (span(took.seconds), span(limit));
                format!(
                    "{what} `{}` took {seconds}; the limit is {limit}",
                    took.name
                )
            });
        };
        let (backup, restore) = (Some(rules.duration), rules.restore_time);
        took(Reason::BackupSlow, &signals.took, backup, "the backup");
        took(
            Reason::RtoExceeded,
            &signals.restore,
            restore,
            "the restore of the drill",
        );
    }

    fn objective(&mut self, rules: &Rules, signals: &Signals<'_>) {
        let Some(rpo) = rules.rpo else {
            return;
        };
        let objective = span(rpo.as_secs());
        let why = match longest_gap(signals.tiers, rpo) {
            _ if signals.tiers.is_empty() => "without tiers no backup is ever due".to_owned(),
            Some(gap) => format!(
                "the tiers leave up to {} between two backups",
                span(gap.as_secs())
            ),
            None => return,
        };
        let message = format!(
            "{why}, and objectives.rpo is {objective}: back up more often, or accept that more is lost"
        );
        self.turn_on(Reason::ObjectiveUnreachable, Severity::Warning, message);
    }
}

fn of_drills(drills: &[Told]) -> Option<String> {
    let (first, others) = drills.split_first()?;
    let mut message = format!("RestoreDrill `{}`: {}", first.drill, first.message);
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|d| format!("`{}`", d.drill)).collect();
        // The names come first: the sentence may be long, and is cut.
        message = format!("besides {}: {message}", names.join(", "));
    }
    Some(message)
}

/// `8d`, `28h24m`, `45s`.
fn span(seconds: u64) -> String {
    let days = if seconds >= 3 * 86_400 {
        seconds / 86_400
    } else {
        0
    };
    let rest = seconds - days * 86_400;
    let parts = [
        (days, "d"),
        (rest / 3_600, "h"),
        (rest % 3_600 / 60, "m"),
        (rest % 60, "s"),
    ];
    let told = parts.iter().filter(|(n, _)| *n > 0);
    let text: String = told.map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
