//! Lifeboat's one binary.
fn main() {}
