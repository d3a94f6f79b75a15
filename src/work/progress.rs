//! Progress of a backup, for the operator as JSON lines (K15) and for a person as one moving line.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::postgres::{Observer, Step};

/// Between two lines of the log.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Between two drawings on a terminal.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// JSON lines on standard error, for the operator.
    Json,
    /// A moving line on a terminal; lines now and then elsewhere.
    Person,
}

/// Shows progress; one per run.
#[derive(Debug)]
pub struct Progress {
    show: Show,
    began: Instant,
    bytes: AtomicU64,
    rows_done: AtomicU64,
    rows_total: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    step: Option<Step>,
    /// Who waits longest for our locks.
    blocking: Option<String>,
    shown: Option<Instant>,
}

impl Progress {
    /// Begins now.
    #[must_use]
    pub fn new(show: Show) -> Self {
        Self {
            show,
            began: Instant::now(),
            bytes: AtomicU64::new(0),
            rows_done: AtomicU64::new(0),
            rows_total: AtomicU64::new(0),
            state: Mutex::new(State {
                step: None,
                blocking: None,
                shown: None,
            }),
        }
    }

    /// Sets the step and gives the one before.
    fn enter(&self, step: Option<Step>) -> Option<Step> {
        let mut state = self.state.lock().ok()?;
        std::mem::replace(&mut state.step, step)
    }

    fn percent(&self) -> Option<u64> {
        let total = self.rows_total.load(Ordering::Relaxed);
        let done = self.rows_done.load(Ordering::Relaxed);
        // Large objects and the last part come after the last row, so 100 is only said by the end itself.
        (total > 0).then(|| {
            done.saturating_mul(100)
                .checked_div(total)
                .unwrap_or(0)
                .min(99)
        })
    }

    fn show(&self, force: bool) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        let terminal = self.show == Show::Person && std::io::stderr().is_terminal();
        let pause = if terminal { DRAW_EVERY } else { LOG_EVERY };
        if !force && state.shown.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        state.shown = Some(Instant::now());
        let step = state.step.map_or("Starting", Step::as_str);
        let bytes = self.bytes.load(Ordering::Relaxed);
        let mut err = std::io::stderr().lock();
        let _ = match self.show {
            Show::Json => writeln!(
                err,
                "{}",
                line(step, Some(bytes), self.percent(), state.blocking.as_deref())
            ),
            Show::Person => {
                let line = person_line(step, bytes, self.percent(), self.began.elapsed());
                if terminal {
                    write!(err, "\r\x1b[2K{line}")
                } else {
                    writeln!(err, "{line}")
                }
            }
        };
        let _ = err.flush();
    }

    /// Ends the moving line.
    pub fn finish(&self) {
        if self.show == Show::Person && std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

/// `{"progress":{"step":"DumpStarted","bytes":5,"percent":7}}`: how far a worker is, as the operator reads it from its log (K15).
/// `step` is at most 32 letters and digits; what is not known is left out. `blocking` says who waits longest for our locks.
#[must_use]
pub fn line(
    step: &str,
    bytes: Option<u64>,
    percent: Option<u64>,
    blocking: Option<&str>,
) -> String {
    let number =
        |name: &str, n: Option<u64>| n.map_or(String::new(), |n| format!(",\"{name}\":{n}"));
    let (bytes, percent) = (number("bytes", bytes), number("percent", percent));
    let text = blocking.and_then(|text| serde_json::to_string(text).ok());
    let blocking = text.map_or(String::new(), |text| format!(",\"blocking\":{text}"));
    format!("{{\"progress\":{{\"step\":\"{step}\"{bytes}{percent}{blocking}}}}}")
}

fn person_line(step: &str, bytes: u64, percent: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs().max(1);
    let rate = super::human::bytes(bytes.checked_div(seconds).unwrap_or(0));
    let mut line = format!(
        "{step:<12} {:>10}  {rate:>10}/s",
        super::human::bytes(bytes)
    );
    if let Some(percent) = percent {
        line.push_str(&format!("  {percent:>3} %"));
        if percent > 0 && percent < 100 {
            let left = seconds
                .saturating_mul(100 - percent)
                .checked_div(percent)
                .unwrap_or(0);
            line.push_str(&format!("  about {} left", super::human::seconds(left)));
        }
    }
    line
}

#[async_trait]
impl Observer for Progress {
    async fn reached(&self, step: Step) {
        let before = self.enter(Some(step));
        self.show(true);
        if step == Step::Counted && before == Some(Step::DumpStarted) {
            // Counting ends beside the dump, which goes on.
            self.enter(before);
        }
    }

    fn bytes(&self, raw: u64) {
        self.bytes.fetch_add(raw, Ordering::Relaxed);
        self.show(false);
    }

    fn rows(&self, done: u64, total: u64) {
        self.rows_done.store(done, Ordering::Relaxed);
        self.rows_total.store(total, Ordering::Relaxed);
    }

    fn blocking(&self, waiter: Option<(String, Duration)>) {
        let text = waiter.map(|(who, waited)| format!("{who} for {} s", waited.as_secs()));
        if let Ok(mut state) = self.state.lock() {
            state.blocking = text;
        }
    }

    fn note(&self, text: &str) {
        match self.show {
            Show::Json => tracing::warn!("{text}"),
            Show::Person => {
                self.finish();
                let _ = writeln!(
                    std::io::stderr(),
                    "note: {}",
                    text.replace(char::is_control, " ")
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_sees_rate_and_time_left() {
        let line = person_line(
            "DumpStarted",
            50 * 1024 * 1024,
            Some(25),
            Duration::from_secs(10),
        );
        assert!(
            line.contains("50.0 MiB")
                && line.contains("5.0 MiB/s")
                && line.contains("25 %")
                && line.contains("about 30 s left"),
            "{line}"
        );
    }
}
