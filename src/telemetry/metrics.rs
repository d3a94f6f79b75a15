//! What is counted. Labels come from closed sets, but for those of [`Policies`].

use std::sync::Arc;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::policies::Policies;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Looked {
    kind: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    verb: String,
    kind: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Drilled {
    result: String,
    reason: String,
}

/// Everything that is counted. Cheap to clone: the counts are shared.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<Looked, Counter>,
    durations: Family<Looked, Histogram>,
    requests: Family<Called, Counter>,
    watch_errors: Family<Kind, Counter>,
    jobs: Family<Kind, Counter>,
    events: Family<Why, Counter>,
    undecodable: Family<Kind, Gauge>,
    outdated: Family<Kind, Gauge>,
    runs: Family<Why, Counter>,
    drills: Family<Drilled, Counter>,
    migrations: Family<Why, Counter>,
    /// What is told of each policy.
    pub policies: Policies,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut all = Self {
            registry: Arc::new(Registry::default()),
            reconciles: Family::default(),
            durations: Family::new_with_constructor(|| {
                Histogram::new([0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0])
            }),
            requests: Family::default(),
            watch_errors: Family::default(),
            jobs: Family::default(),
            events: Family::default(),
            undecodable: Family::default(),
            outdated: Family::default(),
            runs: Family::default(),
            drills: Family::default(),
            migrations: Family::default(),
            policies: Policies::default(),
        };
        all.registry = Arc::new(all.register());
        all
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("lifeboat");
        let r = &mut registry;
        r.register(
            "reconciles",
            "Looks at an object, by kind and outcome",
            self.reconciles.clone(),
        );
        r.register_with_unit(
            "reconcile_duration",
            "How long a look at an object took",
            Unit::Seconds,
            self.durations.clone(),
        );
        r.register(
            "api_requests",
            "Requests to the API server besides watches, by verb, kind and outcome",
            self.requests.clone(),
        );
        r.register(
            "watch_errors",
            "Watches that broke and were begun anew",
            self.watch_errors.clone(),
        );
        r.register(
            "jobs_created",
            "Jobs created, by the kind that controls them",
            self.jobs.clone(),
        );
        r.register("events", "Events written, by reason", self.events.clone());
        r.register(
            "undecodable_objects",
            "Objects that exist and cannot be read, by kind",
            self.undecodable.clone(),
        );
        r.register(
            "crd_outdated",
            "1 if the CRD of this kind is older than the operator, so that its status is not written",
            self.outdated.clone(),
        );
        r.register(
            "backup_runs",
            "Backups that reached their end, by the reason of their Ready condition",
            self.runs.clone(),
        );
        r.register(
            "migration_runs",
            "MigrationRuns that reached their end, by the reason of their Ready condition",
            self.migrations.clone(),
        );
        r.register(
            "drill_runs",
            "Runs of drills that reached their end, by verdict and reason",
            self.drills.clone(),
        );
        self.policies.register(r);
        registry
    }

    /// As Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Starts the clock of one look.
    pub fn reconcile_timer(&self) -> ReconcileTimer {
        ReconcileTimer {
            metrics: self.clone(),
            begun: Instant::now(),
        }
    }

    /// Counts a request.
    pub fn request(&self, verb: &str, kind: &str, outcome: &str) {
        let labels = Called {
            verb: verb.to_owned(),
            kind: kind.to_owned(),
            outcome: outcome.to_owned(),
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts a watch that broke.
    pub fn watch_error(&self, kind: &str) {
        self.watch_errors.get_or_create(&of(kind)).inc();
    }

    /// Counts a Job.
    pub fn job_created(&self, owner: &str) {
        self.jobs.get_or_create(&of(owner)).inc();
    }

    /// Counts an Event.
    pub fn event(&self, reason: &str) {
        self.events.get_or_create(&why(reason)).inc();
    }

    /// More, or fewer, objects that do not decode.
    pub fn undecodable(&self, kind: &str, by: i64) {
        self.undecodable.get_or_create(&of(kind)).inc_by(by);
    }

    /// The CRD of a kind is too old.
    pub fn crd_outdated(&self, kind: &str) {
        self.outdated.get_or_create(&of(kind)).set(1);
    }

    /// Counts a Backup that reached its end.
    pub fn backup_run(&self, reason: &str) {
        self.runs.get_or_create(&why(reason)).inc();
    }

    /// A MigrationRun reached its end.
    pub fn migration_run(&self, reason: &str) {
        let reason = reason.to_owned();
        self.migrations.get_or_create(&Why { reason }).inc();
    }

    /// Counts a run of a drill that reached its end.
    pub fn drill_run(&self, result: &str, reason: &str) {
        let labels = Drilled {
            result: result.to_owned(),
            reason: reason.to_owned(),
        };
        self.drills.get_or_create(&labels).inc();
    }
}

/// Measures one look.
#[derive(Debug)]
#[must_use]
pub struct ReconcileTimer {
    metrics: Metrics,
    begun: Instant,
}

impl ReconcileTimer {
    /// Counts it.
    pub fn stop(self, kind: &str, outcome: &str) {
        let labels = Looked {
            kind: kind.to_owned(),
            outcome: outcome.to_owned(),
        };
        let took = self.begun.elapsed().as_secs_f64();
        self.metrics.durations.get_or_create(&labels).observe(took);
        self.metrics.reconciles.get_or_create(&labels).inc();
    }
}

fn of(kind: &str) -> Kind {
    Kind {
        kind: kind.to_owned(),
    }
}

fn why(reason: &str) -> Why {
    Why {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn every_metric_has_help_and_a_unit_in_its_name() {
        let metrics = Metrics::new();
        metrics.backup_run("Succeeded");
        metrics.drill_run("Failed", "Differs");
        metrics.undecodable("Backup", 1);
        let text = metrics.render();
        for line in [
            "lifeboat_backup_runs_total{reason=\"Succeeded\"} 1",
            "lifeboat_drill_runs_total{result=\"Failed\",reason=\"Differs\"} 1",
            "lifeboat_undecodable_objects{kind=\"Backup\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        for line in text.lines().filter(|l| l.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
    }
}
