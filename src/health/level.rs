//! How bad one value is.

use std::time::Duration;

use crate::api::health::Severity;

/// From where on a value is worth a warning, and from where on it is critical. Seconds, or hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At or above it is a warning.
    pub warning: u64,
    /// At or above it is critical. Not below `warning`.
    pub critical: u64,
}

/// How long before a password expires its age counts from.
pub(super) const FORETOLD: Duration = Duration::from_secs(15 * 86_400);
/// A warning 14 days before, critical 3 days before.
pub(super) const EXPIRES: Limits = Limits {
    warning: 86_400,
    critical: 12 * 86_400,
};

impl Limits {
    /// The limit that `severity` stands for.
    #[must_use]
    pub fn of(self, severity: Severity) -> u64 {
        match severity {
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }

    fn reached(self, value: u64) -> Option<Severity> {
        match value {
            v if v >= self.critical => Some(Severity::Critical),
            v if v >= self.warning => Some(Severity::Warning),
            _ => None,
        }
    }
}

/// How bad `value` is, given how bad it was: it worsens at the limit, and betters only a tenth below it, so that a value
/// that stays about its limit does not call people again and again.
#[must_use]
pub fn level(value: u64, limits: Limits, before: Option<Severity>) -> Option<Severity> {
    let below = |limit: u64| limit - limit / 10;
    let held = Limits {
        warning: below(limits.warning),
        critical: below(limits.critical),
    };
    limits.reached(value).max(held.reached(value).min(before))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// 100 is the warning, 200 is critical; a tenth below, an alert that is on goes.
    #[rstest]
    #[case::off(99, None, None)]
    #[case::comes(100, None, Some(Severity::Warning))]
    #[case::jumps(200, None, Some(Severity::Critical))]
    #[case::worsens(200, Some(Severity::Warning), Some(Severity::Critical))]
    #[case::held(90, Some(Severity::Warning), Some(Severity::Warning))]
    #[case::goes(89, Some(Severity::Warning), None)]
    #[case::critical_held(180, Some(Severity::Critical), Some(Severity::Critical))]
    #[case::betters(179, Some(Severity::Critical), Some(Severity::Warning))]
    #[case::betters_to_the_held(90, Some(Severity::Critical), Some(Severity::Warning))]
    #[case::all_gone(89, Some(Severity::Critical), None)]
    fn an_alert_goes_only_when_its_value_is_clearly_below(
        #[case] value: u64,
        #[case] before: Option<Severity>,
        #[case] want: Option<Severity>,
    ) {
        let limits = Limits {
            warning: 100,
            critical: 200,
        };
        assert_eq!(level(value, limits, before), want);
    }
}
