//! The Job of a drill.
