//! What is told of each policy: the key of an alert is namespace and policy, so these labels are not from a closed set.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct OfPolicy {
    namespace: String,
    policy: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct OfAlert {
    namespace: String,
    policy: String,
    alert: String,
    severity: String,
}

/// What is told of one policy.
#[derive(Debug, Clone, Default)]
pub struct PolicyFigures {
    /// When the newest complete backup was finished.
    pub last_backup: Option<Timestamp>,
    /// What the newest complete backup holds at least.
    pub recovery_point: Option<Timestamp>,
    /// Recovery point of the newest proven backup.
    pub last_proven: Option<Timestamp>,
    /// The alerts that are on: name and severity.
    pub alerts: Vec<(String, String)>,
}

/// The figures of all policies. Cheap to clone: they are shared.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    last_backup: Family<OfPolicy, Gauge>,
    recovery_point: Family<OfPolicy, Gauge>,
    last_proven: Family<OfPolicy, Gauge>,
    alerts: Family<OfAlert, Gauge>,
    /// The alerts that are shown, to take them back.
    shown: Arc<Mutex<BTreeSet<OfAlert>>>,
    /// The policies that are shown.
    policies: Arc<Mutex<BTreeSet<OfPolicy>>>,
}

impl Policies {
    pub(super) fn register(&self, r: &mut Registry) {
        let times = [
            (
                "last_backup_timestamp",
                "When the newest complete backup of a policy was finished, in Unix time",
                &self.last_backup,
            ),
            (
                "policy_recovery_point_timestamp",
                "The newest complete backup of a policy holds what was committed until then, in Unix time",
                &self.recovery_point,
            ),
            (
                "policy_last_proven_timestamp",
                "Recovery point of the newest backup of a policy that a drill has proven, in Unix time",
                &self.last_proven,
            ),
        ];
        for (name, help, family) in times {
            r.register_with_unit(name, help, Unit::Seconds, family.clone());
        }
        r.register(
            "policy_alert",
            "1 while an alert of a policy is on, by its name and severity; absent while it is off",
            self.alerts.clone(),
        );
    }

    /// What is known of a policy now, in place of what was.
    pub fn show(&self, namespace: &str, policy: &str, figures: &PolicyFigures) {
        let labels = OfPolicy {
            namespace: namespace.to_owned(),
            policy: policy.to_owned(),
        };
        for (family, time) in [
            (&self.last_backup, figures.last_backup),
            (&self.recovery_point, figures.recovery_point),
            (&self.last_proven, figures.last_proven),
        ] {
            match time {
                Some(time) => {
                    family.get_or_create(&labels).set(time.as_second());
                }
                None => {
                    family.remove(&labels);
                }
            }
        }
        let on = figures.alerts.iter().map(|(alert, severity)| OfAlert {
            namespace: namespace.to_owned(),
            policy: policy.to_owned(),
            alert: alert.clone(),
            severity: severity.clone(),
        });
        self.show_alerts(&labels, on.collect());
        lock(&self.policies).insert(labels);
    }

    fn show_alerts(&self, of: &OfPolicy, on: BTreeSet<OfAlert>) {
        let mut shown = lock(&self.shown);
        shown.retain(|alert| {
            let stays = !is_of(alert, of) || on.contains(alert);
            if !stays {
                self.alerts.remove(alert);
            }
            stays
        });
        for alert in on {
            self.alerts.get_or_create(&alert).set(1);
            shown.insert(alert);
        }
    }

    /// Forgets the policies that are gone.
    pub fn keep(&self, is_there: impl Fn(&str, &str) -> bool) {
        lock(&self.policies).retain(|labels| {
            let stays = is_there(&labels.namespace, &labels.policy);
            if !stays {
                for family in [&self.last_backup, &self.recovery_point, &self.last_proven] {
                    family.remove(labels);
                }
                self.show_alerts(labels, BTreeSet::new());
            }
            stays
        });
    }
}

fn is_of(alert: &OfAlert, policy: &OfPolicy) -> bool {
    alert.namespace == policy.namespace && alert.policy == policy.policy
}

/// A panic elsewhere does not poison what is plain data.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::PolicyFigures;
    use crate::telemetry::Metrics;

    fn figures(alerts: &[(&str, &str)]) -> PolicyFigures {
        let time = Some("2026-11-21T02:00:00Z".parse().unwrap());
        let own = |(alert, severity): &(&str, &str)| ((*alert).to_owned(), (*severity).to_owned());
        PolicyFigures {
            last_backup: time,
            recovery_point: time,
            last_proven: time,
            alerts: alerts.iter().map(own).collect(),
        }
    }

    #[test]
    fn what_is_told_of_a_policy_has_its_name() {
        let metrics = Metrics::new();
        metrics
            .policies
            .show("shop", "orders", &figures(&[("BackupSlow", "Warning")]));
        let text = metrics.render();
        for line in [
            "lifeboat_last_backup_timestamp_seconds{namespace=\"shop\",policy=\"orders\"} 1795226400",
            "lifeboat_policy_recovery_point_timestamp_seconds{namespace=\"shop\",policy=\"orders\"} 1795226400",
            "lifeboat_policy_last_proven_timestamp_seconds{namespace=\"shop\",policy=\"orders\"} 1795226400",
            "lifeboat_policy_alert{namespace=\"shop\",policy=\"orders\",alert=\"BackupSlow\",severity=\"Warning\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    /// Lines that speak of a policy.
    fn of(metrics: &Metrics, policy: &str) -> usize {
        let name = format!("policy=\"{policy}\"");
        metrics
            .render()
            .lines()
            .filter(|l| l.contains(&name))
            .count()
    }

    #[test]
    fn an_alert_is_shown_at_one_severity_and_no_longer_than_it_is_on() {
        let metrics = Metrics::new();
        metrics
            .policies
            .show("shop", "orders", &figures(&[("BackupSlow", "Warning")]));
        metrics
            .policies
            .show("shop", "other", &figures(&[("BackupSlow", "Warning")]));
        metrics
            .policies
            .show("shop", "orders", &figures(&[("BackupSlow", "Critical")]));
        assert_eq!((of(&metrics, "orders"), of(&metrics, "other")), (4, 4));
        assert_eq!(metrics.render().matches("severity=\"Critical\"").count(), 1);
        metrics.policies.show("shop", "orders", &figures(&[]));
        assert_eq!((of(&metrics, "orders"), of(&metrics, "other")), (3, 4));
        metrics
            .policies
            .show("shop", "orders", &PolicyFigures::default());
        assert_eq!(of(&metrics, "orders"), 0);
    }

    #[test]
    fn a_policy_that_is_gone_leaves_nothing_behind() {
        let metrics = Metrics::new();
        metrics
            .policies
            .show("shop", "orders", &figures(&[("BackupSlow", "Warning")]));
        metrics.policies.show("shop", "other", &figures(&[]));
        metrics
            .policies
            .keep(|namespace, policy| (namespace, policy) == ("shop", "other"));
        assert_eq!((of(&metrics, "orders"), of(&metrics, "other")), (0, 3));
    }
}
