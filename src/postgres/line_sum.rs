//! Sums of the hashes of lines (G21). Pure.
//!
//! Each line of a table's COPY text is hashed with a key that belongs to the backup alone (BLAKE3), the
//! first 16 bytes are read as a little-endian number, and all are added up modulo 2^128. The sum
//! does not depend on the order of the rows, so any copy of the table gives the same, and the sums
//! of partitions add up to that of the whole. It proves against accident, not against somebody who
//! can write the bucket.

/// Key of the line hash: 32 random bytes, new for each backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineKey(pub(super) [u8; 32]);

impl LineKey {
    /// From random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As `contents.json` has it.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// From `contents.json`.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0_u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// What a pass over rows gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Content {
    /// Rows.
    pub rows: u64,
    /// Bytes of their lines, newlines not counted.
    pub bytes: u64,
    sum: u128,
}

impl Content {
    /// The sum as 32 hex digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{:032x}", self.sum)
    }

    /// Both together, as if they were one table.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows.saturating_add(other.rows),
            bytes: self.bytes.saturating_add(other.bytes),
            sum: self.sum.wrapping_add(other.sum),
        }
    }

    /// What is left of it without others that are part of it.
    #[must_use]
    pub fn without(self, part: Self) -> Self {
        Self {
            rows: self.rows.saturating_sub(part.rows),
            bytes: self.bytes.saturating_sub(part.bytes),
            sum: self.sum.wrapping_sub(part.sum),
        }
    }

    pub(super) fn add(&mut self, hash: &blake3::Hash, bytes: u64) -> u128 {
        let mut low = [0_u8; 16];
        for (to, from) in low.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        self.rows = self.rows.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        let line = u128::from_le_bytes(low);
        self.sum = self.sum.wrapping_add(line);
        line
    }
}

/// Adds up lines as they stream by, however the stream is cut.
#[derive(Debug)]
pub struct LineSum {
    key: LineKey,
    total: Content,
    /// The lines' own hashes, where they are kept: at most so many.
    kept: Option<(Vec<u128>, usize)>,
    /// A line that has begun and not ended, and its length. It is never held: it may be 1 GiB long.
    open: Option<(Box<blake3::Hasher>, u64)>,
}

impl LineSum {
    /// Of no lines.
    #[must_use]
    pub fn new(key: LineKey) -> Self {
        Self {
            key,
            total: Content::default(),
            kept: None,
            open: None,
        }
    }

    /// Keeps the hashes of the lines too, unless there are more than so many.
    #[must_use]
    pub fn keeping(mut self, most: usize) -> Self {
        self.kept = Some((Vec::new(), most));
        self
    }

    fn add(&mut self, hash: &blake3::Hash, bytes: u64) {
        let line = self.total.add(hash, bytes);
        match &mut self.kept {
            Some((lines, most)) if lines.len() < *most => lines.push(line),
            Some(_) => self.kept = None,
            None => {}
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            let length = length(line);
            match self.open.take() {
                None => self.add(&blake3::keyed_hash(&self.key.0, line), length),
                Some((mut hasher, before)) => {
                    hasher.update(line);
                    self.add(&hasher.finalize(), before.saturating_add(length));
                }
            }
        }
        if !bytes.is_empty() {
            let (hasher, open) = self
                .open
                .get_or_insert_with(|| (Box::new(blake3::Hasher::new_keyed(&self.key.0)), 0));
            hasher.update(bytes);
            *open = open.saturating_add(length(bytes));
        }
    }

    /// The sum of all lines; `None` if the last has no end.
    #[must_use]
    pub fn finish(self) -> Option<Content> {
        self.lines().map(|(total, _)| total)
    }

    /// The sum, and the hashes of the lines where they were kept, ordered; `None` if the last has no end.
    #[must_use]
    pub fn lines(self) -> Option<(Content, Option<Vec<String>>)> {
        let kept = self.kept.map(|(mut lines, _)| {
            lines.sort_unstable();
            lines.iter().map(|line| format!("{line:032x}")).collect()
        });
        self.open.is_none().then_some((self.total, kept))
    }
}

/// Takes the first columns of each line of COPY text, however the stream is cut: a tab always ends a column, for one in a value
/// is escaped.
#[derive(Debug)]
pub(super) struct FirstColumns {
    wanted: usize,
    /// Columns of this line that have ended.
    ended: usize,
}

impl FirstColumns {
    pub(super) fn new(wanted: usize) -> Self {
        Self { wanted, ended: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8], to: &mut LineSum) {
        let mut from = 0;
        for end in memchr::memchr2_iter(b'\t', b'\n', bytes) {
            let newline = bytes.get(end) == Some(&b'\n');
            let open = self.ended < self.wanted;
            if open && (newline || self.ended + 1 == self.wanted) {
                to.push(bytes.get(from..end).unwrap_or_default());
            }
            if newline {
                to.push(b"\n");
                (self.ended, from) = (0, end + 1);
            } else {
                self.ended += 1;
            }
        }
        if self.ended < self.wanted {
            to.push(bytes.get(from..).unwrap_or_default());
        }
    }
}

pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "line_sum_tests.rs"]
mod tests;
