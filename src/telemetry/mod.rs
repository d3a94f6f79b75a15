//! Logs, metrics and probes. Must never carry a credential (P8): it sees names, reasons and times.

pub mod logs;
pub mod metrics;
pub mod policies;
pub mod probes;

pub use metrics::Metrics;
pub use policies::PolicyFigures;
