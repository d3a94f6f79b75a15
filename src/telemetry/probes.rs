//! `/metrics`, `/healthz` and `/readyz`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Metrics;

/// Whether the operator has seen the whole picture.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Every cache is synced.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether [`Readiness::set`] was called.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The three routes.
pub fn routes(metrics: Metrics, ready: Readiness) -> Router {
    let text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let render = move || async move { ([(header::CONTENT_TYPE, text)], metrics.render()) };
    let readiness = move || async move {
        match ready.is_set() {
            true => (StatusCode::OK, "ok").into_response(),
            false => (StatusCode::SERVICE_UNAVAILABLE, "caches are not synced\n").into_response(),
        }
    };
    Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readiness))
}
