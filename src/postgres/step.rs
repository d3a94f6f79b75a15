//! The named steps of a run, and who is told of them.

use async_trait::async_trait;

/// Where a run has come to. Log, progress and tests hang on these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Every table is locked; there is no snapshot yet.
    Locked,
    /// The snapshot is taken and exported.
    Exported,
    /// Every table that the snapshot shows is among the locked ones.
    Relisted,
    /// pg_dump runs.
    DumpStarted,
    /// pg_dump ended well.
    DumpEnded,
    /// Every table is counted.
    Counted,
    /// Every row is read and its hash added up.
    Hashed,
    /// The manifest is about to be written.
    Committing,
    /// A backup is being fetched.
    Fetching,
    /// A scratch server is being made.
    StartingServer,
    /// Roles and definitions are being restored.
    LoadingSchema,
    /// Data is being restored.
    LoadingData,
    /// Indexes, constraints and triggers are being restored.
    Indexing,
    /// Statistics are being made.
    Analyzing,
    /// The user's own checks run.
    Checking,
    /// The break-glass script restores the backup once more.
    BreakGlass,
}

impl Step {
    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Locked => "Locked",
            Step::Exported => "Exported",
            Step::Relisted => "Relisted",
            Step::DumpStarted => "DumpStarted",
            Step::DumpEnded => "DumpEnded",
            Step::Counted => "Counted",
            Step::Hashed => "Hashed",
            Step::Committing => "Committing",
            Step::Fetching => "Fetching",
            Step::StartingServer => "StartingServer",
            Step::LoadingSchema => "LoadingSchema",
            Step::LoadingData => "LoadingData",
            Step::Indexing => "Indexing",
            Step::Analyzing => "Analyzing",
            Step::Checking => "Checking",
            Step::BreakGlass => "BreakGlass",
        }
    }
}

/// Is told how far a run is. A test may block in [`Observer::reached`]: the run waits.
#[async_trait]
pub trait Observer: Send + Sync {
    /// A step was reached; the next begins when this returns.
    async fn reached(&self, _step: Step) {}
    /// So many bytes more came out of pg_dump.
    fn bytes(&self, _raw: u64) {}
    /// pg_dump has read so many rows of all that were counted.
    fn rows(&self, _done: u64, _total: u64) {}
    /// Who waits longest for a lock of the run, and for how long; `None`: nobody.
    fn blocking(&self, _waiter: Option<(String, std::time::Duration)>) {}
    /// Something that whoever makes the backup should know, in one line; it stops nothing.
    fn note(&self, _text: &str) {}
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

#[async_trait]
impl Observer for Silent {}
