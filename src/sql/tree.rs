//! The parser's tree: made, asked and thrown away on a thread of its own.
//!
//! A tree is as deep as its text is nested, and walking or dropping it takes stack. The thread has plenty, and
//! should the parser ever give up loudly, the thread's end is a finding and not ours.

use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::thread;

use squawk_syntax::{Parse, SourceFile, SyntaxKind as K, SyntaxNode};

use super::ahead;
use super::batch;
use super::class;
use super::fact;
use super::file::{Facts, Raw};
use super::hit::Hit;
use super::lint::{self, Rule};
use super::locks::LockMode;
use super::name;
use super::need;
use super::place::{Lines, trimmed};

/// Stack of the thread, in bytes. It is touched only as far as it is used.
const STACK: usize = 64 * 1024 * 1024;
/// Most statements of a file.
const MOST_STATEMENTS: usize = 5_000;

/// Most syntax errors that are told of a file.
const MOST_ERRORS: usize = 20;

/// A statement in the tree, as the rules see it.
pub(super) struct Node {
    pub(super) syntax: SyntaxNode,
    pub(super) kind: K,
    /// Its place in the file, without white space and semicolon.
    pub(super) span: Range<usize>,
    /// Its tokens in upper case, comments left out. Literals and quoted names stay as they are.
    pub(super) words: Vec<String>,
    /// What kinds of nodes there are in it: most rules need not look further.
    kinds: BTreeSet<K>,
    /// The table that an ALTER TABLE, CREATE INDEX or the like is about.
    pub(super) table: Option<name::Name>,
}

impl Node {
    fn of(text: &str, syntax: SyntaxNode) -> Self {
        let span = trimmed(text, span(&syntax));
        let table = syntax.descendants().find(|n| {
            matches!(
                n.kind(),
                K::TABLE_NAME_REF | K::RELATION_NAME_REF | K::TABLE_NAME
            )
        });
        Self {
            kind: syntax.kind(),
            kinds: syntax.descendants().map(|n| n.kind()).collect(),
            words: words(&syntax),
            table: table.and_then(|n| name::Name::of_node(&n)),
            span,
            syntax,
        }
    }

    /// Whether the words stand in the statement, one after the other.
    pub(super) fn says(&self, wanted: &[&str]) -> bool {
        says(&self.words, wanted)
    }

    /// Every node of a kind in it.
    pub(super) fn all(&self, kind: K) -> impl Iterator<Item = SyntaxNode> + use<> {
        let inside = self.has(kind).then(|| self.syntax.descendants());
        inside
            .into_iter()
            .flatten()
            .filter(move |n| n.kind() == kind)
    }

    /// CONCURRENTLY as its own word, and not as somebody's name; or as an option that is on.
    pub(super) fn concurrently(&self) -> bool {
        let option = self.all(K::REINDEX_OPTION_CONCURRENTLY).last();
        if option.is_some_and(|option| is_on(&option)) {
            return true;
        }
        let tokens = self.syntax.descendants_with_tokens();
        let mut tokens = tokens.filter_map(|e| e.into_token());
        let near = |n: Option<SyntaxNode>| n.is_some_and(|n| n.kind() == self.kind);
        tokens.any(|t| {
            let parent = t.parent();
            t.kind() == K::CONCURRENTLY_KW
                && (near(parent.clone()) || near(parent.and_then(|p| p.parent())))
        })
    }

    pub(super) fn has(&self, kind: K) -> bool {
        self.kinds.contains(&kind)
    }
}

/// Whether an option of a statement is on: `CONCURRENTLY`, `CONCURRENTLY true`.
fn is_on(option: &SyntaxNode) -> bool {
    let words = words(option);
    let value = words.get(1..).unwrap_or_default().concat();
    let value = value.trim_matches('\'').to_uppercase();
    !["FALSE", "OFF", "0"].contains(&value.as_str())
}

/// Whether the words stand there, one after the other.
pub(super) fn says(words: &[String], wanted: &[&str]) -> bool {
    words
        .windows(wanted.len().max(1))
        .any(|w| w.iter().zip(wanted).all(|(a, b)| a == b))
}

/// Where a node stands, comments and white space before and after it left out.
pub(super) fn span(node: &SyntaxNode) -> Range<usize> {
    let tokens = node
        .descendants_with_tokens()
        .filter_map(|e| e.into_token());
    let mut tokens = tokens
        .filter(|t| !t.kind().is_trivia())
        .map(|t| t.text_range());
    let whole = node.text_range();
    let first = tokens.next().unwrap_or(whole);
    let last = tokens.last().unwrap_or(first);
    usize::from(first.start())..usize::from(last.end())
}

/// The tokens of a node as they stand there, without comments and white space.
pub(super) fn parts(node: &SyntaxNode) -> Vec<String> {
    let tokens = node
        .descendants_with_tokens()
        .filter_map(|e| e.into_token());
    let tokens = tokens.filter(|t| !t.kind().is_trivia());
    tokens.map(|t| t.text().to_owned()).collect()
}

/// The same in upper case, but for literals and quoted names.
pub(super) fn words(node: &SyntaxNode) -> Vec<String> {
    let upper = |part: String| match part.chars().next() {
        Some(c) if c.is_alphabetic() && !part.contains('\'') => part.to_uppercase(),
        _ => part,
    };
    parts(node).into_iter().map(upper).collect()
}

pub(super) fn child(node: &SyntaxNode, kind: K) -> Option<SyntaxNode> {
    node.children().find(|n| n.kind() == kind)
}

/// Parses a text that the guard let pass, and asks everything that needs the tree.
pub(super) fn read(text: &str, down: bool) -> Facts {
    let failed = |why: &str| Facts {
        statements: Vec::new(),
        hits: vec![Hit::new(Rule::Lb410, 0..0, why).refused()],
    };
    thread::scope(|scope| {
        let builder = thread::Builder::new()
            .name("sql".to_owned())
            .stack_size(STACK);
        let work = AssertUnwindSafe(|| facts(text, down));
        match builder.spawn_scoped(scope, move || (work.0)()) {
            Ok(handle) => handle
                .join()
                .unwrap_or_else(|_| failed("the parser gave up on this file; please report it")),
            Err(error) => failed(&format!("failed to start the parser: {error}")),
        }
    })
}

fn facts(text: &str, down: bool) -> Facts {
    let parse = SourceFile::parse(text);
    let mut hits = errors(&parse, text);
    let root = parse.syntax_node();
    let idle = |kind: K| kind == K::EMPTY_STMT || kind == K::ERROR;
    let nodes: Vec<Node> = root
        .children()
        .filter(|n| !idle(n.kind()))
        .take(MOST_STATEMENTS + 1)
        .map(|n| Node::of(text, n))
        .filter(|n| !n.span.is_empty())
        .collect();
    if nodes.len() > MOST_STATEMENTS {
        let why = format!("more than {MOST_STATEMENTS} statements; split the file");
        hits.push(Hit::new(Rule::Lb410, 0..0, &why).refused());
        return Facts {
            statements: Vec::new(),
            hits,
        };
    }
    hits.extend(nodes.iter().filter_map(|n| several(text, n)));
    hits.extend(nodes.iter().filter_map(ahead::of_no_server));
    // Rules on a tree that is partly guessed would tell of statements that nobody wrote.
    if hits.is_empty() {
        hits.extend(lint::borrowed(&parse, text, &nodes));
        hits.extend(lint::own(text, &nodes));
    }
    if down {
        hits = hits.into_iter().map(lint::leads_back).collect();
    }
    let statements = nodes.iter().map(|n| raw(text, n)).collect();
    Facts { statements, hits }
}

/// What the parser could not read. One for each line is enough: the rest follows from the first.
fn errors(parse: &Parse<SourceFile>, text: &str) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    let mut line = None;
    let lines = Lines::of(text);
    for error in parse.errors() {
        let range = error.range();
        let (start, end) = (usize::from(range.start()), usize::from(range.end()));
        if hits.len() >= MOST_ERRORS {
            break;
        }
        let this = Some(lines.number(start));
        if this == line {
            continue;
        }
        line = this;
        let message = format!("syntax error: {}", error.message());
        hits.push(Hit::new(Rule::Lb410, start..end.max(start), &message).refused());
    }
    hits
}

/// A statement that another reader would cut in two: only bodies and rules hold semicolons.
fn several(text: &str, node: &Node) -> Option<Hit> {
    let allowed =
        node.has(K::ATOMIC_BODY) || node.has(K::RULE_STMT_LIST) || node.has(K::CREATE_SCHEMA);
    let part = text.get(node.span.clone()).unwrap_or_default();
    let cut = super::lex::Lexer::new(part).find(|l| l.kind == super::lex::Kind::Semicolon)?;
    let at = node.span.start + cut.range.start;
    let why = "a semicolon within the statement: it would be sent as two";
    (!allowed).then(|| Hit::new(Rule::Lb410, at..at + 1, why).refused())
}

fn raw(text: &str, node: &Node) -> Raw {
    let verb = format!("{:?}", node.kind).replace('_', " ");
    let locked = class::locked(node);
    Raw {
        span: node.span.clone(),
        verb,
        class: class::of(node),
        objects: name::objects(&node.syntax),
        exclusive: locked
            .iter()
            .find(|l| l.mode == LockMode::AccessExclusive)
            .map(|l| l.name.clone()),
        locks: locked,
        slow: class::slow(node),
        perhaps: node.has(K::IF_NOT_EXISTS),
        temporary: child(&node.syntax, K::TEMP).is_some(),
        facts: fact::facts(node),
        partitioned: node.kind == K::CREATE_TABLE && child(&node.syntax, K::PARTITION_BY).is_some(),
        row_security: node.has(K::ENABLE_RLS),
        asks: need::of(node),
        parts: batch::apart(node),
        text: text.get(node.span.clone()).unwrap_or_default().to_owned(),
    }
}
