//! Room `postgres`.
