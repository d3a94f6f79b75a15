//! LB402-408: the server's files, rights, row security, secrets.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::rule::{Level, Rule};
use crate::sql::hit::Hit;
use crate::sql::name::{Name, unquoted};
use crate::sql::tree::{Node, child, says, span, words};

/// Functions that read or write files of the server.
const FILE_FUNCTIONS: [&str; 9] = [
    "LO_IMPORT",
    "LO_EXPORT",
    "PG_READ_FILE",
    "PG_READ_BINARY_FILE",
    "PG_LS_DIR",
    "PG_STAT_FILE",
    "PG_FILE_WRITE",
    "PG_FILE_UNLINK",
    "PG_EXECUTE_SERVER_PROGRAM",
];

/// Options of a role that reach beyond any table.
const WIDE_OPTIONS: [&str; 3] = ["SUPERUSER", "BYPASSRLS", "REPLICATION"];

/// Roles that stand for everybody, on plain PostgreSQL and behind a REST layer.
const EVERYBODY: [&str; 2] = ["PUBLIC", "ANON"];

/// Extensions that bring types, operators and functions only, and that any user may create since PostgreSQL 13 or
/// that providers allow.
const EXTENSIONS: [&str; 24] = [
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dict_int",
    "fuzzystrmatch",
    "hstore",
    "intarray",
    "isn",
    "lo",
    "ltree",
    "pg_trgm",
    "pgcrypto",
    "plpgsql",
    "postgis",
    "postgis_topology",
    "seg",
    "tablefunc",
    "tcn",
    "tsm_system_rows",
    "tsm_system_time",
    "unaccent",
    "uuid-ossp",
    "vector",
];

pub(super) fn hits(node: &Node) -> Vec<Hit> {
    let mut hits = Vec::new();
    hits.extend(files(node));
    hits.extend(definer(node));
    hits.extend(view(node));
    hits.extend(policy(node));
    hits.extend(rights(node));
    hits.extend(opaque(node));
    hits.extend(secrets(node));
    if node.kind == K::ALTER_ROLE || node.kind == K::ALTER_USER {
        let set = node.has(K::SET_CONFIG_PARAM) || node.has(K::RESET_CONFIG_PARAM);
        let message = "it outlives the migration, and holds for every later session of the role";
        hits.extend(set.then(|| whole(node, Rule::Lb401, message)));
    }
    hits
}

fn whole(node: &Node, rule: Rule, message: &str) -> Hit {
    Hit::new(rule, node.span.clone(), message)
}

fn files(node: &Node) -> Vec<Hit> {
    let mut hits = Vec::new();
    if node.kind == K::COPY
        && let Some(place) = node.all(K::COPY_PROGRAM).next()
    {
        // The tree calls a file a program too; the word tells them apart.
        let message = if says(&words(&place), &["PROGRAM"]) {
            "a program runs on the database's host, as its operating system user"
        } else {
            "a file of the database's host: not the same one on a standby, after a failover or at a provider"
        };
        hits.push(Hit::new(Rule::Lb402, span(&place), message));
    }
    for call in node.all(K::CALL_EXPR) {
        let named: Vec<String> = words(&call).into_iter().take_while(|w| w != "(").collect();
        if named.iter().any(|w| FILE_FUNCTIONS.contains(&w.as_str())) {
            let message = "it reads or writes files of the database's host";
            hits.push(Hit::new(Rule::Lb402, span(&call), message));
        }
    }
    hits
}

/// SECURITY DEFINER without a `search_path` that nobody can slip objects into (M25).
fn definer(node: &Node) -> Option<Hit> {
    let routine = matches!(
        node.kind,
        K::CREATE_FUNCTION
            | K::CREATE_PROCEDURE
            | K::ALTER_FUNCTION
            | K::ALTER_PROCEDURE
            | K::ALTER_ROUTINE
    );
    if !routine {
        return None;
    }
    let creates = matches!(node.kind, K::CREATE_FUNCTION | K::CREATE_PROCEDURE);
    let definer = node.has(K::SECURITY_DEFINER_FUNC_OPTION);
    let sets: Vec<SyntaxNode> = node
        .all(K::SET_FUNC_OPTION)
        .filter(is_search_path)
        .collect();
    let resets = node.all(K::RESET_FUNC_OPTION).any(|n| {
        let w = words(&n);
        says(&w, &["SEARCH_PATH"]) || says(&w, &["ALL"])
    });
    let object = node.syntax.descendants().find(|n| {
        matches!(
            n.kind(),
            K::FUNCTION_NAME
                | K::PROCEDURE_NAME
                | K::FUNCTION_NAME_REF
                | K::PROCEDURE_NAME_REF
                | K::ROUTINE_NAME_REF
        )
    });
    let object = object
        .and_then(|n| Name::of_node(&n))
        .map(|n| n.to_string())
        .unwrap_or_default();
    let hit = |message: &str| Some(whole(node, Rule::Lb403, message).about(&object));
    if resets {
        return hit(
            "without its search_path a SECURITY DEFINER routine finds the caller's objects first",
        );
    }
    // Of a routine that is only altered nobody knows here whether it is SECURITY DEFINER; a path that is set is judged.
    if !definer && (creates || sets.is_empty()) {
        return None;
    }
    match sets.last() {
        None => hit(
            "whoever calls it decides by search_path whose tables and functions it uses, with its owner's rights",
        ),
        Some(set) if !is_closed(set) => hit(
            "pg_temp is searched first unless it stands last: a temporary table of the caller takes the place of yours",
        ),
        Some(_) => None,
    }
}

fn is_search_path(set: &SyntaxNode) -> bool {
    let named = set
        .descendants()
        .find(|n| n.kind() == K::CONFIG_PARAMETER_REF);
    named
        .and_then(|n| Name::of_node(&n))
        .is_some_and(|n| n.name == "search_path")
}

/// `''`, or a list whose last entry, and no other, is `pg_temp`.
fn is_closed(set: &SyntaxNode) -> bool {
    let values = words(set);
    let values = values
        .iter()
        .skip_while(|w| *w != "=" && *w != "TO")
        .skip(1);
    let values: Vec<String> = values
        .filter(|w| *w != ",")
        .map(|w| unquoted(w.trim_matches('\'')))
        .collect();
    match values.as_slice() {
        [] => false,
        [only] if only.is_empty() => true,
        [before @ .., last] => {
            last == "pg_temp" && !before.iter().any(|b| b == "pg_temp" || b.contains(','))
        }
    }
}

/// A view reads tables as its owner, whose policies are others than the caller's.
fn view(node: &Node) -> Option<Hit> {
    let named = || {
        node.all(K::VIEW)
            .chain(node.all(K::VIEW_REF))
            .next()
            .and_then(|n| Name::of_node(&n))
    };
    let object = named().map(|n| n.to_string()).unwrap_or_default();
    let invoker = node
        .all(K::ATTRIBUTE_OPTION)
        .find(|n| says(&words(n), &["SECURITY_INVOKER"]));
    match node.kind {
        K::CREATE_VIEW => {
            let on = invoker.is_some_and(|n| is_on(&n));
            let reads = node.has(K::RELATION_FROM_ITEM);
            let message = "row security of its tables is asked for the view's owner, not for who reads the view";
            (reads && !on).then(|| whole(node, Rule::Lb404, message).about(object))
        }
        K::ALTER_VIEW => {
            let off = invoker.is_some_and(|n| node.has(K::RESET_OPTIONS) || !is_on(&n));
            off.then(|| {
                whole(
                    node,
                    Rule::Lb404,
                    "from now on the view reads with its owner's rights",
                )
                .about(object)
            })
        }
        K::CREATE_MATERIALIZED_VIEW if node.has(K::RELATION_FROM_ITEM) => {
            let message = "its rows are copied once, as its owner sees them; row security holds for none of them";
            let fix = "keep it in a schema that no application role uses, and let a function give out what one may see";
            Some(
                whole(node, Rule::Lb404, message)
                    .fix(fix)
                    .about(object)
                    .level(Level::Warn),
            )
        }
        _ => None,
    }
}

/// An option without a value is on.
fn is_on(option: &SyntaxNode) -> bool {
    let value = child(option, K::ATTRIBUTE_VALUE)
        .map(|v| words(&v).concat().trim_matches('\'').to_uppercase());
    value.is_none_or(|v| ["TRUE", "ON", "YES", "1"].contains(&v.as_str()))
}

fn policy(node: &Node) -> Vec<Hit> {
    if !matches!(node.kind, K::CREATE_POLICY | K::ALTER_POLICY) {
        return Vec::new();
    }
    let clauses = node
        .all(K::USING_EXPR_CLAUSE)
        .chain(node.all(K::WITH_CHECK_EXPR_CLAUSE));
    let table = node
        .table
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    // A restrictive policy only ever takes away.
    let restrictive = node.says(&["AS", "RESTRICTIVE"]);
    let all = clauses.filter(|c| {
        !restrictive
            && words(c)
                .iter()
                .filter(|w| !["(", ")", "USING", "WITH", "CHECK"].contains(&w.as_str()))
                .eq(["TRUE"].iter())
    });
    all.map(|c| {
        let message =
            format!("`true` lets every row of {table} through, for every role of the policy");
        Hit::new(Rule::Lb405, span(&c), &message).about(&table)
    })
    .collect()
}

fn rights(node: &Node) -> Vec<Hit> {
    let mut hits = Vec::new();
    match node.kind {
        K::GRANT | K::ALTER_DEFAULT_PRIVILEGES
            if node.says(&["GRANT"]) && !node.says(&["REVOKE"]) =>
        {
            let roles = node
                .all(K::ROLE_REF_LIST)
                .flat_map(|l| l.children().collect::<Vec<_>>());
            let wide = roles.filter(|r| {
                words(r)
                    .last()
                    .is_some_and(|w| EVERYBODY.contains(&w.to_uppercase().trim_matches('"')))
            });
            hits.extend(wide.map(|r| {
                let role = words(&r).concat().to_lowercase();
                let message = format!("{role} is everybody who can connect");
                let object = node.table.as_ref().map_or(role, ToString::to_string);
                Hit::new(Rule::Lb406, span(&r), &message).about(object)
            }));
        }
        K::CREATE_ROLE | K::CREATE_USER | K::ALTER_ROLE | K::ALTER_USER => {
            // After the role's own name, which may be such a word.
            let mut options = node.words.iter().skip(3);
            let wide = options.find(|w| WIDE_OPTIONS.contains(&w.as_str()));
            hits.extend(wide.map(|w| {
                let message = format!("{w} sees past every rule of the database");
                whole(node, Rule::Lb406, &message)
            }));
        }
        K::CREATE_EVENT_TRIGGER => hits.push(whole(
            node,
            Rule::Lb406,
            "it runs inside every later definition, migrations and restores among them",
        )),
        K::CREATE_LANGUAGE => hits.push(whole(
            node,
            Rule::Lb406,
            "whoever may use the language may do what it can",
        )),
        K::CREATE_EXTENSION => {
            let name = node
                .all(K::EXTENSION)
                .next()
                .map(|n| unquoted(&words(&n).concat().to_lowercase()));
            let name = name.unwrap_or_default();
            if !EXTENSIONS.contains(&name.as_str()) {
                let message = format!(
                    "the extension {name} may run code as the server's superuser, or needs a library that a restore must find"
                );
                hits.push(whole(node, Rule::Lb406, &message).about(name));
            }
        }
        K::CREATE_FUNCTION | K::CREATE_PROCEDURE | K::DO => {
            let language = node
                .all(K::LANGUAGE_REF)
                .next()
                .map(|n| words(&n).concat().to_lowercase());
            let language = language.unwrap_or_default();
            let language = language.trim_matches(['\'', '"']);
            let untrusted = ["c", "internal"].contains(&language)
                || (language.starts_with("pl") && language.ends_with('u'));
            if untrusted {
                let message =
                    format!("code in {language} runs on the host with the server's rights");
                hits.push(whole(node, Rule::Lb406, &message));
            }
        }
        _ => {}
    }
    hits
}

fn opaque(node: &Node) -> Option<Hit> {
    let message = match node.kind {
        K::DO => "what the block does is not looked at",
        K::CALL => "what the procedure does is not looked at",
        K::EXECUTE | K::PREPARE => "what a prepared statement does is not looked at",
        _ => return None,
    };
    Some(whole(node, Rule::Lb407, message))
}

/// Each of them: what is found is not shown either.
fn secrets(node: &Node) -> Vec<Hit> {
    let is_secret = |literal: &SyntaxNode| {
        let text = words(literal).concat();
        // NULL takes a password away.
        if !text.contains(['\'', '$']) {
            return false;
        }
        let parent = literal.parent();
        let password = parent.is_some_and(|p| match p.kind() {
            K::ROLE_OPTION_PASSWORD | K::ROLE_OPTION_ENCRYPTED_PASSWORD => true,
            K::ADD_FOREIGN_OPTION | K::SET_FOREIGN_OPTION => {
                let w = words(&p);
                ["PASSWORD", "SECRET", "TOKEN", "API_KEY", "PASSPHRASE"]
                    .iter()
                    .any(|k| w.iter().any(|w| w.contains(k)))
            }
            _ => false,
        });
        password || looks_secret(&text)
    };
    let message = "a password or key stands here in plain text";
    let literals = node.all(K::LITERAL);
    let literals = literals.filter(is_secret);
    literals
        .map(|n| Hit::new(Rule::Lb408, span(&n), message))
        .collect()
}

/// Literals that hardly mean anything else.
fn looks_secret(text: &str) -> bool {
    let lower = text.to_lowercase();
    let after = |mark: &str| lower.split_once(mark).map(|(_, rest)| rest);
    let in_dsn = after("password=")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '"'));
    // postgresql://user:secret@host
    let in_uri = after("://").is_some_and(|rest| {
        let host = rest.split(['/', '?', ' ']).next().unwrap_or_default();
        host.split_once('@')
            .is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, p)| !p.is_empty()))
    });
    in_dsn
        || in_uri
        || text.contains("-----BEGIN") && text.contains("PRIVATE KEY")
        || text.contains("AGE-SECRET-KEY-1")
}
