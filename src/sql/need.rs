//! Which rights a statement asks of who runs it, as far as its text shows for certain.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::change::{self, Change};
use super::class::actions;
use super::form::forms;
use super::name::{Name, ObjectKind};
use super::tree::{Node, child, parts, says, words};

/// A right without which the server refuses the statement (42501).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// CREATE on the database.
    Database,
    /// CREATE on a schema; without a name: on the first of the search_path.
    Create(Option<String>),
    /// CREATE on the schema in which a relation stands.
    Beside(Name),
    /// The object is its own.
    Own {
        /// What it is; a view is a relation.
        kind: ObjectKind,
        /// Its name.
        name: Name,
        /// What does besides.
        or: Or,
    },
    /// One of these privileges on a relation.
    May(Name, &'static [&'static str]),
    /// It may make an extension.
    Extension(String),
}

/// What does where the object is another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Or {
    /// Nothing.
    Nothing,
    /// Who owns the schema may drop what is in it.
    Schema,
    /// MAINTAIN, from 17 on.
    Maintain,
    /// Where a provider has changed the server, other roles may too.
    Provider,
}

/// Both, of one statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asks {
    pub(super) needs: Vec<Need>,
    pub(super) change: Change,
}

impl Asks {
    /// Batches ask along the key of the rows that are written, whatever the statement itself reads.
    pub(super) fn reads_what_it_writes(&mut self) {
        let written = self.needs.iter().find_map(|need| match need {
            Need::May(name, ["UPDATE" | "DELETE"]) => Some(name.clone()),
            _ => None,
        });
        let read = written.map(|name| Need::May(name, &["SELECT"]));
        self.needs.extend(read);
    }
}

/// Of a statement.
pub(super) fn of(node: &Node) -> Asks {
    Asks {
        needs: needs(node),
        change: change::of(node),
    }
}

fn named(node: &SyntaxNode, kind: K) -> Option<Name> {
    child(node, kind).and_then(|n| Name::of_node(&n))
}

fn all_named(node: &SyntaxNode, kind: K) -> impl Iterator<Item = Name> + use<> {
    let children = node.children().filter(move |n| n.kind() == kind);
    children.filter_map(|n| Name::of_node(&n))
}

fn own(kind: ObjectKind, or: Or) -> impl Fn(Name) -> Need {
    move |name| Need::Own { kind, name, or }
}

fn relation(name: Name) -> Need {
    own(ObjectKind::Relation, Or::Nothing)(name)
}

fn needs(node: &Node) -> Vec<Need> {
    let mut needs = every(node);
    // What is not there is skipped, and of a name without a schema nobody knows which object is meant.
    if child(&node.syntax, K::IF_EXISTS).is_some() {
        needs.retain(|need| matches!(need, Need::Own { kind, name, .. } if *kind == ObjectKind::Schema || name.schema.is_some()));
    }
    needs
}

fn every(node: &Node) -> Vec<Need> {
    use ObjectKind as O;
    let top = &node.syntax;
    if child(top, K::TEMP).is_some() {
        return Vec::new();
    }
    let made = |kind| named(top, kind).map(|n| Need::Create(n.schema));
    let one = |need: Option<Need>| need.into_iter().collect::<Vec<_>>();
    let of = |kind, name, or| all_named(top, name).map(own(kind, or)).collect::<Vec<_>>();
    let table = |or| one(node.table.clone().map(own(O::Relation, or)));
    let perhaps = node.has(K::IF_NOT_EXISTS);
    match node.kind {
        K::CREATE_TABLE => create_table(node),
        // Where it is there already nobody asks for anything.
        K::CREATE_TABLE_AS | K::CREATE_MATERIALIZED_VIEW if perhaps => Vec::new(),
        K::CREATE_TABLE_AS => [one(made(K::TABLE_NAME)), reads(node)].concat(),
        K::CREATE_MATERIALIZED_VIEW => [one(made(K::VIEW)), reads(node)].concat(),
        K::SELECT_INTO => {
            let into = child(top, K::INTO_CLAUSE);
            let into = into.filter(|i| child(i, K::TEMP).is_none());
            let into = into.and_then(|i| named(&i, K::TABLE_NAME));
            [one(into.map(|n| Need::Create(n.schema))), reads(node)].concat()
        }
        K::CREATE_VIEW => {
            let replaced = child(top, K::OR_REPLACE).and_then(|_| named(top, K::VIEW));
            // Without a schema it is made in the first of the search_path, whatever has its name elsewhere.
            let replaced = replaced.filter(|name| name.schema.is_some());
            [one(made(K::VIEW)), one(replaced.map(relation))].concat()
        }
        K::CREATE_INDEX => {
            let beside = node.table.clone().map(Need::Beside);
            [table(Or::Nothing), one(beside)].concat()
        }
        K::CREATE_SEQUENCE => one(made(K::SEQUENCE)),
        K::CREATE_TYPE => one(made(K::TYPE_NAME)),
        K::CREATE_DOMAIN => one(made(K::DOMAIN)),
        K::CREATE_FUNCTION => one(made(K::FUNCTION_NAME)),
        K::CREATE_PROCEDURE => one(made(K::PROCEDURE_NAME)),
        K::CREATE_SCHEMA => {
            let plain = child(top, K::NAMED_SCHEMA).is_some() && !node.says(&["AUTHORIZATION"]);
            one(plain.then_some(Need::Database))
        }
        K::CREATE_EXTENSION => one(named(top, K::EXTENSION).map(|n| Need::Extension(n.name))),
        K::CREATE_TRIGGER => {
            let on = child(top, K::ON_RELATION).and_then(|n| named(&n, K::RELATION_NAME_REF));
            one(on.map(|name| Need::May(name, &["TRIGGER"])))
        }
        // One that is not there is skipped, whosever the table is.
        K::DROP_POLICY | K::DROP_TRIGGER | K::DROP_RULE if child(top, K::IF_EXISTS).is_some() => {
            Vec::new()
        }
        K::CREATE_POLICY | K::ALTER_POLICY | K::DROP_POLICY | K::DROP_TRIGGER => {
            table(Or::Provider)
        }
        K::CREATE_RULE | K::ALTER_RULE | K::DROP_RULE | K::ALTER_TRIGGER => table(Or::Nothing),
        K::CREATE_STATISTICS => {
            let from = child(top, K::FROM_TABLE);
            let from = from.and_then(|f| f.descendants().find(|n| is_relation(n.kind())));
            one(from.and_then(|n| Name::of_node(&n)).map(relation))
        }
        K::ALTER_TABLE => alter_table(node),
        K::ALTER_VIEW | K::ALTER_MATERIALIZED_VIEW => renamed(node, K::VIEW_REF),
        K::ALTER_INDEX => renamed(node, K::INDEX_REF),
        K::ALTER_SEQUENCE => renamed(node, K::SEQUENCE_REF),
        K::ALTER_TYPE => of(O::Type, K::TYPE_NAME_REF, Or::Nothing),
        K::ALTER_DOMAIN => of(O::Type, K::DOMAIN_REF, Or::Nothing),
        K::ALTER_SCHEMA => {
            let renames = node.has(K::SCHEMA_RENAME_TO).then_some(Need::Database);
            let owns = of(O::Schema, K::SCHEMA_REF, Or::Nothing);
            [owns, one(renames)].concat()
        }
        K::ALTER_FUNCTION | K::ALTER_PROCEDURE | K::ALTER_ROUTINE => routines(node, Or::Nothing),
        K::DROP_TABLE => of(O::Relation, K::TABLE_NAME_REF, Or::Schema),
        K::DROP_VIEW | K::DROP_MATERIALIZED_VIEW => of(O::Relation, K::VIEW_REF, Or::Schema),
        K::DROP_INDEX => of(O::Relation, K::INDEX_REF, Or::Schema),
        K::DROP_SEQUENCE => of(O::Relation, K::SEQUENCE_REF, Or::Schema),
        K::DROP_TYPE => of(O::Type, K::TYPE_NAME_REF, Or::Schema),
        K::DROP_DOMAIN => of(O::Type, K::DOMAIN_REF, Or::Schema),
        K::DROP_SCHEMA => of(O::Schema, K::SCHEMA_REF, Or::Nothing),
        K::DROP_FUNCTION | K::DROP_PROCEDURE | K::DROP_ROUTINE => routines(node, Or::Schema),
        K::TRUNCATE => {
            let may = |n: SyntaxNode| Some(Need::May(Name::of_node(&n)?, &["TRUNCATE"]));
            node.all(K::TABLE_NAME_REF).filter_map(may).collect()
        }
        K::SELECT | K::INSERT | K::UPDATE | K::DELETE | K::MERGE => reads(node),
        K::COMMENT_ON => comment(node),
        K::LOCK => lock(node),
        K::REFRESH => of(O::Relation, K::VIEW_REF, Or::Maintain),
        K::CLUSTER => table(Or::Maintain),
        K::REINDEX => {
            let index = child(top, K::REINDEX_TARGET_INDEX).and_then(|n| named(&n, K::INDEX_REF));
            match index {
                Some(index) => vec![own(O::Relation, Or::Maintain)(index)],
                None => table(Or::Maintain),
            }
        }
        _ => Vec::new(),
    }
}

fn is_relation(kind: K) -> bool {
    matches!(kind, K::TABLE_NAME_REF | K::RELATION_NAME_REF)
}

fn routines(node: &Node, or: Or) -> Vec<Need> {
    // Of several of one name it may be none that is there.
    if child(&node.syntax, K::IF_EXISTS).is_some() {
        return Vec::new();
    }
    let kinds = [
        K::FUNCTION_NAME_REF,
        K::PROCEDURE_NAME_REF,
        K::ROUTINE_NAME_REF,
    ];
    let found = kinds.into_iter().flat_map(|kind| node.all(kind));
    let names = found.filter_map(|n| Name::of_node(&n));
    names.map(own(ObjectKind::Routine, or)).collect()
}

/// What is altered is its own, and to rename it asks for CREATE on its schema.
fn renamed(node: &Node, kind: K) -> Vec<Need> {
    let Some(name) = named(&node.syntax, kind) else {
        return Vec::new();
    };
    let renames = [K::VIEW_RENAME_TO, K::INDEX_RENAME_TO, K::SEQUENCE_RENAME_TO];
    let beside = renames.iter().any(|r| node.has(*r));
    let mut needs = vec![relation(name.clone())];
    needs.extend(beside.then_some(Need::Beside(name)));
    needs
}

fn create_table(node: &Node) -> Vec<Need> {
    let top = &node.syntax;
    let Some(made) = named(top, K::TABLE_NAME) else {
        return Vec::new();
    };
    let mut needs = vec![Need::Create(made.schema.clone())];
    // Of what is there already nothing else is read.
    if node.has(K::IF_NOT_EXISTS) {
        return needs;
    }
    let parents = [K::PARTITION_OF, K::INHERITS];
    let parents = parents.into_iter().filter_map(|kind| child(top, kind));
    let parents = parents.flat_map(|of| all_named(&of, K::TABLE_NAME_REF));
    needs.extend(parents.map(relation));
    for kind in [K::REFERENCES_CONSTRAINT, K::FOREIGN_KEY_CONSTRAINT] {
        let to = node
            .all(kind)
            .filter_map(|n| named(&n, K::TABLE_NAME_REF))
            .filter(|to| !to.may_be(&made));
        needs.extend(to.map(|to| Need::May(to, &["REFERENCES"])));
    }
    let like = node.all(K::LIKE_CLAUSE);
    let like = like.filter_map(|n| named(&n, K::RELATION_NAME_REF));
    needs.extend(like.map(|name| Need::May(name, &["SELECT"])));
    needs
}

/// Forms that make an index or a sequence beside the table.
const MAKES: [&str; 8] = [
    "add-unique",
    "add-primary-key",
    "add-exclude",
    "add-column-unique",
    "add-column-primary-key",
    "add-column-serial",
    "add-column-identity",
    "column-add-identity",
];

fn alter_table(node: &Node) -> Vec<Need> {
    let Some(table) = node.table.clone() else {
        return Vec::new();
    };
    let mut needs = vec![relation(table.clone())];
    // Of a column that is there already nothing else is read.
    if node.has(K::IF_NOT_EXISTS) {
        return needs;
    }
    for form in forms(node) {
        if MAKES.contains(&form.key) || form.key == "rename-table" {
            needs.push(Need::Beside(table.clone()));
        }
        for (part, name) in form.parts {
            match (form.key, part) {
                (_, "referenced") => needs.push(Need::May(name, &["REFERENCES"])),
                ("inherit", "ancestor") | (_, "attached") => needs.push(relation(name)),
                _ => {}
            }
        }
    }
    let moved = actions(node).filter(|a| a.kind() == K::SET_SCHEMA);
    let to = moved.filter_map(|a| named(&a, K::SCHEMA_REF));
    needs.extend(to.map(|to| Need::Create(Some(to.name))));
    needs
}

/// What rows it reads and writes. Only what stands in a FROM, and what INSERT, UPDATE and DELETE name.
fn reads(node: &Node) -> Vec<Need> {
    if node.has(K::WITH_NO_DATA) {
        return Vec::new();
    }
    let common: Vec<String> = node
        .all(K::CTE_NAME)
        .filter_map(|n| Name::of_node(&n).map(|n| n.name))
        .collect();
    let mut needs = Vec::new();
    for (kind, right) in [
        (K::INSERT, &["INSERT"]),
        (K::UPDATE, &["UPDATE"]),
        (K::DELETE, &["DELETE"]),
        (K::RELATION_FROM_ITEM, &["SELECT"]),
    ] {
        for statement in node.all(kind) {
            let wrapped = child(&statement, K::RELATION_NAME);
            let name = named(wrapped.as_ref().unwrap_or(&statement), K::RELATION_NAME_REF);
            let real = name.filter(|n| n.schema.is_some() || !common.contains(&n.name));
            needs.extend(real.map(|name| Need::May(name, right)));
        }
    }
    needs
}

/// As the server asks, of any version: who may write may lock, the weaker modes with less.
fn lock(node: &Node) -> Vec<Need> {
    let mode = child(&node.syntax, K::LOCK_MODE_CLAUSE).map(|m| words(&m));
    let mode = mode.unwrap_or_default();
    let by_row = says(&mode, &["ROW"]) && !says(&mode, &["SHARE", "ROW"]);
    let any: &'static [&'static str] = match () {
        () if says(&mode, &["ACCESS", "SHARE"]) => &[
            "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "MAINTAIN",
        ],
        () if by_row => &["UPDATE", "INSERT", "DELETE", "TRUNCATE", "MAINTAIN"],
        () => &["UPDATE", "DELETE", "TRUNCATE", "MAINTAIN"],
    };
    let names = node
        .all(K::RELATION_LIST)
        .flat_map(|list| list.descendants().collect::<Vec<_>>())
        .filter(|n| is_relation(n.kind()));
    let names = names.filter_map(|n| Name::of_node(&n));
    names.map(|name| Need::May(name, any)).collect()
}

fn comment(node: &Node) -> Vec<Need> {
    use ObjectKind as O;
    let Some(on) = node.syntax.children().next() else {
        return Vec::new();
    };
    let of = |kind, name| named(&on, name).map(own(kind, Or::Nothing));
    let need = match on.kind() {
        K::OBJECT_TABLE => of(O::Relation, K::TABLE_NAME_REF),
        K::OBJECT_VIEW | K::OBJECT_MATERIALIZED_VIEW => of(O::Relation, K::VIEW_REF),
        K::OBJECT_INDEX => of(O::Relation, K::INDEX_REF),
        K::OBJECT_SEQUENCE => of(O::Relation, K::SEQUENCE_REF),
        K::OBJECT_TYPE => of(O::Type, K::TYPE_NAME_REF),
        K::OBJECT_DOMAIN => of(O::Type, K::DOMAIN_REF),
        K::OBJECT_SCHEMA => of(O::Schema, K::SCHEMA_REF),
        // `schema.table.column`.
        K::OBJECT_COLUMN => {
            let mut names = parts(&on);
            names.drain(..1.min(names.len()));
            names.truncate(names.len().saturating_sub(2));
            Name::of(&names).map(relation)
        }
        _ => None,
    };
    need.into_iter().collect()
}
