//! What commands print: all words to standard output and standard error go through here.
//!
//! Whoever reads may have seen enough (`lifeboat inspect … | head`): then the rest is dropped, and the command goes on to its end
//! and its own exit code. Whatever else keeps it from being written is an error: a full disk must not look like success.

use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Why standard output could not be written.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints as it is.
pub(super) fn print(text: impl AsRef<[u8]>) {
    let mut out = io::stdout().lock();
    keep(out.write_all(text.as_ref()));
}

/// Prints a line.
pub(super) fn line(text: impl AsRef<str>) {
    print(format!("{}\n", text.as_ref()));
}

/// Prints what is not ended by a line yet: a question.
pub(super) fn ask(text: &str) {
    print(text);
    keep(io::stdout().flush());
}

/// A line on standard error. If nobody reads that either, there is nobody to tell.
pub(super) fn complain(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}

/// Ends the printing.
///
/// # Errors
/// Why not everything was written, unless the reader went away.
pub(super) fn finish() -> Result<(), String> {
    keep(io::stdout().flush());
    LOST.get().map_or(Ok(()), |why| Err(why.clone()))
}

fn keep(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = LOST.set(format!("failed to write to standard output: {error}"));
        }
        _ => {}
    }
}
