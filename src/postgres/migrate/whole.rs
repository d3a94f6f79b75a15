//! Files that are through, as the history says (M6).

use jiff::Timestamp;

use crate::plan::{History, Plan};

/// A file of a plan all of whose segments are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Its place in the plan, from 1.
    pub place: usize,
    /// Its version in one spelling.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Head of the history when its last segment was through, and nothing of the next begun.
    pub head: String,
    /// When that was, by the server's clock.
    pub at: Option<Timestamp>,
}

impl Whole {
    /// Those of a plan, in its order.
    pub(super) fn all(plan: &Plan, history: &History) -> Vec<Self> {
        let files = plan.files.iter().enumerate();
        let whole = files.filter_map(|(at, file)| {
            let rows = history.done(&file.version, plan.direction);
            let last = rows.last().filter(|_| rows.len() >= file.segments.len())?;
            Some(Self {
                place: at + 1,
                version: file.version.clone(),
                name: file.name.clone(),
                head: history.head_after(last).to_owned(),
                at: last.finished_at,
            })
        });
        whole.collect()
    }
}
