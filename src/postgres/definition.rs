//! The definition of a dump's entry, made comparable (G23): two dumps of equal databases give equal
//! fingerprints. Each rule here is a difference that means nothing, and has a test.

use sha2::{Digest, Sha256};

use crate::manifest::Name;

/// Whether an entry speaks of the database itself, under whatever name: of its properties, its
/// privileges, its comment.
pub(super) fn of_database(desc: &str, tag: &Name) -> bool {
    matches!(desc, "DATABASE" | "DATABASE PROPERTIES") || tag.display().starts_with("DATABASE ")
}

/// The tag of such an entry without the database's name: a restore may go into another.
pub(super) fn without_name(tag: &Name, database: &Name) -> Name {
    let (tag, name) = (tag.display(), database.display());
    let is_name = |text: &str| text == name || text == quoted(&name);
    if is_name(&tag) {
        return Name::Text(String::new());
    }
    match tag.strip_prefix("DATABASE ") {
        Some(rest) if is_name(rest) => Name::Text("DATABASE".to_owned()),
        _ => Name::Text(tag),
    }
}

/// SHA-256 of a definition after the rules.
pub(super) fn fingerprint(desc: &str, tag: &Name, definition: &[u8], database: &Name) -> [u8; 32] {
    let Ok(text) = std::str::from_utf8(definition) else {
        return Sha256::digest(definition).into();
    };
    let mut text = text.to_owned();
    let about_database = matches!(desc, "DATABASE" | "DATABASE PROPERTIES")
        || (tag.display() == "DATABASE" && !matches!(desc, "TABLE" | "VIEW"));
    if about_database {
        text = anonymous(&text, &database.display());
    }
    if desc == "TABLE" {
        text = inherited_order(text);
    }
    Sha256::digest(array_casts(&text).as_bytes()).into()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `ALTER DATABASE shop SET …` → `ALTER DATABASE : SET …`
fn anonymous(text: &str, name: &str) -> String {
    let mut text = text.replace(&format!("DATABASE {}", quoted(name)), "DATABASE :");
    for end in [' ', ';', '\n'] {
        text = text.replace(
            &format!("DATABASE {name}{end}"),
            &format!("DATABASE :{end}"),
        );
    }
    text
}

/// A table that came to inherit after it was made has its columns in an order that no statement can
/// restore: parents' columns come first. Rows are read by the names of columns, so the order means nothing.
fn inherited_order(text: String) -> String {
    let parts = text
        .split_once(" (\n")
        .and_then(|(head, rest)| Some((head, rest.split_once("\n)\nINHERITS (")?)));
    let Some((head, (body, tail))) = parts else {
        return text;
    };
    let mut columns: Vec<&str> = body.split(",\n").collect();
    columns.sort_unstable();
    format!("{head} (\n{}\n)\nINHERITS ({tail}", columns.join(",\n"))
}

/// The server prints `x IN ('a', 'b')` of a varchar as a cast of an array, and what it read back from
/// that as an array of casts. Both become the latter.
fn array_casts(text: &str) -> String {
    const HEAD: &str = "(ARRAY[";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(HEAD) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let body = tail.get(HEAD.len()..).unwrap_or_default();
        match cast_of_array(body) {
            Some((elements, to, after)) => {
                let casts: Vec<String> = elements.iter().map(|e| format!("({e})::{to}")).collect();
                out.push_str(&format!("ARRAY[{}]", casts.join(", ")));
                rest = after;
            }
            None => {
                out.push_str(HEAD);
                rest = body;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Elements, type and what follows of `e1, e2])::type[]`.
fn cast_of_array(body: &str) -> Option<(Vec<&str>, &str, &str)> {
    let mut elements = Vec::new();
    let (mut depth, mut start, mut quote) = (0_u32, 0, None);
    let mut end = None;
    for (at, c) in body.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ']') if depth == 0 => {
                elements.push(body.get(start..at)?);
                end = Some(at);
                break;
            }
            (None, ')' | ']') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                elements.push(body.get(start..at)?);
                start = at + 2;
            }
            (None, _) => {}
        }
    }
    let after = body.get(end?..)?.strip_prefix("])::")?;
    let length = after.find("[]")?;
    let (to, after) = after.split_at(length);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '.' | '"');
    to.chars()
        .all(plain)
        .then_some((elements, to, after.get(2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::Text(text.to_owned())
    }

    #[test]
    fn g23_an_array_of_casts_and_a_cast_of_an_array_are_one() {
        let first = "CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b, ]'::character varying])::text[])))";
        let second = "CHECK (((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b, ]'::character varying)::text])))";
        assert_eq!(array_casts(first), second);
        assert_eq!(array_casts(second), second);
        for other in [
            "(ARRAY[1, 2])",
            "(ARRAY['a",
            "f((ARRAY[1])[1])",
            "(ARRAY[(1), ARRAY[2]])::int",
        ] {
            assert_eq!(array_casts(other), other);
        }
    }

    #[test]
    fn g23_a_child_has_its_columns_in_any_order() {
        let table = |columns: &str, more: &str| {
            inherited_order(format!("CREATE TABLE s.c (\n{columns}\n)\n{more};\n"))
        };
        let inherits = "INHERITS (s.p)";
        let one = table("    b integer,\n    a integer", inherits);
        assert_eq!(one, table("    a integer,\n    b integer", inherits));
        assert_ne!(one, table("    a integer,\n    b text", inherits));
        let other = table("    b integer,\n    a integer", "WITH (fillfactor='70')");
        assert_ne!(
            other,
            table("    a integer,\n    b integer", "WITH (fillfactor='70')")
        );
    }

    #[test]
    fn g23_a_database_may_have_another_name() {
        let print = |text: &str, database: &str| {
            fingerprint(
                "DATABASE PROPERTIES",
                &name(""),
                text.as_bytes(),
                &name(database),
            )
        };
        let shop = print("ALTER DATABASE shop SET work_mem TO '7MB';\n", "shop");
        assert_eq!(
            print(
                "ALTER DATABASE \"od\"\"d\" SET work_mem TO '7MB';\n",
                "od\"d"
            ),
            shop
        );
        assert_ne!(
            print("ALTER DATABASE shop SET work_mem TO '8MB';\n", "shop"),
            shop
        );
        assert_eq!(
            without_name(&name("DATABASE shop"), &name("shop")),
            name("DATABASE")
        );
        assert_eq!(without_name(&name("shop"), &name("shop")), name(""));
        assert!(!of_database("TABLE", &name("shop")));
    }
}
