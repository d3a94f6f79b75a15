//! Thresholds, hysteresis and sentences.
