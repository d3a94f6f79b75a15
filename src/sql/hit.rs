//! What one rule found at one place, before it is known what the catalogue says and what was acknowledged.

use std::ops::Range;

use super::lint::{Level, Rule, Unless};
use super::name::Name;

/// A rule and a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) rule: Rule,
    pub(super) span: Range<usize>,
    /// What it is about, as people name it in an acknowledgement: `public.orders.legacy`.
    pub(super) object: Option<String>,
    /// The table whose size or newness decides how bad it is.
    pub(super) table: Option<Name>,
    pub(super) message: String,
    /// Instead of the rule's own advice.
    pub(super) fix: Option<String>,
    /// Instead of the rule's own level.
    pub(super) level: Option<Level>,
    /// Lifeboat cannot run it at all: no acknowledgement helps.
    pub(super) refused: bool,
    /// The form of `locks.tsv` that it is about: on a major where that costs nothing there is nothing to say.
    pub(super) form: Option<&'static str>,
    /// What, if it is so, leaves nothing to say.
    pub(super) unless: Option<Unless>,
}

impl Hit {
    pub(super) fn new(rule: Rule, span: Range<usize>, message: &str) -> Self {
        Self {
            rule,
            span,
            object: None,
            table: None,
            message: message.to_owned(),
            fix: None,
            level: None,
            refused: false,
            form: None,
            unless: None,
        }
    }

    pub(super) fn refused(mut self) -> Self {
        self.refused = true;
        self
    }

    pub(super) fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    pub(super) fn fix(mut self, fix: &str) -> Self {
        self.fix = Some(fix.to_owned());
        self
    }

    /// About an object, whatever the size of its table.
    pub(super) fn about(mut self, object: impl ToString) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// About a table, which may be new or small.
    pub(super) fn on(mut self, table: Option<&Name>) -> Self {
        if let Some(table) = table {
            self.object.get_or_insert_with(|| table.to_string());
            self.table = Some(table.clone());
        }
        self
    }
}
