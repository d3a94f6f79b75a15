//! Needs: servers
//!
//! What is said when something fails, and to whom it sends people: each row of docs/failure-modes.md is provoked here, and the
//! page is held against these lists. `UPDATE=1 cargo test --test failure_modes` writes the page's tables anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "failure_modes/answers.rs"]
mod answers;
#[path = "support/pg.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod pg;
#[path = "failure_modes/postgres.rs"]
mod postgres;
#[path = "support/s3_server.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod s3_server;
#[path = "failure_modes/shell.rs"]
mod shell;
#[path = "support/standby.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod standby;
#[path = "failure_modes/stores.rs"]
mod stores;

use std::path::PathBuf;

/// A line of the page.
struct Line {
    cells: [String; 4],
}

fn line(cells: [&str; 4]) -> Line {
    // A bar would end the cell.
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    Line { cells }
}

/// Holds a table of the page against what was provoked.
fn page_has(table: &str, lines: &[Line]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/failure-modes.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let begin = format!("<!-- {table} -->\n");
    let end = format!("<!-- end of {table} -->");
    let (head, rest) = page.split_once(&begin).expect("the page has the table");
    let (_, tail) = rest.split_once(&end).expect("the table ends");
    let mut wanted = String::new();
    for (at, line) in lines.iter().enumerate() {
        wanted.push_str(&format!("| {} |\n", line.cells.join(" | ")));
        if at == 0 {
            wanted.push_str("|---|---|---|---|\n");
        }
    }
    let wanted = format!("{head}{begin}{wanted}{end}{tail}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/failure-modes.md says something else of {table}: UPDATE=1 cargo test --test failure_modes\n{wanted}"
    );
}
