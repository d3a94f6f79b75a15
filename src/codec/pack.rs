//! Small documents that stand in the store compressed and not sealed: files of migrations (M24).

use std::io::Read;

use super::error::CodecError;

const LEVEL: i32 = 3;

/// Compresses.
///
/// # Errors
/// Those of zstd.
pub fn pack(name: &str, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    zstd::encode_all(bytes, LEVEL).map_err(|source| CodecError::Step {
        step: "compress",
        name: name.to_owned(),
        source,
    })
}

/// Opens what [`pack`] made.
///
/// # Errors
/// `Damaged` if it is none, or longer than `most` bytes.
pub fn unpack(name: &str, bytes: &[u8], most: usize) -> Result<Vec<u8>, CodecError> {
    let damaged = |what: String| CodecError::Damaged {
        name: name.to_owned(),
        what,
    };
    let reader = zstd::Decoder::new(bytes).map_err(|e| damaged(e.to_string()))?;
    let mut out = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = reader.take(limit).read_to_end(&mut out);
    read.map_err(|e| damaged(e.to_string()))?;
    match out.len() <= most {
        true => Ok(out),
        false => Err(damaged(format!("it has more than {most} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_back_and_no_more() {
        let text = b"CREATE TABLE a (id int);\n".repeat(100);
        let packed = pack("a", &text).unwrap();
        assert!(packed.len() < text.len());
        assert_eq!(unpack("a", &packed, text.len()).unwrap(), text);
        assert!(unpack("a", &packed, text.len() - 1).is_err());
        assert!(unpack("a", b"no zstd", 100).is_err());
    }
}
