//! The codec: bytes of a dump become objects in a store, and back.
//!
//! ```text
//! write ─► count + SHA-256 (raw) ─► zstd ─► age ─► parts of 16 MiB ─► SHA-256 (stored) ─► multipart upload, 2 at a time
//! ```
//!
//! Owns compression, encryption, hashing and splitting. Must never: touch a disk (P12), hold more than a
//! bounded number of parts, or hold a private key where backups are written (P7: only [`read`] knows one).
//!
//! What it writes is read by stock tools: `cat <name> <name>.0002 … | age -d -i key | zstd -d`.

pub mod error;
pub mod fetch;
pub mod pack;
mod pipeline;
pub mod read;
pub mod recipients;
mod upload;
pub mod writer;

pub use error::CodecError;
pub use fetch::fetch;
pub use pack::{pack, unpack};
pub use read::{read_object, read_pieces};
pub use recipients::{Identities, Recipients};
pub use writer::{Limits, ObjectWriter};

/// How the bytes of one object are treated on their way.
#[derive(Debug, Clone, Default)]
pub struct Codec {
    /// Level of zstd; `None` leaves the bytes as they are.
    pub zstd: Option<i32>,
    /// For whom to encrypt; `None` stores plain bytes (`mode: None`, written out by the user).
    pub recipients: Option<Recipients>,
}

impl Codec {
    /// File name of an object with this base: `globals.sql` → `globals.sql.zst.age`.
    #[must_use]
    pub fn name(&self, base: &str) -> String {
        object_name(base, self.zstd.is_some(), self.recipients.is_some())
    }
}

/// File name: base, `.zst` if we compress, `.age` if we encrypt.
#[must_use]
pub fn object_name(base: &str, zstd: bool, encrypted: bool) -> String {
    let zst = if zstd { ".zst" } else { "" };
    let age = if encrypted { ".age" } else { "" };
    format!("{base}{zst}{age}")
}

/// File name of the n-th piece, from 1: the first has the plain name, the second ends in `.0002`.
#[must_use]
pub fn piece_name(name: &str, piece: u32) -> String {
    if piece <= 1 {
        return name.to_owned();
    }
    format!("{name}.{piece:04}")
}

/// The name without `.0002`, and which steps undo it: `(zstd, age)`.
fn steps_of(name: &str) -> (bool, bool) {
    let whole = match name.rsplit_once('.') {
        Some((head, tail)) if tail.len() >= 4 && tail.bytes().all(|b| b.is_ascii_digit()) => head,
        _ => name,
    };
    let plain = whole.strip_suffix(".age");
    (plain.unwrap_or(whole).ends_with(".zst"), plain.is_some())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("dump.pgc", false, true, "dump.pgc.age")]
    #[case("dump.pgc", true, true, "dump.pgc.zst.age")]
    #[case("globals.sql", true, false, "globals.sql.zst")]
    #[case("dump.pgc", false, false, "dump.pgc")]
    fn a_name_says_how_to_read_it(
        #[case] base: &str,
        #[case] zstd: bool,
        #[case] age: bool,
        #[case] name: &str,
    ) {
        assert_eq!(object_name(base, zstd, age), name);
        for piece in [1, 2, 10_000] {
            assert_eq!(steps_of(&piece_name(name, piece)), (zstd, age), "{piece}");
        }
    }
}
