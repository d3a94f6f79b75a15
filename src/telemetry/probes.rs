//! `/metrics`, `/healthz` and `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Metrics;

/// A watch that has not moved for so long is stuck: the process is started anew.
const STUCK: Duration = Duration::from_secs(180);
/// A watch that has failed in a row for so long shows what was: the operator is not ready.
const STALE: Duration = Duration::from_secs(60);
/// A failure that came later than this after the one before begins a new row: the watch went on between, and silence is no failure.
const ROW: Duration = Duration::from_secs(120);

/// How the watches are.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    synced: bool,
    watches: BTreeMap<String, Watch>,
}

#[derive(Debug)]
struct Watch {
    moved: Instant,
    /// The first and the last of its failures in a row.
    failing: Option<(Instant, Instant)>,
}

impl Health {
    /// Every cache is synced.
    pub fn synced(&self) {
        self.state().synced = true;
    }

    /// A watch is alive, whether something came or not.
    pub fn moved(&self, watch: &str) {
        self.moved_at(watch, Instant::now());
    }

    /// Something came by a watch.
    pub fn came(&self, watch: &str) {
        self.moved(watch);
        if let Some(watch) = self.state().watches.get_mut(watch) {
            watch.failing = None;
        }
    }

    /// A watch failed, and is tried again.
    pub fn failed(&self, watch: &str) {
        self.failed_at(watch, Instant::now());
    }

    fn moved_at(&self, watch: &str, now: Instant) {
        let mut state = self.state();
        match state.watches.get_mut(watch) {
            Some(watch) => watch.moved = now,
            None => {
                let failing = None;
                let fresh = Watch {
                    moved: now,
                    failing,
                };
                state.watches.insert(watch.to_owned(), fresh);
            }
        }
    }

    fn failed_at(&self, watch: &str, now: Instant) {
        self.moved_at(watch, now);
        if let Some(watch) = self.state().watches.get_mut(watch) {
            let row = watch
                .failing
                .filter(|(_, last)| now.duration_since(*last) < ROW);
            watch.failing = Some((row.map_or(now, |(first, _)| first), now));
        }
    }

    /// Why the process had better be started anew.
    ///
    /// # Errors
    /// The watch that is stuck.
    pub fn is_alive(&self, now: Instant) -> Result<(), String> {
        let state = self.state();
        let mut stuck = state.watches.iter();
        match stuck.find(|(_, watch)| now.duration_since(watch.moved) > STUCK) {
            Some((name, watch)) => {
                let seconds = now.duration_since(watch.moved).as_secs();
                Err(format!("{name} has not moved for {seconds} s"))
            }
            None => Ok(()),
        }
    }

    /// Whether the operator sees what is there.
    ///
    /// # Errors
    /// What it does not see.
    pub fn is_ready(&self, now: Instant) -> Result<(), String> {
        let state = self.state();
        if !state.synced {
            return Err("caches are not synced".to_owned());
        }
        let stale = |watch: &Watch| {
            let row = watch.failing;
            row.is_some_and(|(first, last)| {
                last.duration_since(first) >= STALE && now.duration_since(last) < ROW
            })
        };
        match state.watches.iter().find(|(_, watch)| stale(watch)) {
            Some((name, _)) => Err(format!("{name} has been failing for more than a minute")),
            None => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The three routes.
pub fn routes(metrics: Metrics, health: Health) -> Router {
    let text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let render = move || async move { ([(header::CONTENT_TYPE, text)], metrics.render()) };
    let answer = |state: Result<(), String>| match state {
        Ok(()) => (StatusCode::OK, "ok".to_owned()).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
    };
    let (live, ready) = (health.clone(), health);
    let liveness = move || async move { answer(live.is_alive(Instant::now())) };
    let readiness = move || async move { answer(ready.is_ready(Instant::now())) };
    Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(liveness))
        .route("/readyz", get(readiness))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_stands_still_is_not_alive() {
        let (health, now) = (Health::default(), Instant::now());
        assert_eq!(health.is_alive(now), Ok(()));
        health.moved_at("the watch of Job", now);
        assert_eq!(health.is_alive(now + STUCK), Ok(()));
        let later = now + STUCK + Duration::from_secs(1);
        let why = health.is_alive(later).unwrap_err();
        assert_eq!(why, "the watch of Job has not moved for 181 s");
        health.moved_at("the watch of Job", later);
        assert_eq!(health.is_alive(later), Ok(()));
    }

    #[test]
    fn a_watch_that_fails_for_long_is_not_ready_and_one_that_failed_now_and_then_is() {
        let (health, now) = (Health::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(health.is_ready(now).unwrap_err(), "caches are not synced");
        health.synced();
        for seconds in [0, 30, 59] {
            health.failed_at("the watch of Pod", at(seconds));
            assert_eq!(health.is_ready(at(seconds)), Ok(()));
        }
        health.failed_at("the watch of Pod", at(61));
        assert!(health.is_ready(at(61)).is_err());
        // It went on since, in silence.
        assert_eq!(health.is_ready(at(61) + ROW), Ok(()));
        health.failed_at("the watch of Pod", at(62) + ROW);
        assert_eq!(health.is_ready(at(62) + ROW), Ok(()));
        health.came("the watch of Pod");
        assert_eq!(health.is_alive(Instant::now()), Ok(()));
    }
}
