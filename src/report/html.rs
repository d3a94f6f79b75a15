//! The report as one HTML file: no script, nothing loaded, a policy inside that forbids both.

use std::fmt::Write as _;

use super::page::{Banner, Bar, Block, Cell, Figure, Page, Table, Tone};
use crate::api::visible::visible;

/// Colours for light, dark and paper.
pub(super) const STYLE: &str = include_str!("style.css");

pub(super) fn write(page: &Page) -> String {
    let mut out = String::new();
    let title = escape(&page.title, false);
    let _ = write!(
        out,
        "<!doctype html>\n\
         <html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{kind}: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body{list}>\n<main>\n\
         <header><p class=\"kind\">{kind}</p><h1>{title}</h1></header>\n",
        kind = page.kind,
        // Lists have many columns.
        list = match page.banner {
            Some(_) => "",
            None => " class=\"list\"",
        },
    );
    if let Some(it) = &page.banner {
        banner(&mut out, it);
    }
    out.push_str("<dl class=\"figures\">\n");
    for it in &page.figures {
        figure(&mut out, it);
    }
    out.push_str("</dl>\n");
    for section in &page.sections {
        let _ = writeln!(out, "<section>\n<h2>{}</h2>", section.title);
        for one in &section.blocks {
            block(&mut out, one);
        }
        out.push_str("</section>\n");
    }
    out.push_str("<footer>\n");
    for line in &page.colophon {
        let _ = writeln!(out, "<p>{}</p>", escape(line, false));
    }
    out.push_str("</footer>\n</main>\n</body>\n</html>\n");
    out
}

fn banner(out: &mut String, banner: &Banner) {
    let _ = writeln!(
        out,
        "<div class=\"banner {}\"><p class=\"verdict\">{} <strong>{}</strong> {}</p><p>{} <code>{}</code></p></div>",
        class(banner.tone),
        sign(banner.tone),
        banner.verdict,
        banner.meaning,
        escape(&banner.sentence, true),
        escape(&banner.reason, false)
    );
}

fn figure(out: &mut String, figure: &Figure) {
    let _ = writeln!(
        out,
        "<div class=\"{}\"><dt>{}</dt><dd>{}</dd><dd class=\"note\">{}</dd></div>",
        class(figure.tone),
        figure.name,
        escape(&figure.value, false),
        escape(&figure.note, false)
    );
}

fn block(out: &mut String, block: &Block) {
    match block {
        Block::Text(text) => {
            let _ = writeln!(out, "<p>{}</p>", escape(text, true));
        }
        Block::List(items) => {
            out.push_str("<ul>\n");
            for item in items {
                let _ = writeln!(out, "<li>{}</li>", escape(item, true));
            }
            out.push_str("</ul>\n");
        }
        Block::Facts(facts) => {
            out.push_str("<table class=\"facts\">\n");
            for (name, value) in facts {
                let _ = writeln!(out, "<tr><th scope=\"row\">{name}</th>{}</tr>", cell(value));
            }
            out.push_str("</table>\n");
        }
        Block::Table(it) => table(out, it),
        Block::Bars(bars) => draw(out, bars),
    }
}

fn table(out: &mut String, table: &Table) {
    out.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for (index, name) in table.columns.iter().enumerate() {
        let mut rows = table.rows.iter();
        let class = match rows.any(|row| matches!(row.get(index), Some(Cell::Number(_)))) {
            true => " class=\"number\"",
            false => "",
        };
        let _ = write!(out, "<th scope=\"col\"{class}>{name}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        let cells: String = row.iter().map(cell).collect();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    }
    out.push_str("</tbody>\n</table></div>\n");
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => format!("<td class=\"text\">{}</td>", escape(text, true)),
        Cell::Short(text) => format!("<td class=\"short\">{}</td>", escape(text, false)),
        Cell::Code(text) => format!("<td><code>{}</code></td>", escape(text, false)),
        Cell::Lines(text) => format!("<td><code>{}</code></td>", escape(text, true)),
        Cell::Number(text) => format!("<td class=\"number\">{}</td>", escape(text, false)),
        Cell::Mark(tone, text) => format!(
            "<td><span class=\"mark {}\">{} {}</span></td>",
            class(*tone),
            sign(*tone),
            escape(text, false)
        ),
    }
}

/// Each bar begins where the one before it ended.
fn draw(out: &mut String, bars: &[Bar]) {
    let all: f64 = bars.iter().map(|b| b.seconds).sum();
    let percent = |seconds: f64| match all > 0.0 {
        true => (seconds / all * 100.0).clamp(0.0, 100.0),
        false => 0.0,
    };
    let mut begun = 0.0;
    out.push_str("<div class=\"bars\" role=\"table\" aria-label=\"How long each phase took\">\n");
    for bar in bars {
        let kind = match (bar.counts, bar.longest) {
            (_, true) => "longest",
            (true, false) => "counts",
            (false, false) => "aside",
        };
        let said = match (bar.counts, bar.longest) {
            (_, true) => " <b>bottleneck</b>",
            (true, false) => "",
            (false, false) => " <i>not in the RTO</i>",
        };
        let _ = writeln!(
            out,
            "<div role=\"row\"><span role=\"cell\" class=\"phase\">{}<small>{}{said}</small></span>\
             <span role=\"cell\" class=\"track\"><span class=\"{kind}\" style=\"margin-left:{:.2}%;width:{:.2}%\"></span></span>\
             <span role=\"cell\" class=\"number\">{}</span></div>",
            escape(&bar.name, false),
            bar.what,
            percent(begun).min(99.7),
            percent(bar.seconds),
            escape(&bar.time, false),
        );
        begun += bar.seconds;
    }
    out.push_str("</div>\n");
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Unsure => "unsure",
        Tone::Plain => "plain",
    }
}

/// Colour alone says nothing on a grey printer. Text form, so that no platform draws a picture of its own.
fn sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "✔\u{fe0e}",
        Tone::Bad => "✘\u{fe0e}",
        Tone::Unsure => "⚠\u{fe0e}",
        Tone::Plain => "",
    }
}

fn escape(text: &str, keep_lines: bool) -> String {
    let text = visible(text, keep_lines);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}
