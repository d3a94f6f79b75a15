//! The definition of a dump's entry, made comparable (G23): two dumps of equal databases give equal
//! fingerprints. Each rule here is a difference that means nothing, and has a test.

use sha2::{Digest, Sha256};

use crate::manifest::Name;

/// Whether an entry speaks of the database itself, under whatever name: of its properties, its
/// privileges, its comment.
pub(super) fn of_database(desc: &str, tag: &Name) -> bool {
    match desc {
        "DATABASE" | "DATABASE PROPERTIES" => true,
        "ACL" | "COMMENT" | "SECURITY LABEL" => tag.display().starts_with("DATABASE "),
        _ => false,
    }
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

/// What an entry says of itself.
pub(super) struct Definition<'a> {
    pub(super) desc: &'a str,
    pub(super) sql: &'a [u8],
    /// How a table keeps its rows: `heap`, or an extension's way.
    pub(super) access_method: &'a [u8],
    /// It speaks of the database itself.
    pub(super) of_database: bool,
}

/// SHA-256 of a definition after the rules.
pub(super) fn fingerprint(definition: &Definition<'_>, database: &Name) -> [u8; 32] {
    let mut hash = Sha256::new();
    match std::str::from_utf8(definition.sql) {
        Ok(text) => hash.update(comparable(definition, text, &database.display()).as_bytes()),
        Err(_) => hash.update(definition.sql),
    }
    if !definition.access_method.is_empty() {
        hash.update([0]);
        hash.update(definition.access_method);
    }
    hash.finalize().into()
}

fn comparable(definition: &Definition<'_>, text: &str, database: &str) -> String {
    let mut text = text.to_owned();
    if definition.of_database {
        text = anonymous(&text, database);
    }
    match definition.desc {
        "TABLE" => text = inherited_order(text),
        "POLICY" => text = sorted_roles(text),
        "ACL" | "DEFAULT ACL" | "DATABASE PROPERTIES" => text = sorted_statements(&text),
        _ => {}
    }
    // What is stored as it was written, and not printed by the server, comes back as it was.
    match definition.desc {
        "COMMENT" | "SECURITY LABEL" => text,
        "FUNCTION" | "PROCEDURE" => match text.split_once("\n    AS ") {
            Some((head, body)) => format!("{}\n    AS {body}", printed(head)),
            None => printed(&text),
        },
        _ => printed(&text),
    }
}

/// Read back, an unnamed constant has a name, and arrays are cast in another way.
fn printed(text: &str) -> String {
    array_casts(text).replace("::text AS text", "::text")
}

/// Privileges and settings of several roles come in the order in which the roles were made.
fn sorted_statements(text: &str) -> String {
    let mut statements: Vec<&str> = text.split(";\n").collect();
    statements.sort_unstable();
    statements.join(";\n")
}

/// `… TO b, a USING (…)` → `… TO a, b USING (…)`, for the same reason.
fn sorted_roles(text: String) -> String {
    let Some((head, rest)) = text.split_once(" TO ") else {
        return text;
    };
    let end = [" USING (", " WITH CHECK (", ";"]
        .iter()
        .filter_map(|end| rest.find(end))
        .min()
        .unwrap_or(rest.len());
    let (roles, tail) = rest.split_at(end);
    let mut roles: Vec<&str> = roles.split(", ").collect();
    roles.sort_unstable();
    format!("{head} TO {}{tail}", roles.join(", "))
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
/// that as an array of casts. Both become the latter; where it prints few parentheses too.
fn array_casts(text: &str) -> String {
    let plain = casts_after(text, "(ARRAY[", "])::", |element, to| {
        format!("({element})::{to}")
    });
    casts_after(&plain, "ARRAY[", "]::", |element, to| {
        format!("{element}::{to}")
    })
}

fn casts_after(text: &str, head: &str, end: &str, cast: fn(&str, &str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(head) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let body = tail.get(head.len()..).unwrap_or_default();
        match cast_of_array(body, end) {
            Some((elements, to, after)) => {
                let casts: Vec<String> = elements.iter().map(|e| cast(e, to)).collect();
                out.push_str(&format!("ARRAY[{}]", casts.join(", ")));
                rest = after;
            }
            None => {
                out.push_str(head);
                rest = body;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Elements, type and what follows of `e1, e2])::type[]`.
fn cast_of_array<'a>(body: &'a str, close: &str) -> Option<(Vec<&'a str>, &'a str, &'a str)> {
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
    let after = body.get(end?..)?.strip_prefix(close)?;
    let length = after.find("[]")?;
    let (to, after) = after.split_at(length);
    let plain = |c: char| c.is_alphanumeric() || " _.\"-(),".contains(c);
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

    fn print_of(desc: &str, sql: &str, access_method: &str, database: &str) -> [u8; 32] {
        let definition = Definition {
            desc,
            sql: sql.as_bytes(),
            access_method: access_method.as_bytes(),
            of_database: desc.starts_with("DATABASE"),
        };
        fingerprint(&definition, &name(database))
    }

    #[test]
    fn g23_the_order_in_which_roles_were_made_means_nothing() {
        let print = |desc: &str, sql: &str| print_of(desc, sql, "", "shop");
        for (desc, one, other, differs) in [
            (
                "POLICY",
                "CREATE POLICY p ON t TO b, a USING ((x TO y));\n",
                "CREATE POLICY p ON t TO a, b USING ((x TO y));\n",
                "CREATE POLICY p ON t TO a USING ((x TO y));\n",
            ),
            (
                "DEFAULT ACL",
                "GRANT SELECT ON TABLES TO a;\nGRANT SELECT ON TABLES TO b;\n",
                "GRANT SELECT ON TABLES TO b;\nGRANT SELECT ON TABLES TO a;\n",
                "GRANT SELECT ON TABLES TO b;\n",
            ),
        ] {
            assert_eq!(print(desc, one), print(desc, other), "{desc}");
            assert_ne!(print(desc, one), print(desc, differs), "{desc}");
        }
    }

    #[test]
    fn g23_another_access_method_is_another_table() {
        let table = "CREATE TABLE t (a integer);\n";
        assert_ne!(
            print_of("TABLE", table, "heap", "d"),
            print_of("TABLE", table, "columnar", "d")
        );
    }

    #[test]
    fn g23_an_unnamed_constant_may_have_got_a_name() {
        let print = |desc: &str, sql: &str| print_of(desc, sql, "", "d");
        let (one, other) = (
            "BEGIN ATOMIC SELECT 'x'::text;",
            "BEGIN ATOMIC SELECT 'x'::text AS text;",
        );
        assert_eq!(print("FUNCTION", one), print("FUNCTION", other));
        // Words that somebody wrote.
        for (desc, head) in [
            ("COMMENT", "IS 'a"),
            (
                "FUNCTION",
                "RETURNS text\n    LANGUAGE sql\n    AS 'SELECT a",
            ),
        ] {
            let (one, other) = (format!("{head}::text'"), format!("{head}::text AS text'"));
            assert_ne!(print(desc, &one), print(desc, &other), "{desc}");
        }
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
        let print =
            |text: &str, database: &str| print_of("DATABASE PROPERTIES", text, "", database);
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
        assert!(!of_database("TABLE DATA", &name("DATABASE shop")));
    }
}
