//! The sources as text: code apart from comments and from the tests that stand beside it.

use std::fs;
use std::path::{Path, PathBuf};

pub struct Source {
    /// Below the repository, with `/`.
    pub path: String,
    pub text: String,
    /// `text` without comments, and without `mod tests { … }`, which stands last.
    pub code: Vec<(usize, String)>,
}

impl Source {
    pub fn room(&self) -> &str {
        self.path.split('/').nth(1).unwrap()
    }

    pub fn file(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    pub fn is_test(&self) -> bool {
        self.file().ends_with("tests.rs")
    }

    /// Lines of the code that hold the needle, not within a longer word.
    pub fn naming(&self, needle: &str) -> Vec<String> {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let whole = |line: &str| {
            line.match_indices(needle).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + needle.len()..].chars().next();
                let goes_on = (needle.starts_with(word) && before.is_some_and(word))
                    || (needle.ends_with(word) && after.is_some_and(word));
                !goes_on
            })
        };
        let found = self.code.iter().filter(|(_, line)| whole(line));
        found
            .map(|(number, line)| format!("{}:{number}: {}", self.path, line.trim()))
            .collect()
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

pub fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "{folder} is empty");
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let below = path.strip_prefix(root()).unwrap();
            Source {
                path: below.to_str().unwrap().replace('\\', "/"),
                code: code(&text),
                text,
            }
        })
        .collect()
}

pub fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.ends_with("mod tests {") {
            break;
        }
        let line = line.split_once("// ").map_or(line, |(code, _)| code);
        if !line.trim_start().starts_with("//") {
            lines.push((index + 1, line.to_owned()));
        }
    }
    lines
}
