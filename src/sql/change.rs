//! What a statement changes, so that nobody knows any more what those after it meet. Whatever is not known to change nothing, may.

use squawk_syntax::SyntaxKind as K;

use super::locks;
use super::name::{Name, ObjectKind, Touch, objects};
use super::tree::{Node, child, words};

/// What is not as it was once the statement is through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Nobody can tell: it may have given or taken any right.
    pub(super) all: bool,
    /// Objects that nobody named are gone.
    pub(super) objects: bool,
    /// Objects that were made, dropped, renamed, given away.
    pub(super) names: Vec<String>,
    /// Schemas, and everything in them.
    pub(super) schemas: Vec<String>,
}

/// Statements that give and take no right, and make and drop nothing but what they name.
const PLAIN: [K; 72] = [
    K::ALTER_DEFAULT_PRIVILEGES,
    K::ALTER_DOMAIN,
    K::ALTER_FOREIGN_TABLE,
    K::ALTER_FUNCTION,
    K::ALTER_INDEX,
    K::ALTER_MATERIALIZED_VIEW,
    K::ALTER_POLICY,
    K::ALTER_PROCEDURE,
    K::ALTER_ROUTINE,
    K::ALTER_RULE,
    K::ALTER_SCHEMA,
    K::ALTER_SEQUENCE,
    K::ALTER_STATISTICS,
    K::ALTER_TABLE,
    K::ALTER_TRIGGER,
    K::ALTER_TYPE,
    K::ALTER_VIEW,
    K::ANALYZE,
    K::CLUSTER,
    K::COMMENT_ON,
    K::COPY,
    K::CREATE_AGGREGATE,
    K::CREATE_CAST,
    K::CREATE_COLLATION,
    K::CREATE_DOMAIN,
    K::CREATE_EXTENSION,
    K::CREATE_FUNCTION,
    K::CREATE_INDEX,
    K::CREATE_MATERIALIZED_VIEW,
    K::CREATE_OPERATOR,
    K::CREATE_POLICY,
    K::CREATE_PROCEDURE,
    K::CREATE_PUBLICATION,
    K::CREATE_RULE,
    K::CREATE_SCHEMA,
    K::CREATE_SEQUENCE,
    K::CREATE_STATISTICS,
    K::CREATE_TABLE,
    K::CREATE_TABLE_AS,
    K::CREATE_TRIGGER,
    K::CREATE_TYPE,
    K::CREATE_VIEW,
    K::DELETE,
    K::DROP_AGGREGATE,
    K::DROP_DOMAIN,
    K::DROP_FOREIGN_TABLE,
    K::DROP_FUNCTION,
    K::DROP_INDEX,
    K::DROP_MATERIALIZED_VIEW,
    K::DROP_POLICY,
    K::DROP_PROCEDURE,
    K::DROP_ROUTINE,
    K::DROP_RULE,
    K::DROP_SCHEMA,
    K::DROP_SEQUENCE,
    K::DROP_STATISTICS,
    K::DROP_TABLE,
    K::DROP_TRIGGER,
    K::DROP_TYPE,
    K::DROP_VIEW,
    K::GRANT,
    K::INSERT,
    K::LOCK,
    K::MERGE,
    K::REFRESH,
    K::REINDEX,
    K::REVOKE,
    K::SELECT,
    K::SELECT_INTO,
    K::TRUNCATE,
    K::UPDATE,
    K::VACUUM,
];

/// Settings of the session: Lifeboat's own are read back.
const SETTINGS: [K; 4] = [K::SET, K::RESET, K::SHOW, K::SET_CONSTRAINTS];

/// Statements that run code of the user's where they call it.
const RUN: [K; 7] = [
    K::SELECT,
    K::SELECT_INTO,
    K::INSERT,
    K::UPDATE,
    K::DELETE,
    K::MERGE,
    K::CREATE_TABLE_AS,
];

/// Of a statement.
pub(super) fn of(node: &Node) -> Change {
    let mut change = Change::default();
    if SETTINGS.contains(&node.kind) {
        // Who is at work, and where names are looked for.
        let settings = [
            "search_path",
            "role",
            "schema",
            "session_authorization",
            "authorization",
            "all",
        ];
        let said = words(&node.syntax);
        let said = said.iter().map(|word| word.to_lowercase());
        change.all = matches!(node.kind, K::SET | K::RESET)
            && said
                .into_iter()
                .any(|word| settings.contains(&word.as_str()));
        return change;
    }
    let on = child(&node.syntax, K::ON_PRIVILEGE_OBJECTS_CLAUSE);
    let grants = matches!(node.kind, K::GRANT | K::REVOKE);
    // Who becomes a member of what, and what may be done with the database, is of every object.
    let wide = grants && (on.is_none() || node.has(K::PRIVILEGE_DATABASE));
    change.all = wide
        || !PLAIN.contains(&node.kind)
        || RUN.contains(&node.kind) && calls_code(node)
        || node.kind == K::DROP_SCHEMA && node.has(K::CASCADE);
    change.objects = node.has(K::CASCADE) && node.kind != K::TRUNCATE;
    let hands_on = [
        K::OWNER_TO,
        K::SET_SCHEMA,
        K::TABLE_RENAME_TO,
        K::VIEW_RENAME_TO,
        K::INDEX_RENAME_TO,
        K::SEQUENCE_RENAME_TO,
        K::TYPE_RENAME_TO,
        K::DOMAIN_RENAME_TO,
        K::SCHEMA_RENAME_TO,
        K::ATTACH_PARTITION,
    ];
    let hands_on = grants || hands_on.iter().any(|kind| node.has(*kind));
    for object in objects(&node.syntax) {
        if hands_on || matches!(object.touch, Touch::Creates | Touch::Drops) {
            match object.kind {
                ObjectKind::Schema => change.schemas.push(object.name.name),
                _ => change.names.push(object.name.name),
            }
        }
    }
    change
}

/// It calls a function that is not PostgreSQL's own, or one that changes settings.
fn calls_code(node: &Node) -> bool {
    node.all(K::CALL_EXPR).any(|call| {
        // JSON_OBJECT(…), EXTRACT(…) and their like are grammar.
        if child(&call, K::ARG_LIST).is_none() {
            return false;
        }
        let called = call.children().next().and_then(|n| Name::of_node(&n));
        called.is_none_or(|name| {
            let server = name.schema.as_deref().is_none_or(|s| s == "pg_catalog");
            name.name == "set_config" || !server || locks::volatile(&name.name).is_none()
        })
    })
}
