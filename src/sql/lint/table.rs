//! LB105-127: transactions, locks by hand, and what is done under one.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::borrowed;
use super::rule::{Level, Rule};
use crate::sql::class::{self, Class, Refusal, actions};
use crate::sql::hit::Hit;
use crate::sql::lex::{Kind, Lexeme, Lexer};
use crate::sql::locks::LockMode;
use crate::sql::name::Name;
use crate::sql::tree::{Node, child, span, words};

/// Settings that Lifeboat sets, and reads back before each commit (M20).
const SETTINGS: [&str; 13] = [
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
    "deadlock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "synchronous_commit",
    "standard_conforming_strings",
    "default_transaction_read_only",
    "session_replication_role",
    "search_path",
    "role",
    "session_authorization",
];

pub(super) fn hits(text: &str, node: &Node) -> Vec<Hit> {
    let mut hits = Vec::new();
    let whole = |rule, message: &str| Hit::new(rule, node.span.clone(), message);
    let table = node.table.as_ref();
    match class::of(node) {
        Class::Refused(Refusal::NotInTransaction) => hits.push(not_in_transaction(node)),
        Class::Refused(Refusal::TransactionControl) => {
            hits.push(whole(Rule::Lb127, "transactions are opened and ended by Lifeboat, together with its record of them").refused());
        }
        Class::Refused(Refusal::CopyThroughClient) => {
            let fix =
                "INSERT for a few rows; load more of them through a client, outside migrations";
            hits.push(
                whole(
                    Rule::Lb127,
                    "COPY through the client: nobody is there to send or take the data",
                )
                .fix(fix)
                .refused(),
            );
        }
        Class::Refused(Refusal::SessionControl) => {
            hits.push(
                whole(
                    Rule::Lb127,
                    "the role is set by Lifeboat, and read again before each commit",
                )
                .refused(),
            );
        }
        _ => {}
    }
    match node.kind {
        K::CREATE_INDEX if node.concurrently() && child(&node.syntax, K::INDEX).is_none() => {
            hits.push(
                whole(
                    Rule::Lb106,
                    "if it fails an invalid index stays behind, and nobody could tell which",
                )
                .on(table),
            );
        }
        K::ALTER_TABLE => hits.extend(alter_table(node)),
        K::ALTER_MATERIALIZED_VIEW
            if node.has(K::SET_TABLESPACE) || node.has(K::SET_ACCESS_METHOD) =>
        {
            hits.push(whole(
                Rule::Lb119,
                "it is copied while everything that reads it waits",
            ));
        }
        // In a transaction, where it is not refused.
        K::REINDEX if matches!(class::of(node), Class::Transactional) => {
            let message = "writes to the table, and reads by the index, wait until it is rebuilt";
            let about = borrowed::first(node);
            hits.push(whole(Rule::Lb103, message).about(about).on(table));
        }
        K::LOCK => {
            let name = table.map(ToString::to_string).unwrap_or_default();
            hits.push(
                whole(
                    Rule::Lb122,
                    &format!("{name} stays locked until the end of the segment"),
                )
                .on(table),
            );
        }
        K::SET | K::RESET => hits.extend(setting(node)),
        K::UPDATE | K::DELETE => hits.extend(whole_table(node)),
        K::DO => hits.extend(block(text, node)),
        _ => {}
    }
    for call in node.all(K::CALL_EXPR) {
        let call = words(&call);
        let named = call
            .iter()
            .find(|w| w.starts_with('\''))
            .map(|w| w.trim_matches('\'').to_lowercase());
        if call
            .iter()
            .take_while(|w| *w != "(")
            .any(|w| w == "SET_CONFIG")
            && named.is_some_and(|n| SETTINGS.contains(&n.as_str()))
        {
            hits.push(whole(
                Rule::Lb127,
                "set_config of something that Lifeboat sets, and reads again before each commit",
            ));
        }
    }
    // A routine's body is stored, not run.
    if matches!(
        node.kind,
        K::CREATE_FUNCTION | K::CREATE_PROCEDURE | K::CREATE_RULE
    ) {
        hits.retain(|h| h.rule != Rule::Lb127);
    }
    hits
}

fn not_in_transaction(node: &Node) -> Hit {
    let verb = format!("{:?}", node.kind).replace('_', " ");
    let hit = Hit::new(
        Rule::Lb105,
        node.span.clone(),
        &format!(
            "PostgreSQL refuses this {verb} in a transaction, and after a crash nobody could tell whether it was done"
        ),
    );
    let hit = match node.kind {
        K::REINDEX => hit.fix("build a new index CONCURRENTLY under another name, then DROP INDEX CONCURRENTLY the old one"),
        K::VACUUM => hit.fix("VACUUM without FULL makes the space free for new rows, and locks nobody out"),
        _ => hit,
    };
    hit.refused()
}

fn alter_table(node: &Node) -> Vec<Hit> {
    let table = node.table.as_ref();
    let name = table.map(ToString::to_string).unwrap_or_default();
    let all: Vec<SyntaxNode> = actions(node).collect();
    let mut hits = Vec::new();
    for action in &all {
        let hit = |rule, message: &str| Hit::new(rule, span(action), message).on(table);
        match action.kind() {
            K::VALIDATE_CONSTRAINT if all.len() > 1 => {
                hits.push(hit(
                    Rule::Lb108,
                    &format!(
                        "{name} is read as a whole under the strong lock of the other actions"
                    ),
                ));
            }
            _ => {}
        }
    }
    hits
}

fn setting(node: &Node) -> Option<Hit> {
    let lower = |w: &String| w.trim_matches('"').to_lowercase();
    let named = node.words.iter().skip(1).map(lower);
    let mut named = named.filter(|w| !["local", "session"].contains(&w.as_str()));
    let name = named.next()?;
    let ours = SETTINGS.contains(&name.as_str()) || (node.kind == K::RESET && name == "all");
    let message = format!(
        "`{name}` is set by Lifeboat, and read again before each commit: another value ends in ROLLBACK"
    );
    ours.then(|| Hit::new(Rule::Lb127, node.span.clone(), &message))
}

fn whole_table(node: &Node) -> Option<Hit> {
    let condition = child(&node.syntax, K::WHERE_CLAUSE).map(|w| words(&w));
    let idle = |w: &[String]| {
        matches!(w, [_, one] if one == "TRUE") || matches!(w, [_, a, eq, b] if a == b && eq == "=")
    };
    let unbounded = condition.is_none_or(|w| idle(&w));
    let table = node.table.as_ref()?;
    let message =
        format!("every row of {table} in one transaction: long locks on rows, dead rows, much WAL");
    unbounded.then(|| Hit::new(Rule::Lb126, node.span.clone(), &message).on(Some(table)))
}

/// A DO block is opaque (LB407), but for what it must never do.
fn block(text: &str, node: &Node) -> Vec<Hit> {
    let literal = node.all(K::LITERAL).next();
    let Some(literal) = literal.map(|l| span(&l)) else {
        return Vec::new();
    };
    let body = text.get(literal.clone()).unwrap_or_default();
    let open = if body.starts_with('$') {
        body.get(1..).and_then(|b| b.find('$')).map_or(0, |n| n + 2)
    } else {
        body.find('\'').map_or(0, |n| n + 1)
    };
    let body = body
        .get(open..body.len().saturating_sub(open).max(open))
        .unwrap_or_default();
    let lexemes: Vec<Lexeme> = Lexer::new(body)
        .filter(|l| !matches!(l.kind, Kind::Space | Kind::Comment))
        .collect();
    let mut hits = Vec::new();
    for (at, lexeme) in lexemes.iter().enumerate() {
        let word = |n: usize| {
            lexemes
                .get(at + n)
                .map(|l| l.text(body).trim_matches(['\'', '"']).to_lowercase())
                .unwrap_or_default()
        };
        let start = literal.start + open + lexeme.range.start;
        let place = start..start + lexeme.range.len();
        if lexeme.kind == Kind::Word
            && ["commit", "rollback"].contains(&word(0).as_str())
            && [";", "and"].contains(&word(1).as_str())
        {
            let message = "the block ends the transaction that Lifeboat opened: PostgreSQL refuses that there (2D000)";
            hits.push(Hit::new(Rule::Lb105, place, message).refused());
            continue;
        }
        let scope = ["local", "session"].contains(&word(1).as_str());
        let set =
            lexeme.is(body, "set") && SETTINGS.contains(&word(if scope { 2 } else { 1 }).as_str());
        let call = lexeme.is(body, "set_config") && SETTINGS.contains(&word(2).as_str());
        if set || call {
            let message = "the block sets what Lifeboat sets, and reads again before each commit";
            hits.push(Hit::new(Rule::Lb127, place, message));
        }
    }
    hits
}

/// What is done within one transaction after a table was locked against everybody (LB123, LB122).
pub(super) fn window(
    statements: &[&crate::sql::Statement],
    is_new: impl Fn(&Name) -> bool,
) -> Vec<Hit> {
    let mut held: Vec<(&Name, usize)> = Vec::new();
    let mut hits = Vec::new();
    let (mut told_second, mut told_slow) = (false, false);
    for statement in statements {
        let line = statement.at.line;
        if let Some((table, since)) = held.first()
            && statement.slow
            && !told_slow
        {
            told_slow = true;
            let fills =
                ["INSERT", "CREATE TABLE AS", "SELECT INTO"].contains(&statement.verb.as_str());
            let rule = if fills { Rule::Lb122 } else { Rule::Lb123 };
            let message = format!(
                "{table} is locked since line {since}, and everything on it waits until this is done"
            );
            hits.push(
                Hit::new(rule, statement.span.clone(), &message)
                    .about(table)
                    .level(Level::Warn),
            );
        }
        let locks = statement.locks.iter();
        let strongest = locks.filter(|l| l.mode == LockMode::AccessExclusive && !is_new(&l.name));
        let more = strongest.map(|l| &l.name);
        let more: Vec<&Name> = more
            .filter(|t| !held.iter().any(|(other, _)| other.may_be(t)))
            .collect();
        if let (Some((other, since)), Some(table), false) =
            (held.first(), more.first(), told_second)
        {
            told_second = true;
            let message = format!(
                "{other} is locked since line {since} and now {table} too: both wait for the slower, and another order elsewhere is a deadlock"
            );
            hits.push(Hit::new(Rule::Lb123, statement.span.clone(), &message).about(table));
        }
        held.extend(more.into_iter().map(|table| (table, line)));
    }
    hits
}
