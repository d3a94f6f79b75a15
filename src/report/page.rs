//! A report before it has a form. Every text in it is raw: the forms escape.

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Over the title: what kind of report this is.
    pub(super) kind: &'static str,
    /// What it is about.
    pub(super) title: String,
    /// The verdict; a directory has none.
    pub(super) banner: Option<Banner>,
    /// The few numbers that one looks for first.
    pub(super) figures: Vec<Figure>,
    /// Everything else.
    pub(super) sections: Vec<Section>,
    /// At the end: where it comes from.
    pub(super) colophon: Vec<String>,
}

/// Whether something is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Unsure,
    Plain,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Banner {
    pub tone: Tone,
    pub verdict: &'static str,
    pub meaning: &'static str,
    pub reason: String,
    pub sentence: String,
}

/// A number and what it means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub name: &'static str,
    pub value: String,
    pub note: String,
    pub tone: Tone,
}

/// A heading and what stands below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    pub title: &'static str,
    pub blocks: Vec<Block>,
}

/// What a section is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// Sentences, one below the other.
    List(Vec<String>),
    /// Names and values.
    Facts(Vec<(&'static str, Cell)>),
    /// A table; never without rows.
    Table(Table),
    /// What took how long, one after the other.
    Bars(Vec<Bar>),
}

/// Rows below the names of columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub columns: &'static [&'static str],
    pub rows: Vec<Vec<Cell>>,
}

/// One field of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Words.
    Text(String),
    /// A moment, on one line.
    Short(String),
    /// A name, a digest: every character counts.
    Code(String),
    /// SQL, a definition: so does every line.
    Lines(String),
    /// A number, aligned at its end.
    Number(String),
    /// Good or bad, in a word.
    Mark(Tone, String),
}

/// A part of a whole that took time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub name: String,
    /// What is done in it.
    pub what: &'static str,
    pub seconds: f64,
    pub time: String,
    /// It counts for the time to restore.
    pub counts: bool,
    /// Of those the longest.
    pub longest: bool,
}

impl Section {
    pub(super) fn new(title: &'static str, blocks: Vec<Block>) -> Self {
        Self { title, blocks }
    }
}

impl Cell {
    pub(super) fn yes_or_no(yes: bool) -> Self {
        match yes {
            true => Cell::Mark(Tone::Good, "yes".to_owned()),
            false => Cell::Mark(Tone::Bad, "no".to_owned()),
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Cell::Text(text)
            | Cell::Short(text)
            | Cell::Code(text)
            | Cell::Lines(text)
            | Cell::Number(text)
            | Cell::Mark(_, text) => text,
        }
    }

    /// The tone of a mark.
    pub(super) fn tone(&self) -> Tone {
        match self {
            Cell::Mark(tone, _) => *tone,
            _ => Tone::Plain,
        }
    }
}
