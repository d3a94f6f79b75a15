//! The report as Markdown with tables. What comes from a proof stands in entities wherever Markdown would read it.

use std::fmt::Write as _;

use super::page::{Bar, Block, Cell, Page, Table, Tone};
use crate::api::visible::visible;

/// Characters of the longest bar.
const WIDTH: f64 = 24.0;

pub(super) fn write(page: &Page) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}: {}", page.kind, escape(&page.title));
    if let Some(banner) = &page.banner {
        let _ = writeln!(
            out,
            "\n> **{} {}: {}**\n>\n> Because ({}): {}",
            sign(banner.tone),
            banner.verdict,
            banner.meaning,
            escape(&banner.reason),
            escape(&banner.sentence)
        );
    }
    let figures = page.figures.iter().map(|f| {
        let value = Cell::Mark(f.tone, f.value.clone());
        vec![
            Cell::Text(f.name.to_owned()),
            value,
            Cell::Text(f.note.clone()),
        ]
    });
    table(&mut out, &["", "", ""], &figures.collect::<Vec<_>>());
    for section in &page.sections {
        let _ = writeln!(out, "\n## {}", section.title);
        for one in &section.blocks {
            block(&mut out, one);
        }
    }
    out.push_str("\n---\n");
    for line in &page.colophon {
        let _ = writeln!(out, "\n{}", paragraph(line));
    }
    out
}

fn block(out: &mut String, block: &Block) {
    match block {
        Block::Text(text) => {
            let _ = writeln!(out, "\n{}", paragraph(text));
        }
        Block::List(items) => {
            out.push('\n');
            for item in items {
                let _ = writeln!(out, "- {}", paragraph(item));
            }
        }
        Block::Facts(facts) => {
            let row = |(name, value): &(&'static str, Cell)| {
                vec![Cell::Text((*name).to_owned()), value.clone()]
            };
            table(out, &["", ""], &facts.iter().map(row).collect::<Vec<_>>());
        }
        Block::Table(Table { columns, rows }) => table(out, columns, rows),
        Block::Bars(bars) => draw(out, bars),
    }
}

fn table(out: &mut String, columns: &[&str], rows: &[Vec<Cell>]) {
    let number = |index: usize| {
        rows.iter()
            .any(|row| matches!(row.get(index), Some(Cell::Number(_))))
    };
    let rules: Vec<&str> = (0..columns.len())
        .map(|index| if number(index) { "---:" } else { "---" })
        .collect();
    let _ = write!(
        out,
        "\n| {} |\n| {} |\n",
        columns.join(" | "),
        rules.join(" | ")
    );
    for row in rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

fn cell(cell: &Cell) -> String {
    let text = escape(cell.text());
    match cell.tone() {
        Tone::Plain => text,
        tone => format!("{} {text}", sign(tone)),
    }
}

fn draw(out: &mut String, bars: &[Bar]) {
    let longest = bars.iter().map(|b| b.seconds).fold(0.0, f64::max);
    out.push_str("\n| phase | time | | counts for the RTO | what it is |\n| --- | ---: | --- | --- | --- |\n");
    for bar in bars {
        let counts = match (bar.counts, bar.longest) {
            (true, true) => "yes, **the bottleneck**",
            (true, false) => "yes",
            (false, _) => "no",
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {counts} | {} |",
            escape(&bar.name),
            escape(&bar.time),
            line(bar, longest),
            bar.what
        );
    }
}

/// `████▌`: eighths of a character, and a trace of what took any time at all.
fn line(bar: &Bar, longest: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if bar.seconds <= 0.0 || longest <= 0.0 {
        return String::new();
    }
    let wanted = (bar.seconds / longest * WIDTH * 8.0).round();
    let eighths = (1_u16..=192).take_while(|n| f64::from(*n) <= wanted);
    let eighths = eighths.count().max(1);
    let rest = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    let full = if bar.counts { "█" } else { "▒" };
    match (bar.counts, eighths / 8, rest) {
        (_, whole, "") => full.repeat(whole),
        (true, whole, rest) => full.repeat(whole) + rest,
        (false, whole, _) => full.repeat(whole.max(1)),
    }
}

fn sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "✔",
        Tone::Bad => "✘",
        Tone::Unsure => "⚠",
        Tone::Plain => "",
    }
}

/// At the beginning of a line some characters mean more than elsewhere.
fn paragraph(text: &str) -> String {
    let text = escape(text);
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let numbered = digits > 0
        && text
            .get(digits..)
            .is_some_and(|t| t.starts_with(['.', ')']));
    match text.chars().next() {
        Some(first) if numbered || "-+=#:".contains(first) || first.is_whitespace() => {
            let rest: String = text.chars().skip(1).collect();
            format!("&#{};{rest}", u32::from(first))
        }
        _ => text,
    }
}

/// Text that is read as itself, in a line or in a field of a table. A backslash is ours alone.
fn escape(text: &str) -> String {
    let text = visible(text, false);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' | '`' | '\\' | '*' | '[' | ']' | '~' | '$' | '!' | '@' => entity(&mut out, c),
            '_' => out.push_str("\\_"),
            // Nothing becomes a link by itself.
            '/' if ends_in(&out, &["http:", "https:", "ftp:"]) => entity(&mut out, c),
            '.' if ends_in(&out, &["www"]) => entity(&mut out, c),
            _ => out.push(c),
        }
    }
    out
}

fn ends_in(text: &str, words: &[&str]) -> bool {
    let last = |length: usize| text.len().checked_sub(length).and_then(|at| text.get(at..));
    let mut words = words.iter();
    words.any(|word| last(word.len()).is_some_and(|end| end.eq_ignore_ascii_case(word)))
}

fn entity(out: &mut String, c: char) {
    let _ = write!(out, "&#{};", u32::from(c));
}
