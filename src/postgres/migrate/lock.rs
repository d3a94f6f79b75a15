//! Lock modes of tables, from the weakest.

use std::fmt;

/// A lock mode, as LOCK TABLE names it. The order is that of their strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Readers.
    AccessShare,
    /// `SELECT … FOR UPDATE`, and what foreign keys ask.
    RowShare,
    /// Writers.
    RowExclusive,
    /// VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY, VALIDATE CONSTRAINT.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    /// CREATE TRIGGER, ADD FOREIGN KEY.
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY.
    Exclusive,
    /// Most of ALTER TABLE, DROP, TRUNCATE: readers wait too.
    AccessExclusive,
}

impl Mode {
    const ALL: [Mode; 8] = [
        Mode::AccessShare,
        Mode::RowShare,
        Mode::RowExclusive,
        Mode::ShareUpdateExclusive,
        Mode::Share,
        Mode::ShareRowExclusive,
        Mode::Exclusive,
        Mode::AccessExclusive,
    ];

    /// As pg_locks says it, without the word `Lock` at its end.
    fn in_pg_locks(self) -> &'static str {
        match self {
            Mode::AccessShare => "AccessShare",
            Mode::RowShare => "RowShare",
            Mode::RowExclusive => "RowExclusive",
            Mode::ShareUpdateExclusive => "ShareUpdateExclusive",
            Mode::Share => "Share",
            Mode::ShareRowExclusive => "ShareRowExclusive",
            Mode::Exclusive => "Exclusive",
            Mode::AccessExclusive => "AccessExclusive",
        }
    }

    /// Reads the column `mode` of pg_locks.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_suffix("Lock")?;
        Self::ALL.into_iter().find(|m| m.in_pg_locks() == name)
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.to_string() == text)
    }

    /// Whether two sessions cannot have both on one table, by the table in PostgreSQL's manual.
    #[must_use]
    pub fn conflicts(self, other: Self) -> bool {
        let (weak, strong) = (self.min(other), self.max(other));
        match weak {
            Mode::AccessShare => strong == Mode::AccessExclusive,
            Mode::RowShare => strong >= Mode::Exclusive,
            // SHARE UPDATE EXCLUSIVE lets writers write.
            Mode::RowExclusive => strong >= Mode::Share,
            // Two of SHARE do not conflict.
            Mode::Share => strong > Mode::Share,
            _ => true,
        }
    }
}

impl fmt::Display for Mode {
    /// As LOCK TABLE takes it: `ACCESS EXCLUSIVE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.in_pg_locks().char_indices() {
            if at > 0 && letter.is_ascii_uppercase() {
                f.write_str(" ")?;
            }
            write!(f, "{}", letter.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_write_and_conflict_as_the_manual_says() {
        for mode in Mode::ALL {
            assert_eq!(
                Mode::parse(&format!("{}Lock", mode.in_pg_locks())),
                Some(mode)
            );
            assert!(mode.conflicts(Mode::AccessExclusive));
        }
        assert_eq!(
            Mode::ShareUpdateExclusive.to_string(),
            "SHARE UPDATE EXCLUSIVE"
        );
        assert_eq!(Mode::parse("SIReadLock"), None);
        // The manual's table, row by row: with which of the eight does it conflict?
        let table = [
            "00000001", "00000011", "00001111", "00011111", "00110111", "00111111", "01111111",
            "11111111",
        ];
        for (mode, row) in Mode::ALL.into_iter().zip(table) {
            for (other, mark) in Mode::ALL.into_iter().zip(row.chars()) {
                assert_eq!(mode.conflicts(other), mark == '1', "{mode} and {other}");
            }
        }
    }
}
