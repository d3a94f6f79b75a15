//! `lifeboat operator`: what the chart's Deployment runs.
//!
//! No flag reads `LIFEBOAT_*` from the environment: a Service named `lifeboat` would inject such
//! names (K8).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::CommandError;
use crate::cluster::SystemClock;
use crate::cluster::operator::{Parts, start};
use crate::telemetry::Metrics;
use crate::telemetry::logs::{self, LogFormat};
use crate::telemetry::probes::{Health, routes};
use crate::workload::Settings;

/// How long a stop waits for what is under way. Kubernetes kills after 30 s.
const GRACE: Duration = Duration::from_secs(20);

/// Arguments of `lifeboat operator`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// YAML file with the settings of all Jobs (the chart's `workers`).
    #[arg(long, value_name = "FILE")]
    settings: PathBuf,
    /// Where /metrics, /healthz and /readyz are served.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Watch only this namespace; may be given several times. Default: all.
    #[arg(long = "watch-namespace", value_name = "NAMESPACE")]
    watch_namespaces: Vec<String>,
    /// How log lines look.
    #[arg(long, value_enum, default_value = "json")]
    log_format: LogFormat,
    /// What is logged, for example `info` or `info,lifeboat=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log_level: String,
}

/// Runs the operator until SIGTERM or Ctrl-C.
///
/// # Errors
/// When the settings cannot be read, no cluster is configured, or the address is taken.
pub async fn run(args: Args) -> Result<(), CommandError> {
    logs::start(args.log_format, &args.log_level);
    let settings = read_settings(&args.settings)?;
    let mut config = kube::Config::infer().await?;
    // A POST that is sent again by the client may run twice; the reconcile tries again by itself.
    config.default_retry = false;
    let client = kube::Client::try_from(config)?;
    let metrics = Metrics::new();
    let health = Health::default();
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    tracing::info!(address = %args.listen, version = env!("CARGO_PKG_VERSION"), "the operator starts");

    let stop = CancellationToken::new();
    let mut namespaces: Vec<Option<String>> = args.watch_namespaces.into_iter().map(Some).collect();
    namespaces.sort();
    namespaces.dedup();
    if namespaces.is_empty() {
        namespaces.push(None);
    }
    let together = Arc::default();
    let mut scopes: Vec<_> = namespaces
        .into_iter()
        .map(|namespace| {
            let parts = Parts {
                client: client.clone(),
                settings: settings.clone(),
                clock: Arc::new(SystemClock),
                metrics: metrics.clone(),
                namespace,
                health: health.clone(),
                scopes: Arc::clone(&together),
            };
            start(parts, &stop)
        })
        .collect();

    let contexts: Vec<_> = scopes.iter().map(|scope| scope.context.clone()).collect();
    let synced = health.clone();
    tokio::spawn(async move {
        for context in contexts {
            if context.caches.synced().await.is_err() {
                return;
            }
        }
        synced.synced();
    });
    let server = axum::serve(listener, routes(metrics, health))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let server = tokio::spawn(async move { server.await });

    let broken = {
        let each = scopes.iter_mut().map(|scope| Box::pin(scope.broken()));
        let any = futures::future::select_all(each);
        tokio::select! {
            stopped = stopped() => stopped.map(|()| None)?,
            (what, ..) = any => Some(what),
        }
    };
    match &broken {
        None => tracing::info!("the operator stops: what is under way is finished first"),
        // Half of it would go on, on a picture that stands still.
        Some(what) => tracing::error!("the operator ends, to be started anew: {what}"),
    }
    stop.cancel();
    let ends = async {
        for scope in scopes {
            scope.ended().await;
        }
    };
    if tokio::time::timeout(GRACE, ends).await.is_err() {
        tracing::warn!("stopped before everything under way was finished");
    }
    server.abort();
    match broken {
        None => Ok(()),
        Some(what) => Err(format!("{what}: the operator does not go on without it").into()),
    }
}

fn read_settings(path: &std::path::Path) -> Result<Settings, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read the settings {}: {error}", path.display()))?;
    let settings = serde_saphyr::from_str(&text)
        .map_err(|error| format!("failed to parse the settings {}: {error}", path.display()))?;
    Ok(settings)
}

/// Returns at SIGTERM or Ctrl-C.
async fn stopped() -> Result<(), CommandError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}
