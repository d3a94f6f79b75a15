//! Names of objects: as bytes of the database's encoding where they are kept, as UTF-8 where they
//! stand in a statement (G6).

use super::error::PgError;
use crate::api::Reason;

/// Every table of ours: kinds `r` and `p` outside pg_catalog, pg_toast and the temporary schemas,
/// those of extensions included (G1). Tables that initdb made in information_schema hold nothing
/// of a user's.
pub(super) const TABLES_WHERE: &str = "\
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
      AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_' \
      AND NOT (n.nspname = 'information_schema' AND c.oid < 16384)";

/// A name of the catalogue as it can stand in a statement: in UTF-8, or in raw bytes where the
/// database has no encoding.
pub(super) fn statement_bytes(column: &str) -> String {
    format!(
        "pg_catalog.convert_to({column}::text, CASE WHEN pg_catalog.getdatabaseencoding() IN ('SQL_ASCII', 'MULE_INTERNAL') \
         THEN pg_catalog.getdatabaseencoding() ELSE 'UTF8' END)"
    )
}

/// The quoted, qualified name in UTF-8, or in raw bytes where the database has no encoding.
pub(super) const NAME_BYTES: &str = "\
    pg_catalog.convert_to(pg_catalog.format('%I.%I', n.nspname, c.relname), \
      CASE WHEN pg_catalog.getdatabaseencoding() IN ('SQL_ASCII', 'MULE_INTERNAL') \
           THEN pg_catalog.getdatabaseencoding() ELSE 'UTF8' END)";

/// A quoted name as text that can stand in a statement.
pub(super) fn text_of(bytes: &[u8]) -> Result<String, PgError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        PgError::never(
            Reason::QueryFailed,
            format!(
                "the name {} is not valid UTF-8, in a database without an encoding (SQL_ASCII): Lifeboat cannot name such a table or column in a statement yet; rename it",
                String::from_utf8_lossy(bytes)
            ),
        )
    })
}

/// Quotes an identifier, always.
pub(super) fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes an identifier for a session that speaks the server's own encoding (G14). The statement is
/// UTF-8, so what is not ASCII is written out in numbers, unless the server takes bytes as they are.
pub(super) fn raw_ident(name: &str, encoding: &str) -> String {
    if name.is_ascii() || matches!(encoding, "UTF8" | "SQL_ASCII" | "MULE_INTERNAL") {
        return quote_ident(name);
    }
    let mut out = String::from("U&\"");
    for c in name.chars() {
        match c {
            '"' => out.push_str("\"\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_ascii() => out.push(c),
            c => out.push_str(&format!("\\+{:06x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Quotes a literal, on one line: a backslash or a line's end makes it an escape string.
pub(super) fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains(['\\', '\n', '\r']) {
        let escaped = quoted.replace('\\', "\\\\");
        format!("E'{}'", escaped.replace('\n', "\\n").replace('\r', "\\r"))
    } else {
        format!("'{quoted}'")
    }
}

/// One word of a command that can be pasted into a shell.
#[must_use]
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_one_word_to_a_shell() {
        for word in [
            "s3://shop/a?endpoint=https://minio:9000&region=x",
            "it's",
            "a b",
            "",
            "$HOME`id`\\",
            "plain-1.2",
            "*",
            "~",
            "#x",
            "!1",
        ] {
            let script = format!("printf %s {}", shell_word(word));
            let mut shell = std::process::Command::new("sh");
            let said = shell.arg("-c").arg(&script).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&said.stdout), word, "{script}");
        }
        assert_eq!(shell_word("s3://shop/prod"), "s3://shop/prod");
    }

    #[test]
    fn g15_a_literal_stands_on_one_line() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b\n'c"), "E'a\\\\b\\n''c'");
    }

    #[test]
    fn g14_a_name_is_ascii_where_the_session_speaks_another_encoding() {
        assert_eq!(raw_ident("a\"é", "UTF8"), "\"a\"\"é\"");
        assert_eq!(raw_ident("a\\", "LATIN1"), "\"a\\\"");
        assert_eq!(raw_ident("a\"\\é", "LATIN1"), "U&\"a\"\"\\\\\\+0000e9\"");
    }
}
