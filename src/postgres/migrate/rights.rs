//! Which rights who migrates lacks for the statements of a plan: asked of the server before anything else, and told with what gives
//! them. What is not known for certain is not told: the server says it when the statement runs.

use std::collections::BTreeSet;

use super::Acting;
use super::holdings::{Holder, Holdings, Owner, Thing, holdings};
use crate::api::Reason;
use crate::postgres::error::{PgError, sanitise};
use crate::postgres::names::quote_ident;
use crate::sql::rights::Wanted;
use crate::sql::{Name, Need, ObjectKind, Or};
use tokio_postgres::Client;

/// Rights that a message names.
const NAMED: usize = 5;

/// A right that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The file of the first statement that needs it.
    pub file: String,
    /// Its line there.
    pub line: usize,
    /// What the statement is.
    pub verb: String,
    /// What is missing, for people.
    pub what: String,
    /// The statement that gives it.
    pub mend: String,
    /// What does instead, for people.
    pub instead: Option<String>,
}

/// What is missing of the rights that are wanted.
///
/// # Errors
/// Those of a query.
pub async fn lacks(
    client: &Client,
    acting: &Acting,
    wanted: &[Wanted],
) -> Result<Vec<Lack>, PgError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let held = holdings(client, acting, wanted).await?;
    let mut told = BTreeSet::new();
    let mut lacks = Vec::new();
    for want in wanted {
        for (what, mend, instead) in missing(&held, want) {
            if told.insert((what.clone(), mend.clone())) {
                lacks.push(Lack {
                    file: want.file.clone(),
                    line: want.line,
                    verb: want.verb.clone(),
                    what,
                    mend,
                    instead,
                });
            }
        }
    }
    Ok(lacks)
}

/// The refusal that names them, the first in full.
#[must_use]
pub fn refusal(acting: &str, lacks: &[Lack]) -> Option<PgError> {
    if lacks.is_empty() {
        return None;
    }
    let named = lacks.iter().take(NAMED).map(|lack| {
        let instead = lack.instead.as_ref().map(|i| format!(" (or {i})"));
        format!(
            "{}, line {}: {} needs {}: {};{}",
            lack.file,
            lack.line,
            lack.verb,
            lack.what,
            lack.mend,
            instead.unwrap_or_default()
        )
    });
    let named: Vec<String> = named.collect();
    let more = match lacks.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    let text = format!(
        "the role {} lacks {}, so nothing was begun: {}{more}",
        quote_ident(acting),
        match lacks.len() {
            1 => "a right".to_owned(),
            n => format!("{n} rights"),
        },
        named.join("; ")
    );
    Some(PgError::never(Reason::PermissionDenied, sanitise(&text)))
}

/// What is missing, the statement that gives it, and what does instead.
type Missing = (String, String, Option<String>);

fn missing(held: &Holdings, want: &Wanted) -> Vec<Missing> {
    let me = &held.me;
    if me.superuser {
        return Vec::new();
    }
    match &want.need {
        Need::Database if me.database => Vec::new(),
        Need::Database => vec![on_database(me)],
        Need::Create(schema) => create(held, want, schema.as_deref()),
        Need::Beside(name) => match held.find(&held.relations, name, &want.unsure) {
            Found::At(schema, _) => create(held, want, Some(&schema)),
            Found::Unusable(_) | Found::Unknown => Vec::new(),
        },
        Need::Own { kind, name, or } => owned(held, want, *kind, name, *or),
        Need::May(name, any) => may(held, want, name, any),
        Need::Extension(name) => extension(held, name),
    }
}

fn on_database(me: &Holder) -> Missing {
    (
        format!("CREATE on the database {}", quote_ident(&me.in_database)),
        format!(
            "GRANT CREATE ON DATABASE {} TO {}",
            quote_ident(&me.in_database),
            quote_ident(&me.role)
        ),
        None,
    )
}

/// Where an object of a name is.
pub(super) enum Found<'h> {
    /// In this schema.
    At(String, &'h Thing),
    /// Only in this schema, whose names may not be used.
    Unusable(String),
    /// Nowhere, or nobody knows.
    Unknown,
}

fn create(held: &Holdings, want: &Wanted, schema: Option<&str>) -> Vec<Missing> {
    let Some(schema) = schema
        .map(str::to_owned)
        .or_else(|| held.first(&want.unsure))
    else {
        return Vec::new();
    };
    let Some(there) = held.schemas.get(&schema) else {
        return Vec::new();
    };
    if there.create {
        return Vec::new();
    }
    let right = if there.usage {
        "CREATE"
    } else {
        "USAGE, CREATE"
    };
    vec![on_schema(held, right, &schema)]
}

fn on_schema(held: &Holdings, right: &str, schema: &str) -> Missing {
    let (schema, role) = (quote_ident(schema), quote_ident(&held.me.role));
    (
        format!("{right} on the schema {schema}"),
        format!("GRANT {right} ON SCHEMA {schema} TO {role}"),
        None,
    )
}

fn may(held: &Holdings, want: &Wanted, name: &Name, any: &[&str]) -> Vec<Missing> {
    let (schema, thing) = match held.find(&held.relations, name, &want.unsure) {
        Found::At(schema, thing) => (schema, thing),
        Found::Unusable(schema) => return vec![on_schema(held, "USAGE", &schema)],
        Found::Unknown => return Vec::new(),
    };
    let has = |right: &&str| thing.rights.contains(*right);
    let (Some(right), false) = (any.first(), any.iter().any(has)) else {
        return usage(held, &schema);
    };
    // Sequences and foreign tables have rules of their own.
    if !["r", "p", "v", "m"].contains(&thing.kind.as_str()) {
        return Vec::new();
    }
    let object = format!("{}.{}", quote_ident(&schema), quote_ident(&name.name));
    let lack = (
        format!("{right} on {object}"),
        format!(
            "GRANT {right} ON {object} TO {}",
            quote_ident(&held.me.role)
        ),
        None,
    );
    [usage(held, &schema), vec![lack]].concat()
}

/// Whoever may use an object may not name it without this.
fn usage(held: &Holdings, schema: &str) -> Vec<Missing> {
    match held.schemas.get(schema).is_none_or(|s| s.usage) {
        true => Vec::new(),
        false => vec![on_schema(held, "USAGE", schema)],
    }
}

fn owned(held: &Holdings, want: &Wanted, kind: ObjectKind, name: &Name, or: Or) -> Vec<Missing> {
    if or == Or::Provider && held.me.provider {
        return Vec::new();
    }
    if kind == ObjectKind::Schema {
        let Some(there) = held.schemas.get(&name.name).filter(|s| !s.owned) else {
            return Vec::new();
        };
        let schema = quote_ident(&name.name);
        let what = format!("to own the schema {schema}");
        return vec![ownership(held, what, &there.owner, "SCHEMA", &schema)];
    }
    let all = match kind {
        ObjectKind::Type => &held.types,
        ObjectKind::Routine => &held.routines,
        _ => &held.relations,
    };
    let (schema, thing) = match held.find(all, name, &want.unsure) {
        Found::At(schema, thing) => (schema, thing),
        Found::Unusable(schema) => return vec![on_schema(held, "USAGE", &schema)],
        Found::Unknown => return Vec::new(),
    };
    // Another of that name may be the one that is meant.
    let another = |(at, other): (&(String, String), &Thing)| at.1 == name.name && other.owned;
    if kind == ObjectKind::Routine && name.schema.is_none() && all.iter().any(another) {
        return Vec::new();
    }
    let of_schema = held.schemas.get(&schema).is_some_and(|s| s.owned);
    let enough = thing.owned
        || or == Or::Schema && of_schema
        || or == Or::Maintain && thing.rights.contains("MAINTAIN");
    if enough {
        return usage(held, &schema);
    }
    let object = format!("{}.{}", quote_ident(&schema), quote_ident(&name.name));
    let (word, whole) = match kind {
        ObjectKind::Type => ("TYPE", object.clone()),
        ObjectKind::Routine => ("ROUTINE", object.clone()),
        _ => ("TABLE", thing.table.clone()),
    };
    let what = format!("to own {object}");
    let lack = ownership(held, what, &thing.owner, word, &whole);
    [usage(held, &schema), vec![lack]].concat()
}

/// The role becomes its owner, or one of them; never one of the server's own roles.
fn ownership(held: &Holdings, what: String, owner: &Owner, word: &str, object: &str) -> Missing {
    let me = &held.me;
    let (role, of) = (quote_ident(&me.role), quote_ident(&owner.name));
    let what = format!("{what}, which belongs to {of}");
    let hand_over = format!("ALTER {word} {object} OWNER TO {role}");
    let inherits = match (me.inherits, me.major >= 16) {
        (true, false) if !owner.member => format!("GRANT {of} TO {role}"),
        (_, false) => format!("GRANT {of} TO {role}; ALTER ROLE {role} INHERIT"),
        (true, true) if !owner.member => format!("GRANT {of} TO {role}"),
        (_, true) => format!("GRANT {of} TO {role} WITH INHERIT TRUE"),
    };
    match owner {
        // Nobody can be made a member of some of the server's own.
        Owner { name, .. } if name.starts_with("pg_") => (what, hand_over, None),
        Owner {
            superuser: true, ..
        } => (what, hand_over, None),
        Owner { member: true, .. } => {
            let act = format!("`role: {}` in spec.execution", owner.name);
            (what, inherits, Some(act))
        }
        Owner { .. } => (what, inherits, Some(hand_over)),
    }
}

fn extension(held: &Holdings, name: &str) -> Vec<Missing> {
    let me = &held.me;
    let Some(known) = held.extensions.get(name).filter(|_| !me.provider) else {
        return Vec::new();
    };
    match known {
        // It is there, or anybody who may make a schema may make it.
        Some(true) if me.database => Vec::new(),
        Some(true) => vec![on_database(me)],
        Some(false) => vec![(
            format!("a superuser for the extension {}", quote_ident(name)),
            format!("CREATE EXTENSION IF NOT EXISTS {}", quote_ident(name)),
            None,
        )],
        None => Vec::new(),
    }
}
