//! Which forms of the table of locks a statement is, and which relation plays which part in each.

use std::ops::Range;

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::class::actions;
use super::name::Name;
use super::tree::{Node, child, says, span, words};
use super::value::{self, Value};

/// A form, and the part of the statement that it is.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// As `locks.tsv` calls it.
    pub(super) key: &'static str,
    pub(super) span: Range<usize>,
    /// `table.column`, where it is about a column.
    pub(super) column: Option<Name>,
    /// Who plays which part, as far as the text shows.
    pub(super) parts: Vec<(&'static str, Name)>,
    /// Functions of which it depends whether it is so at all: nobody knows yet whether they are volatile.
    pub(super) functions: Vec<Name>,
    /// The type of which it depends whether it is so at all: it may be a domain with constraints.
    pub(super) domain: Option<Name>,
}

impl Form {
    fn of(key: &'static str, node: &Node, part: &SyntaxNode) -> Self {
        Self {
            key,
            span: span(part),
            column: None,
            parts: node.table.iter().map(|t| ("table", t.clone())).collect(),
            functions: Vec::new(),
            domain: None,
        }
    }

    fn with(mut self, part: &'static str, name: Option<Name>) -> Self {
        self.parts.extend(name.map(|name| (part, name)));
        self
    }

    fn column(mut self, column: Option<Name>) -> Self {
        self.column = column;
        self
    }
}

/// Of all that a statement does.
pub(super) fn forms(node: &Node) -> Vec<Form> {
    let one = |key| vec![Form::of(key, node, &node.syntax)];
    let own = |kind| child(&node.syntax, kind).is_some();
    let concurrently = |a, b| if node.concurrently() { a } else { b };
    match node.kind {
        K::ALTER_TABLE => actions(node).flat_map(|a| action(node, &a)).collect(),
        K::ALTER_DOMAIN => domain(node),
        // Without CASCADE the server refuses it where a table is of the type.
        K::ALTER_TYPE => node
            .all(K::ALTER_ATTRIBUTE)
            .filter(|n| child(n, K::CASCADE).is_some())
            .map(|n| Form::of("type-attribute-cascade", node, &n))
            .collect(),
        K::CREATE_TABLE => create_table(node),
        K::CREATE_TABLE_AS | K::SELECT_INTO => one("create-table-as"),
        K::DROP_TABLE | K::DROP_FOREIGN_TABLE => {
            let named = node.syntax.children();
            let named = named.filter(|n| n.kind() == K::TABLE_NAME_REF);
            each(node, named, "drop-table", "table")
        }
        K::TRUNCATE => {
            let named = node.all(K::TABLE_NAME_REF);
            let key = if own(K::CASCADE) {
                "truncate-cascade"
            } else {
                "truncate"
            };
            each(node, named, key, "table")
        }
        K::CREATE_INDEX => {
            let only = node.has(K::TABLE_RELATION_NAME) && node.says(&["ON", "ONLY"]);
            let key = match concurrently("create-index-concurrently", "create-index") {
                "create-index" if only => "create-index-only",
                key => key,
            };
            let parent = node.table.clone().filter(|_| only);
            one(key)
                .into_iter()
                .map(|f| f.with("parent", parent.clone()))
                .collect()
        }
        K::DROP_INDEX => one(concurrently("drop-index-concurrently", "drop-index")),
        K::REINDEX => one(concurrently("reindex-concurrently", "reindex")),
        K::ALTER_INDEX if node.has(K::SET_TABLESPACE) => one("index-tablespace"),
        K::CLUSTER => one("cluster"),
        K::REPACK => one("repack"),
        K::VACUUM => one("vacuum"),
        K::ANALYZE => one("analyze"),
        K::REFRESH => {
            let empty = node.all(K::WITH_NO_DATA).next().is_some();
            let key = match concurrently("refresh-concurrently", "refresh") {
                "refresh" if empty => "refresh-no-data",
                key => key,
            };
            let view = child(&node.syntax, K::VIEW_REF).and_then(|n| Name::of_node(&n));
            one(key)
                .into_iter()
                .map(|f| f.with("view", view.clone()))
                .collect()
        }
        K::DROP_MATERIALIZED_VIEW => of_view(node, "drop-materialized-view"),
        K::DROP_VIEW => of_view(node, "drop-view"),
        K::CREATE_VIEW if own(K::OR_REPLACE) => {
            let view = child(&node.syntax, K::VIEW).and_then(|n| Name::of_node(&n));
            one("replace-view")
                .into_iter()
                .map(|f| f.with("view", view.clone()))
                .collect()
        }
        K::ALTER_VIEW if node.has(K::VIEW_RENAME_TO) => of_view(node, "rename-view"),
        K::ALTER_VIEW => of_view(node, "view-options"),
        K::CREATE_TRIGGER => one("create-trigger"),
        K::DROP_TRIGGER => one("drop-trigger"),
        K::ALTER_TRIGGER => one("rename-trigger"),
        K::CREATE_RULE => one("create-rule"),
        K::DROP_RULE => one("drop-rule"),
        K::CREATE_POLICY => one("create-policy"),
        K::ALTER_POLICY => one("alter-policy"),
        K::DROP_POLICY => one("drop-policy"),
        K::CREATE_STATISTICS => one("create-statistics"),
        K::LOCK => one(lock(node)),
        K::INSERT => one("insert"),
        K::UPDATE => one("update"),
        K::DELETE => one("delete"),
        _ => Vec::new(),
    }
}

/// `LOCK TABLE t` without a mode is the strongest.
fn lock(node: &Node) -> &'static str {
    let mode = child(&node.syntax, K::LOCK_MODE_CLAUSE).map(|m| words(&m));
    let strongest = |m: &Vec<String>| says(m, &["ACCESS", "EXCLUSIVE"]);
    if mode.as_ref().is_none_or(strongest) {
        "lock"
    } else {
        "lock-share"
    }
}

fn each(
    node: &Node,
    named: impl Iterator<Item = SyntaxNode>,
    key: &'static str,
    part: &'static str,
) -> Vec<Form> {
    let forms = named.map(|n| {
        let mut form = Form::of(key, node, &node.syntax);
        form.parts.clear();
        form.with(part, Name::of_node(&n))
    });
    forms.collect()
}

fn of_view(node: &Node, key: &'static str) -> Vec<Form> {
    let named = node.syntax.children();
    each(node, named.filter(|n| n.kind() == K::VIEW_REF), key, "view")
}

fn domain(node: &Node) -> Vec<Form> {
    let name = child(&node.syntax, K::DOMAIN_REF).and_then(|n| Name::of_node(&n));
    let own = |kind| child(&node.syntax, kind);
    let key = if let Some(added) = own(K::ADD_CONSTRAINT) {
        match added.descendants().any(|n| n.kind() == K::NOT_VALID) {
            true => "domain-add-check-not-valid",
            false if child(&added, K::NOT_NULL_CONSTRAINT).is_some() => "domain-set-not-null",
            false => "domain-add-check",
        }
    } else if own(K::VALIDATE_CONSTRAINT).is_some() {
        "domain-validate"
    } else if own(K::SET_NOT_NULL).is_some() {
        "domain-set-not-null"
    } else {
        "domain-other"
    };
    let mut form = Form::of(key, node, &node.syntax);
    form.parts.clear();
    vec![form.with("domain", name)]
}

fn create_table(node: &Node) -> Vec<Form> {
    let table = |n: &SyntaxNode| child(n, K::TABLE_NAME_REF).and_then(|n| Name::of_node(&n));
    let mut forms = Vec::new();
    let mut add = |key, part, name: Option<Name>| {
        let mut form = Form::of(key, node, &node.syntax);
        form.parts.clear();
        forms.push(form.with(part, name));
    };
    if let Some(of) = child(&node.syntax, K::PARTITION_OF) {
        add("create-table-partition", "parent", table(&of));
    }
    for of in child(&node.syntax, K::INHERITS)
        .iter()
        .flat_map(SyntaxNode::children)
    {
        add("create-table-inherits", "ancestor", Name::of_node(&of));
    }
    for kind in [K::REFERENCES_CONSTRAINT, K::FOREIGN_KEY_CONSTRAINT] {
        for constraint in node.all(kind) {
            add("create-table-references", "referenced", table(&constraint));
        }
    }
    forms
}

fn action(node: &Node, action: &SyntaxNode) -> Vec<Form> {
    let holds = |kind| action.descendants().any(|n| n.kind() == kind);
    let other = |n: &SyntaxNode| child(n, K::TABLE_NAME_REF).and_then(|n| Name::of_node(&n));
    let one = |key| vec![Form::of(key, node, action)];
    match action.kind() {
        K::ADD_COLUMN => add_column(node, action),
        K::ALTER_COLUMN => vec![alter_column(node, action)],
        K::ADD_CONSTRAINT => vec![add_constraint(node, action)],
        K::DROP_COLUMN => one("drop-column"),
        K::VALIDATE_CONSTRAINT => one("validate-check"),
        // Of which kind the constraint is the text does not show: the referenced table of a foreign key is locked too.
        K::DROP_CONSTRAINT => one("drop-foreign-key"),
        K::ALTER_CONSTRAINT if holds(K::NOT_ENFORCED) => one("constraint-not-enforced"),
        K::ALTER_CONSTRAINT if holds(K::ENFORCED) => one("constraint-enforced"),
        K::ALTER_CONSTRAINT => one("constraint-deferrable"),
        K::TABLE_RENAME_TO => one("rename-table"),
        K::RENAME_COLUMN => one("rename-column"),
        K::RENAME_CONSTRAINT => one("rename-constraint"),
        K::ENABLE_TRIGGER
        | K::DISABLE_TRIGGER
        | K::ENABLE_REPLICA_TRIGGER
        | K::ENABLE_ALWAYS_TRIGGER => one("table-trigger"),
        K::ENABLE_RULE | K::DISABLE_RULE | K::ENABLE_REPLICA_RULE | K::ENABLE_ALWAYS_RULE => {
            one("table-rule")
        }
        K::ENABLE_RLS | K::DISABLE_RLS | K::FORCE_RLS | K::NO_FORCE_RLS => one("row-security"),
        K::CLUSTER_ON => one("cluster-on"),
        K::SET_WITHOUT_CLUSTER => one("set-without-cluster"),
        K::SET_LOGGED => one("set-logged"),
        K::SET_UNLOGGED => one("set-unlogged"),
        K::SET_TABLESPACE | K::ALL_IN_TABLESPACE => one("table-tablespace"),
        // Another access method was never measured: it writes the table anew as SET LOGGED does.
        K::SET_ACCESS_METHOD => one("set-logged"),
        K::SET_OPTIONS | K::RESET_OPTIONS if says(&words(action), &["USER_CATALOG_TABLE"]) => {
            one("table-options-catalog")
        }
        K::SET_OPTIONS | K::RESET_OPTIONS => one("table-options"),
        K::INHERIT_TABLE => vec![Form::of("inherit", node, action).with("ancestor", other(action))],
        K::NO_INHERIT_TABLE => {
            vec![Form::of("no-inherit", node, action).with("ancestor", other(action))]
        }
        K::OWNER_TO => one("table-owner"),
        K::SET_SCHEMA => one("table-schema"),
        K::ATTACH_PARTITION => {
            let mut form = Form::of("attach-partition", node, action);
            form.parts = node.table.iter().map(|t| ("parent", t.clone())).collect();
            vec![form.with("attached", other(action))]
        }
        K::DETACH_PARTITION => {
            let key = if holds(K::DETACH_CONCURRENTLY) || says(&words(action), &["CONCURRENTLY"]) {
                "detach-partition-concurrently"
            } else {
                "detach-partition"
            };
            let mut form = Form::of(key, node, action);
            form.parts = node.table.iter().map(|t| ("parent", t.clone())).collect();
            vec![form.with("partition", other(action))]
        }
        // Every action that was not told of is as strong as most are.
        _ => one("drop-column"),
    }
}

/// A constraint holds for rows that are there, by its own options.
fn enforced(constraint: &SyntaxNode) -> bool {
    child(constraint, K::NOT_ENFORCED).is_none()
}

fn add_column(node: &Node, action: &SyntaxNode) -> Vec<Form> {
    let column = child(action, K::COLUMN_NAME).and_then(|n| Name::of_node(&n));
    let form = |key, part: &SyntaxNode| Form::of(key, node, part).column(column.clone());
    let all = |kind| action.children().filter(move |n| n.kind() == kind);
    let has = |kind| all(kind).next().is_some();
    let default = all(K::DEFAULT_CONSTRAINT).next();
    let default = default.and_then(|d| Some((value::of(&d.children().last()?), d)));
    let generated = all(K::GENERATED_CONSTRAINT).next();
    let says_generated = |word: &str| generated.as_ref().is_some_and(|g| says(&words(g), &[word]));
    let mut forms = vec![form("add-column", action)];
    let computed = generated.is_some() && !says_generated("STORED") && !says_generated("IDENTITY");
    if let Some(part) = &generated {
        forms.push(match () {
            () if says_generated("IDENTITY") => form("add-column-identity", part),
            () if says_generated("STORED") => form("add-column-stored", part),
            () if has(K::NOT_NULL_CONSTRAINT) => form("add-column-virtual-not-null", part),
            () => form("add-column-virtual", part),
        });
    } else if value::is_serial(action) {
        forms.push(form("add-column-serial", action));
    }
    match &default {
        Some((Value::Null, _)) | None => {}
        Some((Value::Same, part)) => forms.push(form("add-column-default", part)),
        Some((Value::Differs, part)) => forms.push(form("add-column-default-volatile", part)),
        Some((Value::Depends(functions), part)) => forms.push(Form {
            functions: functions.clone(),
            ..form("add-column-default-volatile", part)
        }),
    }
    if let Some(domain) = value::user_type(action) {
        forms.push(Form {
            domain: Some(domain),
            ..form("add-column-domain", action)
        });
    }
    forms.extend(all(K::CHECK_CONSTRAINT).map(|part| match enforced(&part) {
        true if computed => form("add-column-virtual-check", &part),
        true => form("add-column-check", &part),
        false => form("add-column-check-not-enforced", &part),
    }));
    let filled = !matches!(default, None | Some((Value::Null, _))) || generated.is_some();
    forms.extend(all(K::REFERENCES_CONSTRAINT).map(|part| {
        let key = match enforced(&part) {
            true if filled => "add-column-references-default",
            true => "add-column-references",
            false => "add-column-references-not-enforced",
        };
        let to = child(&part, K::TABLE_NAME_REF).and_then(|n| Name::of_node(&n));
        form(key, &part).with("referenced", to)
    }));
    forms.extend(all(K::UNIQUE_CONSTRAINT).map(|part| form("add-column-unique", &part)));
    forms.extend(all(K::PRIMARY_KEY_CONSTRAINT).map(|part| form("add-column-primary-key", &part)));
    forms
}

fn alter_column(node: &Node, action: &SyntaxNode) -> Form {
    let column = child(action, K::COLUMN_NAME_REF).and_then(|n| Name::of_node(&n));
    let option = action.children().last().unwrap_or_else(|| action.clone());
    let key = match option.kind() {
        K::SET_NOT_NULL => "set-not-null",
        K::DROP_NOT_NULL => "drop-not-null",
        K::SET_TYPE => "column-type",
        K::SET_EXPRESSION => "set-expression",
        K::DROP_EXPRESSION => "drop-expression",
        K::SET_STATISTICS => "column-statistics",
        K::SET_OPTIONS | K::RESET_OPTIONS | K::SET_OPTIONS_LIST => "column-options",
        K::SET_STORAGE => "column-storage",
        K::SET_COMPRESSION => "column-compression",
        K::ADD_GENERATED => "column-add-identity",
        K::SET_DEFAULT | K::DROP_DEFAULT => "column-set-default",
        _ => "column-identity",
    };
    let part = if key == "set-not-null" || key == "set-expression" {
        &option
    } else {
        action
    };
    Form::of(key, node, part).column(column)
}

fn add_constraint(node: &Node, action: &SyntaxNode) -> Form {
    let constraint = action.children().last().unwrap_or_else(|| action.clone());
    let not_valid = child(&constraint, K::NOT_VALID).is_some();
    let using = constraint
        .children()
        .any(|n| n.kind() == K::USING_INDEX_NAME);
    let key = match constraint.kind() {
        K::CHECK_CONSTRAINT if !enforced(&constraint) => "add-check-not-enforced",
        K::CHECK_CONSTRAINT if not_valid => "add-check-not-valid",
        K::CHECK_CONSTRAINT => "add-check",
        K::NOT_NULL_CONSTRAINT if not_valid => "add-not-null-not-valid",
        K::NOT_NULL_CONSTRAINT => "add-not-null",
        K::FOREIGN_KEY_CONSTRAINT if !enforced(&constraint) => "add-foreign-key-not-enforced",
        K::FOREIGN_KEY_CONSTRAINT if not_valid => "add-foreign-key-not-valid",
        K::FOREIGN_KEY_CONSTRAINT => "add-foreign-key",
        K::UNIQUE_CONSTRAINT if using => "add-unique-using-index",
        K::UNIQUE_CONSTRAINT => "add-unique",
        K::PRIMARY_KEY_CONSTRAINT if using => "add-primary-key-using-index",
        K::PRIMARY_KEY_CONSTRAINT => "add-primary-key",
        _ => "add-exclude",
    };
    let to = child(&constraint, K::TABLE_NAME_REF).and_then(|n| Name::of_node(&n));
    let to = to.filter(|_| constraint.kind() == K::FOREIGN_KEY_CONSTRAINT);
    Form::of(key, node, action).with("referenced", to)
}
