//! The thresholds of one policy: what its spec says, and the defaults.

use std::time::Duration;

use super::level::Limits;
use crate::api::Invalid;
use crate::api::duration::{InvalidDuration, parse_positive};
use crate::api::health::{AlertThresholds, Objectives, PercentThreshold, TimeThreshold};
use crate::schedule::{Tiers, longest_gap};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const BACKUP_AGE: Limits = limits(26 * HOUR, 48 * HOUR);
const PROOF_AGE: Limits = limits(8 * DAY, 15 * DAY);
const FAILURE_PERCENT: Limits = limits(5, 15);
const DURATION: Limits = limits(30 * MINUTE, 2 * HOUR);
/// Below this age the schedule's gap is not measured: it makes the limits longer, never shorter.
const SURELY_YOUNG: u64 = 23 * HOUR;

const fn limits(warning: u64, critical: u64) -> Limits {
    Limits { warning, critical }
}

/// What stands in the spec of one threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    warning: Option<u64>,
    critical: Option<u64>,
}

impl Given {
    /// What is not given comes from `default`, as far as a warning still comes no later than the critical alert.
    fn or(self, default: Option<Limits>) -> Option<Limits> {
        match (self.warning, self.critical, default) {
            (Some(warning), Some(critical), _) => Some(limits(warning, critical)),
            (Some(warning), None, Some(d)) => Some(limits(warning, d.critical.max(warning))),
            (Some(warning), None, None) => Some(limits(warning, u64::MAX)),
            (None, Some(critical), Some(d)) => Some(limits(d.warning.min(critical), critical)),
            (None, Some(critical), None) => Some(limits(critical, critical)),
            (None, None, default) => default,
        }
    }
}

/// The thresholds of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Age of the newest backup, as far as the spec says; the rest comes from the schedule.
    backup_age: Given,
    /// Age of the newest proven backup, in seconds.
    pub proof_age: Limits,
    /// Failed backups of seven days, in hundredths of a percent.
    pub failures: Limits,
    /// How long a backup takes, in seconds.
    pub duration: Limits,
    /// Age of the data, in seconds; `None` without an objective.
    pub recovery_point_age: Option<Limits>,
    /// How long a restore takes, in seconds; `None` without an objective.
    pub restore_time: Option<Limits>,
    /// How much may be lost.
    pub rpo: Option<Duration>,
}

impl Rules {
    /// What the spec says, over the defaults.
    ///
    /// # Errors
    /// [`Invalid`] with the field and the fix.
    pub fn parse(
        objectives: Option<&Objectives>,
        alerts: Option<&AlertThresholds>,
    ) -> Result<Self, Invalid> {
        let objectives = objectives.cloned().unwrap_or_default();
        let alerts = alerts.cloned().unwrap_or_default();
        let rpo = span("spec.objectives.rpo", objectives.rpo.as_deref())?;
        let rto = span("spec.objectives.rto", objectives.rto.as_deref())?;
        let twofold = rpo.map(|rpo| limits(rpo.saturating_mul(2), rpo.saturating_mul(4)));
        let half_more = rto.map(|rto| limits(rto + rto / 2, rto.saturating_mul(3)));
        let given = |name: &str, given: &Option<TimeThreshold>| times(name, given.as_ref());
        Ok(Self {
            backup_age: given("backupAge", &alerts.backup_age)?,
            proof_age: given("proofAge", &alerts.proof_age)?
                .or(Some(PROOF_AGE))
                .unwrap_or(PROOF_AGE),
            failures: percents(alerts.failure_percent.as_ref())?,
            duration: given("duration", &alerts.duration)?
                .or(Some(DURATION))
                .unwrap_or(DURATION),
            recovery_point_age: given("recoveryPointAge", &alerts.recovery_point_age)?.or(twofold),
            restore_time: given("restoreTime", &alerts.restore_time)?.or(half_more),
            rpo: rpo.map(Duration::from_secs),
        })
    }

    /// How old the newest backup may be. A schedule that leaves more than a day between two backups has longer limits; where
    /// nothing is ever due and nobody gave a limit, there is none. `age` tells whether it is worth measuring.
    #[must_use]
    pub fn backup_age(&self, age: u64, tiers: &Tiers, deadline: Duration) -> Option<Limits> {
        if tiers.is_empty() {
            return self.backup_age.or(None);
        }
        let deadline = deadline.as_secs();
        // A gap that makes no difference is not looked for.
        let least = BACKUP_AGE.warning.saturating_sub(deadline) * 10 / 11;
        let gap = match (age, self.backup_age) {
            (age, _) if age < SURELY_YOUNG => None,
            (
                _,
                Given {
                    warning: Some(_),
                    critical: Some(_),
                },
            ) => None,
            _ => longest_gap(tiers, Duration::from_secs(least)),
        };
        let expected = gap.map_or(0, |gap| {
            let gap = gap.as_secs();
            (gap + gap / 10).saturating_add(deadline)
        });
        self.backup_age.or(Some(limits(
            BACKUP_AGE.warning.max(expected),
            BACKUP_AGE.critical.max(expected.saturating_mul(2)),
        )))
    }
}

fn span(field: &str, text: Option<&str>) -> Result<Option<u64>, Invalid> {
    let parsed = text.map(parse_positive).transpose();
    let told = |error: InvalidDuration| Invalid::new(field, error.to_string());
    Ok(parsed.map_err(told)?.map(|d| d.as_secs()))
}

fn times(name: &str, given: Option<&TimeThreshold>) -> Result<Given, Invalid> {
    let Some(given) = given else {
        return Ok(Given::default());
    };
    let half = |half: &str, text: &Option<String>| {
        span(&format!("spec.alerts.{name}.{half}"), text.as_deref())
    };
    in_order(
        name,
        Given {
            warning: half("warning", &given.warning)?,
            critical: half("critical", &given.critical)?,
        },
    )
}

fn percents(given: Option<&PercentThreshold>) -> Result<Limits, Invalid> {
    let given = given.cloned().unwrap_or_default();
    let half = |half: &str, percent: Option<i32>| match percent {
        Some(percent @ 1..=100) => Ok(u64::try_from(percent).ok()),
        Some(_) => Err(Invalid::new(
            format!("spec.alerts.failurePercent.{half}"),
            "write a number from 1 to 100",
        )),
        None => Ok(None),
    };
    let given = Given {
        warning: half("warning", given.warning)?,
        critical: half("critical", given.critical)?,
    };
    let given = in_order("failurePercent", given)?;
    let percent = given.or(Some(FAILURE_PERCENT)).unwrap_or(FAILURE_PERCENT);
    Ok(limits(percent.warning * 100, percent.critical * 100))
}

fn in_order(name: &str, given: Given) -> Result<Given, Invalid> {
    match (given.warning, given.critical) {
        (Some(warning), Some(critical)) if warning > critical => Err(Invalid::new(
            format!("spec.alerts.{name}"),
            "warning is above critical: a warning comes first, so write the smaller value there",
        )),
        _ => Ok(given),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none(None, None, Some((10, 20)), Some((10, 20)))]
    #[case::both(Some(3), Some(4), Some((10, 20)), Some((3, 4)))]
    #[case::warning(Some(3), None, Some((10, 20)), Some((3, 20)))]
    #[case::warning_beyond(Some(30), None, Some((10, 20)), Some((30, 30)))]
    #[case::critical(None, Some(15), Some((10, 20)), Some((10, 15)))]
    #[case::critical_below(None, Some(5), Some((10, 20)), Some((5, 5)))]
    #[case::only_warning(Some(3), None, None, Some((3, u64::MAX)))]
    #[case::only_critical(None, Some(5), None, Some((5, 5)))]
    #[case::nothing(None, None, None, None)]
    fn what_is_not_given_never_puts_a_warning_after_the_critical_alert(
        #[case] warning: Option<u64>,
        #[case] critical: Option<u64>,
        #[case] default: Option<(u64, u64)>,
        #[case] want: Option<(u64, u64)>,
    ) {
        let pair = |(warning, critical)| limits(warning, critical);
        let given = Given { warning, critical };
        assert_eq!(given.or(default.map(pair)), want.map(pair));
    }

    #[rstest]
    #[case::order(TimeThreshold { warning: Some("2d".to_owned()), critical: Some("26h".to_owned()) }, "spec.alerts.backupAge: warning is above critical")]
    #[case::zero(TimeThreshold { warning: Some("0s".to_owned()), critical: None }, "spec.alerts.backupAge.warning: a duration must be longer")]
    #[case::shape(TimeThreshold { warning: None, critical: Some("soon".to_owned()) }, "spec.alerts.backupAge.critical: `soon` is not a duration")]
    fn thresholds_that_make_no_sense_are_refused(
        #[case] backup_age: TimeThreshold,
        #[case] want: &str,
    ) {
        let alerts = AlertThresholds {
            backup_age: Some(backup_age),
            ..AlertThresholds::default()
        };
        let refused = Rules::parse(None, Some(&alerts)).unwrap_err().to_string();
        assert!(refused.starts_with(want), "{refused}");
    }

    #[rstest]
    #[case(
        Some(20),
        Some(10),
        "spec.alerts.failurePercent: warning is above critical"
    )]
    #[case(
        Some(0),
        None,
        "spec.alerts.failurePercent.warning: write a number from 1 to 100"
    )]
    #[case(None, Some(101), "spec.alerts.failurePercent.critical: write a number")]
    fn shares_that_make_no_sense_are_refused(
        #[case] warning: Option<i32>,
        #[case] critical: Option<i32>,
        #[case] want: &str,
    ) {
        let alerts = AlertThresholds {
            failure_percent: Some(PercentThreshold { warning, critical }),
            ..AlertThresholds::default()
        };
        let refused = Rules::parse(None, Some(&alerts)).unwrap_err().to_string();
        assert!(refused.starts_with(want), "{refused}");
    }
}
