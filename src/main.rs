//! Lifeboat's one binary: parse, dispatch. Everything else is in the library.

use std::process::ExitCode;

/// musl's own allocator is slow under threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lifeboat::cli::run()
}
