//! Room `health`: from signals to alerts, and what they make of the condition `Healthy`. Pure.
//!
//! Owns thresholds, their defaults and their hysteresis, and the names and order of the alerts (DESIGN §8).
//! Must never take what it cannot see for healthy (P13), and says nothing that changes while nothing happens:
//! its sentences name times and limits, never ages, so that a status is not written at every look.

pub mod alerts;
pub mod level;
pub mod rules;
pub mod signals;

pub use alerts::{ALERTS, Assessment, assess, condition, notices};
pub use level::{Limits, level};
pub use rules::Rules;
pub use signals::Signals;

#[cfg(test)]
mod tests;
