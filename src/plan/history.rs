//! What was applied, as `lifeboat.migration_history` says it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Forward or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    /// Files `.sql`, in the order of their versions.
    Up,
    /// Files `.sql.down`, in reverse.
    Down,
}

impl Direction {
    /// As the history writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Direction::Up => Direction::Down,
            Direction::Down => Direction::Up,
        }
    }
}

/// How a row of the history stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// A statement outside transactions was begun; nobody has seen its end yet.
    Started,
    /// A part of it is applied, in batches, and the rest is to come.
    Partial,
    /// It is applied.
    Done,
    /// It was begun, failed, and left nothing.
    Failed,
    /// It was applied, and the other direction has undone it since.
    Undone,
}

impl State {
    /// As the history writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Started => "started",
            State::Partial => "partial",
            State::Done => "done",
            State::Failed => "failed",
            State::Undone => "undone",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [
            State::Started,
            State::Partial,
            State::Done,
            State::Failed,
            State::Undone,
        ];
        all.into_iter().find(|s| s.as_str() == text)
    }
}

/// A row: one segment of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// In the order of the rows.
    pub id: i64,
    /// In one spelling.
    pub version: String,
    /// Forward or back.
    pub direction: Direction,
    /// From 0. A baseline has the one segment 0.
    pub segment: usize,
    /// How many the file had.
    pub segments: usize,
    /// The file's name.
    pub name: String,
    /// SHA-256 of the file's bytes, hex; empty for a baseline.
    pub file_sha256: String,
    /// SHA-256 of the segment, hex; empty for a baseline.
    pub segment_sha256: String,
    /// How it stands.
    pub state: State,
    /// Who took it last: the pod's UID.
    pub attempt: String,
    /// Of the MigrationRun.
    pub run_uid: String,
    /// Of the server that it was written on.
    pub system_identifier: String,
    /// Of the database that it was written in.
    pub database_oid: u32,
    /// Object that a statement outside transactions is about, noted before it ran.
    pub object_oid: Option<u32>,
    /// Head of the history before this row.
    pub previous: String,
    /// When it was through, by the server's clock.
    pub finished_at: Option<Timestamp>,
    /// Value of the key up to which a statement in batches is through, as text.
    pub position: Option<String>,
    /// Rows that its batches have written, those of this row alone.
    pub row_count: i64,
}

impl Row {
    /// Everything up to this version counts as applied, though Lifeboat never saw it.
    #[must_use]
    pub fn is_baseline(&self) -> bool {
        self.segment_sha256.is_empty()
    }
}

/// The whole history, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Its rows.
    pub rows: Vec<Row>,
    /// A hash over every row: it changes when any of them does.
    pub head: String,
}

impl History {
    /// Rows that stand, of a version.
    fn of<'h, 'v>(
        &'h self,
        version: &'v str,
        direction: Direction,
    ) -> impl Iterator<Item = &'h Row> + use<'h, 'v> {
        let rows = self.rows.iter().filter(|r| r.state == State::Done);
        rows.filter(move |r| r.version == version && r.direction == direction)
    }

    /// Whether a segment is applied and stands.
    #[must_use]
    pub fn is_done(&self, version: &str, direction: Direction, segment: usize) -> bool {
        self.of(version, direction).any(|r| r.segment == segment)
    }

    /// Segments of a version that are applied and stand, in their order.
    #[must_use]
    pub fn done<'h>(&'h self, version: &str, direction: Direction) -> Vec<&'h Row> {
        let mut rows: Vec<&Row> = self.of(version, direction).collect();
        rows.sort_by_key(|r| r.segment);
        rows
    }

    /// The row of a segment of which only some batches are applied.
    #[must_use]
    pub fn part(&self, version: &str, direction: Direction, segment: usize) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|r| {
            let same = r.version == version && r.direction == direction && r.segment == segment;
            same && r.state == State::Partial
        })
    }

    /// Segments of a version that stand, those of which a part does too, in their order.
    #[must_use]
    pub fn standing<'h>(&'h self, version: &str, direction: Direction) -> Vec<&'h Row> {
        let mut rows = self.done(version, direction);
        let part = self.rows.iter().find(|r| {
            let same = r.version == version && r.direction == direction;
            same && r.state == State::Partial
        });
        rows.extend(part);
        rows.sort_by_key(|r| r.segment);
        rows
    }

    /// Versions that stand, whole or in part, with the number of segments that do and that there are.
    #[must_use]
    pub fn versions(&self) -> Vec<(&str, usize, usize)> {
        let mut versions: Vec<(&str, usize, usize)> = Vec::new();
        let up = self.rows.iter().filter(|r| r.direction == Direction::Up);
        for row in up {
            let done = match row.state {
                State::Done => 1,
                State::Partial => 0,
                State::Started | State::Failed | State::Undone => continue,
            };
            match versions.iter_mut().find(|(v, ..)| *v == row.version) {
                Some((_, sum, all)) => (*sum, *all) = (*sum + done, row.segments),
                None => versions.push((&row.version, done, row.segments)),
            }
        }
        versions
    }

    /// Begun statements whose end nobody has seen.
    pub fn started(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|r| r.state == State::Started)
    }

    /// What the head was when a row was the last one, and nothing of it was open any more: the next row keeps it.
    #[must_use]
    pub fn head_after(&self, row: &Row) -> &str {
        let next = self.rows.iter().find(|r| r.id > row.id);
        next.map_or(&self.head, |r| &r.previous)
    }

    /// Whether the head ever was this one, as far as its rows remember.
    #[must_use]
    pub fn had(&self, head: &str) -> bool {
        self.head == head || self.rows.iter().any(|r| r.previous == head)
    }

    /// The version up to which everything counts as applied.
    #[must_use]
    pub fn baseline(&self) -> Option<&str> {
        let mut rows = self.rows.iter().filter(|r| r.is_baseline());
        rows.find(|r| r.state == State::Done)
            .map(|r| r.version.as_str())
    }
}
