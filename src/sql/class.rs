//! How a statement may be run: within a transaction, alone, or not at all.

use serde::{Deserialize, Serialize};
use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::form::forms;
use super::locks::{self, Lock};
use super::tree::Node;

/// How a statement is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// In a transaction, together with its neighbours.
    Transactional,
    /// In a transaction of its own (M18).
    Apart(Apart),
    /// Outside any transaction: the closed list of M3.
    Lone(Lone),
    /// Never.
    Refused(Refusal),
}

/// Why a transactional statement does not share its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Apart {
    /// `ALTER TYPE … ADD VALUE`: the value cannot be used in the same transaction.
    AddEnumValue,
    /// `VALIDATE CONSTRAINT`: long, under a weak lock which a stronger one before it would make useless.
    ValidateConstraint,
    /// `REFRESH MATERIALIZED VIEW`: long.
    RefreshMaterializedView,
}

/// A statement that PostgreSQL runs outside transactions only, and of which Lifeboat can tell whether it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lone {
    /// `CREATE INDEX CONCURRENTLY`.
    CreateIndexConcurrently,
    /// `DROP INDEX CONCURRENTLY`.
    DropIndexConcurrently,
    /// `VACUUM`.
    Vacuum,
}

/// Why a statement is never run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// `BEGIN`, `COMMIT`, `SAVEPOINT`, `PREPARE TRANSACTION` and their like.
    TransactionControl,
    /// `COPY … FROM STDIN` or `TO STDOUT`: there is no client with data.
    CopyThroughClient,
    /// Role, session or settings that Lifeboat sets and reads back.
    SessionControl,
    /// PostgreSQL refuses it in a transaction, and it is not on the closed list.
    NotInTransaction,
}

/// The class of a statement.
pub(super) fn of(node: &Node) -> Class {
    let concurrently = node.concurrently();
    match node.kind {
        K::BEGIN
        | K::COMMIT_TRANSACTION
        | K::COMMIT_PREPARED
        | K::ROLLBACK_TRANSACTION
        | K::ROLLBACK_PREPARED
        | K::ROLLBACK_TO_SAVEPOINT
        | K::SAVEPOINT_CREATE
        | K::RELEASE_SAVEPOINT
        | K::PREPARE_TRANSACTION
        | K::SET_TRANSACTION => Class::Refused(Refusal::TransactionControl),
        K::COPY if node.has(K::COPY_STDIN) || node.has(K::COPY_STDOUT) => {
            Class::Refused(Refusal::CopyThroughClient)
        }
        K::SET_ROLE | K::RESET_ROLE | K::SET_SESSION_AUTH | K::RESET_SESSION_AUTH => {
            Class::Refused(Refusal::SessionControl)
        }
        K::CREATE_INDEX if concurrently => Class::Lone(Lone::CreateIndexConcurrently),
        K::DROP_INDEX if concurrently => Class::Lone(Lone::DropIndexConcurrently),
        K::VACUUM if !is_full(node) => Class::Lone(Lone::Vacuum),
        _ if never_in_transaction(node) => Class::Refused(Refusal::NotInTransaction),
        K::REFRESH => Class::Apart(Apart::RefreshMaterializedView),
        K::ALTER_TYPE if node.has(K::ADD_VALUE) => Class::Apart(Apart::AddEnumValue),
        K::ALTER_TABLE | K::ALTER_DOMAIN | K::ALTER_FOREIGN_TABLE
            if node.has(K::VALIDATE_CONSTRAINT) =>
        {
            Class::Apart(Apart::ValidateConstraint)
        }
        _ => Class::Transactional,
    }
}

/// It writes the table anew under ACCESS EXCLUSIVE, for as long as that takes: nobody can be spared that, and it cannot be bounded.
fn is_full(node: &Node) -> bool {
    let off = ["FALSE", "OFF", "0"];
    node.says(&["FULL"]) && !off.iter().any(|v| node.says(&["FULL", v]))
}

/// What PostgreSQL answers with 25001 inside a transaction, the closed list left out.
fn never_in_transaction(node: &Node) -> bool {
    let says = |wanted: &[&str]| node.says(wanted);
    match node.kind {
        K::CREATE_DATABASE
        | K::DROP_DATABASE
        | K::CREATE_TABLESPACE
        | K::DROP_TABLESPACE
        | K::ALTER_SYSTEM => true,
        K::ALTER_DATABASE => says(&["SET", "TABLESPACE"]),
        K::REINDEX => {
            let scope = [
                K::REINDEX_TARGET_DATABASE,
                K::REINDEX_TARGET_SYSTEM,
                K::REINDEX_TARGET_SCHEMA,
            ];
            node.concurrently() || scope.iter().any(|s| node.has(*s))
        }
        // All tables of the database: only the one word, or with options.
        K::CLUSTER => node.table.is_none(),
        // One table by name is taken in a transaction; all of them, and options, are not.
        K::REPACK => node.table.is_none() || node.has(K::OPTION_ITEM_LIST),
        K::VACUUM => true,
        K::ALTER_TABLE => node.has(K::DETACH_CONCURRENTLY),
        K::DISCARD => says(&["ALL"]),
        K::CREATE_SUBSCRIPTION => {
            let off = |option: &str| {
                ["FALSE", "OFF", "0"]
                    .iter()
                    .any(|v| says(&[option, "=", v]))
            };
            !(off("CONNECT") || off("CREATE_SLOT"))
        }
        K::DROP_SUBSCRIPTION => true,
        K::ALTER_SUBSCRIPTION => says(&["REFRESH"]) || says(&["PUBLICATION"]),
        _ => false,
    }
}

/// The parts of an ALTER TABLE that do something.
pub(super) fn actions(node: &Node) -> impl Iterator<Item = SyntaxNode> + use<> {
    let idle = [K::TABLE_RELATION_NAME, K::IF_EXISTS, K::RELATION_NAME];
    let children = node.syntax.children();
    children.filter(move |n| !idle.contains(&n.kind()))
}

/// What the statement locks of what it names: each relation once, as strongly as on the worst major.
pub(super) fn locked(node: &Node) -> Vec<Lock> {
    let mut locked: Vec<Lock> = Vec::new();
    for form in forms(node) {
        let effect = locks::effect(form.key, None);
        for (part, name) in form.parts {
            let Some(mode) = effect.locks.get(part).copied() else {
                continue;
            };
            match locked.iter_mut().find(|l| l.name.may_be(&name)) {
                Some(lock) => lock.mode = lock.mode.max(mode),
                None => locked.push(Lock { name, mode }),
            }
        }
    }
    locked
}

/// Statements whose time grows with a table.
pub(super) fn slow(node: &Node) -> bool {
    let reads = |kind| node.syntax.children().any(|n| n.kind() == kind);
    match node.kind {
        K::UPDATE | K::DELETE | K::MERGE | K::CREATE_TABLE_AS | K::SELECT_INTO => true,
        K::CREATE_MATERIALIZED_VIEW => !node.has(K::WITH_NO_DATA),
        K::INSERT => reads(K::SELECT) || reads(K::COMPOUND_SELECT) || reads(K::PAREN_SELECT),
        K::CREATE_INDEX => true,
        K::SELECT => node
            .syntax
            .descendants()
            .any(|n| matches!(n.kind(), K::INSERT | K::UPDATE | K::DELETE | K::MERGE)),
        _ => false,
    }
}
