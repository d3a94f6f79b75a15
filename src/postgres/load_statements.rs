//! Statements beside the dump's own: roles, and what a dump says of the database itself (G15-G17). Pure.

use std::collections::BTreeSet;

use super::globals::{is_password, lines};
use super::load::{LoadOrder, Roles};
use super::names::quote_ident;
use super::toc::Entry;

/// Settings of a database that hinder the load or end its sessions: they come last (G16).
const LATE: [&str; 6] = [
    "default_transaction_read_only",
    "_timeout",
    "preload_libraries",
    "\"role\"",
    " role ",
    "session_replication_role",
];

/// The table that an index marks, besides being made: then it takes a second, stronger lock of it.
pub(super) fn marked(desc: &str, definition: &[u8]) -> Option<String> {
    if desc != "INDEX" {
        return None;
    }
    let definition = String::from_utf8_lossy(definition);
    definition.lines().find_map(|line| {
        let table = line.strip_prefix("ALTER TABLE ")?;
        let table = table.strip_prefix("ONLY ").unwrap_or(table);
        let marks = [" CLUSTER ON ", " REPLICA IDENTITY USING INDEX "];
        let found = marks
            .iter()
            .find_map(|mark| Some(table.rsplit_once(mark)?.0));
        found.map(str::to_owned)
    })
}

/// What is spoken of, and the statement.
pub(super) type Statements = Vec<(String, String)>;

/// What makes the roles.
#[derive(Debug, Default)]
pub(super) struct RoleStatements {
    /// Before everything else.
    pub(super) now: Statements,
    /// After everything else.
    pub(super) late: Statements,
    /// Roles, quoted, that exist and stay as they are.
    pub(super) there: Vec<String>,
}

/// What makes the roles. `there`: quoted names of those that exist.
pub(super) fn role_statements(
    globals: &str,
    roles: Roles,
    there: &BTreeSet<String>,
) -> RoleStatements {
    let mut made = RoleStatements::default();
    let statements = lines(globals);
    for line in statements.iter().filter(|line| !line.starts_with("--")) {
        let line = line.as_str();
        let scratch = roles == Roles::Scratch;
        let label = line
            .strip_prefix("SECURITY LABEL FOR ")
            .and_then(|rest| rest.split_once(" ON ROLE "));
        let exists = ["CREATE ROLE ", "ALTER ROLE ", "COMMENT ON ROLE "]
            .iter()
            .filter_map(|verb| line.strip_prefix(verb))
            .chain(label.map(|(_, rest)| rest))
            .any(|rest| {
                let mut names = there
                    .iter()
                    .filter_map(|name| rest.strip_prefix(name.as_str()));
                names.any(|after| after.is_empty() || after.starts_with(' '))
            });
        // A scratch server has one role, its superuser: that takes the attributes of the source's.
        if exists && (!scratch || line.starts_with("CREATE ROLE ")) {
            if let Some(name) = line.strip_prefix("CREATE ROLE ") {
                made.there.push(name.to_owned());
            }
            continue;
        }
        // It may have lost that on purpose since the backup.
        if !scratch && membership(line).is_some_and(|(_, member)| there.contains(member)) {
            continue;
        }
        if !scratch && privilege_on_setting(line).is_some_and(|role| there.contains(role)) {
            continue;
        }
        let entry = line.split(" WITH ").next().unwrap_or(line);
        let entry = entry.split(" SET ").next().unwrap_or(entry);
        let entry = entry.split(" IS ").next().unwrap_or(entry).to_owned();
        let alters = line.starts_with("ALTER ROLE ");
        if scratch && is_password(line) {
            continue;
        }
        let mut sql = line.to_owned();
        // The one role that was there is the one that restores.
        if scratch
            && exists
            && alters
            && let Some(head) = line.strip_suffix("INHERIT NOLOGIN")
        {
            sql = format!("{head}INHERIT LOGIN");
        }
        let setting = line.starts_with("ALTER ROLE ") && line.contains(" SET ");
        if setting {
            made.late.push((entry, sql));
        } else {
            made.now.push((entry, sql));
        }
    }
    made
}

/// Whether a statement sets what only extensions and applications know, which a check may hang on:
/// `ALTER ROLE r IN DATABASE shop SET "app.region" TO '7'`.
fn is_custom_setting(statement: &str) -> bool {
    let name = statement.split_once(" SET ");
    let name = name.and_then(|(_, rest)| rest.split_once(" TO "));
    name.is_some_and(|(name, _)| name.contains('.'))
}

/// `GRANT "group" TO "member" WITH ADMIN OPTION` → `"group"` and `"member"`
fn membership(line: &str) -> Option<(&str, &str)> {
    let (group, rest) = quoted(line.strip_prefix("GRANT ")?)?;
    let (member, _) = quoted(rest.strip_prefix(" TO ")?)?;
    Some((group, member))
}

/// `GRANT SET ON PARAMETER "work_mem" TO "role" WITH GRANT OPTION` → `"role"`
fn privilege_on_setting(line: &str) -> Option<&str> {
    let (_, rest) = line.strip_prefix("GRANT ")?.split_once(" ON PARAMETER ")?;
    let (_, role) = rest.split_once(" TO ")?;
    quoted(role).map(|(role, _)| role)
}

/// A name in quotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let mut inside = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, inside) {
            ('"', false) => inside = true,
            ('"', true) if chars.next_if(|(_, next)| *next == '"').is_some() => {}
            ('"', true) => return text.split_at_checked(at + 1),
            (_, false) => return None,
            (_, true) => {}
        }
    }
    None
}

/// What the dump says of the database itself, under the target's name: what gives values their meaning
/// before the data, the rest at the end (G16).
pub(super) fn properties(order: &LoadOrder<'_>) -> (Statements, Statements) {
    let target = &order.target.dbname;
    let source = bytewise(&order.toc.database.to_bytes());
    let encoding = encoding(&order.toc.entries);
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for entry in &order.toc.entries {
        if !entry.is_of_database() {
            continue;
        }
        if entry.desc == "DATABASE" {
            let owner = bytewise(&entry.owner.to_bytes());
            if !owner.is_empty() {
                let statement = format!("ALTER DATABASE {source} OWNER TO {}", quote_ident(&owner));
                late.push((
                    entry.display(),
                    renamed(&statement, &source, target, &encoding),
                ));
            }
            continue;
        }
        for statement in split(&bytewise(&entry.definition.to_bytes())) {
            let setting = entry.desc == "DATABASE PROPERTIES"
                && statement.contains(" SET ")
                && (statement.starts_with("ALTER DATABASE ") || is_custom_setting(&statement));
            let hinders = LATE.iter().any(|word| statement.contains(word));
            let sql = renamed(&statement, &source, target, &encoding);
            if setting && !hinders {
                early.push((entry.display(), sql));
            } else {
                late.push((entry.display(), sql));
            }
        }
    }
    (early, late)
}

/// The encoding of a dump, whose every text is in it: `SET client_encoding = 'LATIN1';`
fn encoding(entries: &[Entry]) -> String {
    let entry = entries.iter().find(|e| e.desc == "ENCODING");
    let sql = entry.map(|e| e.definition.display()).unwrap_or_default();
    let name = sql.split('\'').nth(1).unwrap_or("UTF8");
    let plain = name.chars().filter(|c| c.is_ascii_alphanumeric());
    plain.collect()
}

/// Each byte as a character of its own: what is ASCII is found in it, whatever the encoding.
fn bytewise(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The other way round.
fn bytes_of(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(c).unwrap_or(b'?'))
        .collect()
}

/// A statement of bytes in which the first `DATABASE shop` becomes `DATABASE "target"`. What is neither ASCII nor UTF-8 the server
/// reads itself, in the target.
fn renamed(statement: &str, source: &str, target: &str, encoding: &str) -> String {
    let named = [quote_ident(source), source.to_owned()];
    let cuts = named.iter().filter_map(|name| {
        let (head, tail) = statement.split_once(&format!("DATABASE {name}"))?;
        let ends = tail.chars().next().is_none_or(char::is_whitespace);
        ends.then_some((head, tail))
    });
    // What comes later is a text that speaks of it.
    let cut = cuts.min_by_key(|(head, _)| head.len());
    let (head, tail) = match cut {
        Some((head, tail)) => (format!("{head}DATABASE "), Some(tail)),
        None => (statement.to_owned(), None),
    };
    let read = |text: &str| {
        let bytes = bytes_of(text);
        match encoding == "UTF8" || bytes.is_ascii() {
            true => String::from_utf8(bytes).ok(),
            false => None,
        }
    };
    let whole = match (read(&head), tail.map(read)) {
        (Some(head), None) => Some(head),
        (Some(head), Some(Some(tail))) => Some(format!("{head}{}{tail}", quote_ident(target))),
        _ => None,
    };
    whole.unwrap_or_else(|| {
        let convert = |text: &str| {
            let hex: String = bytes_of(text).iter().map(|b| format!("{b:02x}")).collect();
            format!("pg_catalog.convert_from(pg_catalog.decode('{hex}', 'hex'), '{encoding}')")
        };
        let tail = tail.map(|tail| {
            let name = "pg_catalog.quote_ident(pg_catalog.current_database())";
            format!(" || {name} || {}", convert(tail))
        });
        let (head, tail) = (convert(&head), tail.unwrap_or_default());
        format!("DO $$ BEGIN EXECUTE {head}{tail}; END $$")
    })
}

/// Statements that end in `;`, which counts outside of quotes only.
fn split(sql: &str) -> Vec<String> {
    let (mut all, mut one, mut quote) = (Vec::new(), String::new(), None);
    for c in sql.chars() {
        match (quote, c) {
            (None, ';') => {
                all.push(std::mem::take(&mut one));
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if c == q => quote = None,
            _ => {}
        }
        one.push(c);
    }
    all.push(one);
    let trimmed = all.iter().map(|s| s.trim().to_owned());
    trimmed.filter(|s| !s.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_marks_its_table_is_known_by_it() {
        let clustered =
            "CREATE INDEX a ON public.t USING btree (a);\n\nALTER TABLE public.t CLUSTER ON a;\n";
        let identity = "CREATE UNIQUE INDEX b ON public.t USING btree (b);\n\nALTER TABLE ONLY public.t REPLICA IDENTITY USING INDEX b;\n";
        for sql in [clustered, identity] {
            let found = marked("INDEX", sql.as_bytes());
            assert_eq!(found.as_deref(), Some("public.t"));
        }
        let plain = "CREATE INDEX c ON public.t USING btree (c);\n";
        assert_eq!(marked("INDEX", plain.as_bytes()), None);
        assert_eq!(marked("CONSTRAINT", clustered.as_bytes()), None);
    }

    #[test]
    fn g16_statements_of_the_database_are_told_apart_and_renamed() {
        let sql = "ALTER DATABASE shop SET work_mem TO 'a;b''c';\nALTER ROLE x IN DATABASE shop SET a TO '1';\n";
        let all = split(sql);
        assert_eq!(all.len(), 2, "{all:?}");
        let utf8 = |sql: &str, source| renamed(sql, source, "new", "UTF8");
        assert_eq!(
            utf8(&all[0], "shop"),
            "ALTER DATABASE \"new\" SET work_mem TO 'a;b''c'"
        );
        assert_eq!(
            utf8(&all[1], "shop"),
            "ALTER ROLE x IN DATABASE \"new\" SET a TO '1'"
        );
        assert_eq!(
            utf8("GRANT ALL ON DATABASE \"sh\"\"op\" TO a", "sh\"op"),
            "GRANT ALL ON DATABASE \"new\" TO a"
        );
        assert_eq!(
            utf8(
                "COMMENT ON DATABASE shop IS 'copy of DATABASE \"shop\" of May'",
                "shop"
            ),
            "COMMENT ON DATABASE \"new\" IS 'copy of DATABASE \"shop\" of May'"
        );
        let comment = bytewise("COMMENT ON DATABASE \"straße\" IS 'für Ä';".as_bytes());
        assert_eq!(
            utf8(&comment, &bytewise("straße".as_bytes())),
            "COMMENT ON DATABASE \"new\" IS 'für Ä';"
        );
        assert_eq!(
            renamed(
                "COMMENT ON DATABASE shop IS '\u{e4}'",
                "shop",
                "new",
                "LATIN1"
            ),
            "DO $$ BEGIN EXECUTE pg_catalog.convert_from(pg_catalog.decode('434f4d4d454e54204f4e20444154414241534520', 'hex'), 'LATIN1') \
             || pg_catalog.quote_ident(pg_catalog.current_database()) \
             || pg_catalog.convert_from(pg_catalog.decode('2049532027e427', 'hex'), 'LATIN1'); END $$"
        );
    }

    #[test]
    fn a_membership_is_read_whatever_its_names_hold() {
        let odd = "GRANT \"a\"\" TO \"\"b\" TO \"c \"\"\" WITH ADMIN FALSE";
        assert_eq!(membership(odd), Some(("\"a\"\" TO \"\"b\"", "\"c \"\"\"")));
        assert_eq!(membership("GRANT \"a\""), None);
        assert_eq!(membership("GRANT a TO \"b\""), None);
    }

    #[test]
    fn g17_a_role_that_exists_is_left_alone_and_in_a_scratch_server_all_are_as_they_were() {
        let globals = "-- words\nCREATE ROLE \"a\";\nALTER ROLE \"a\" WITH INHERIT LOGIN;\nALTER ROLE \"a\" WITH PASSWORD 'md5';\n\
            CREATE ROLE \"post\";\nALTER ROLE \"post\" WITH INHERIT NOLOGIN;\nALTER ROLE \"post\" WITH CREATEDB;\nALTER ROLE \"a\" SET \"work_mem\" TO '1MB';\nGRANT \"post\" TO \"a\";\nGRANT \"a\" TO \"post\" WITH ADMIN OPTION;\n";
        let there = BTreeSet::from(["\"post\"".to_owned()]);
        let sql = |list: &Statements| list.iter().map(|(_, s)| s.clone()).collect::<Vec<_>>();
        let made = role_statements(globals, Roles::Create, &there);
        assert_eq!(made.there, ["\"post\""]);
        let RoleStatements { now, late, .. } = made;
        assert_eq!(
            sql(&now),
            [
                "CREATE ROLE \"a\"",
                "ALTER ROLE \"a\" WITH INHERIT LOGIN",
                "ALTER ROLE \"a\" WITH PASSWORD 'md5'",
                "GRANT \"post\" TO \"a\""
            ]
        );
        assert_eq!(sql(&late), ["ALTER ROLE \"a\" SET \"work_mem\" TO '1MB'"]);
        let RoleStatements { now, .. } = role_statements(globals, Roles::Scratch, &there);
        assert_eq!(
            sql(&now),
            [
                "CREATE ROLE \"a\"",
                "ALTER ROLE \"a\" WITH INHERIT LOGIN",
                "ALTER ROLE \"post\" WITH INHERIT LOGIN",
                "ALTER ROLE \"post\" WITH CREATEDB",
                "GRANT \"post\" TO \"a\"",
                "GRANT \"a\" TO \"post\" WITH ADMIN OPTION"
            ]
        );
    }
}
