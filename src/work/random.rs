//! Random bytes from the system.

use std::io::{self, Read};

/// So many random bytes.
///
/// # Errors
/// Those of the system's generator.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
