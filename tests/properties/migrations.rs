//! Laws of the room `sql`: whatever stands in a file, it is read to an end, and what is cut is what was written (M18).

use lifeboat::sql::lint::lint;
use lifeboat::sql::{Context, File};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::cases;

const PARTS: [&str; 40] = [
    "SELECT 1",
    ";",
    "CREATE TABLE t (a int)",
    "'",
    "\"",
    "$$",
    "$x$",
    "/*",
    "*/",
    "--",
    "\n",
    "(",
    ")",
    "\\copy",
    "\\.",
    "COPY t FROM stdin",
    "ALTER TABLE t ",
    "ADD COLUMN a serial",
    ",",
    "BEGIN ATOMIC",
    "END",
    "E'\\",
    "U&'",
    "ä",
    "\0",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS ",
    "squawk-ignore",
    "DROP",
    "INDEX CONCURRENTLY",
    "VALIDATE CONSTRAINT c",
    "SECURITY DEFINER",
    "SET search_path = ",
    "WITH x AS (",
    "CASE WHEN",
    "::",
    "[",
    "DO ",
    "NOT VALID",
    "UNION",
    ".",
];

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn mangled_sql_is_read_to_an_end(parts in proptest::collection::vec(select(&PARTS[..]), 0..25), space in any::<bool>()) {
        let text = parts.join(if space { " " } else { "" });
        let file = File::read("1_a.sql", text.as_bytes());
        let report = lint(std::slice::from_ref(&file), &Context::default(), &[]);
        prop_assert_eq!(file.refused(), report.findings.iter().any(|f| !f.acknowledgeable));
        let mut last = 0;
        for statement in &file.statements {
            prop_assert!(statement.span.start >= last, "{text:?}");
            prop_assert_eq!(&file.text[statement.span.clone()], statement.text.as_str());
            last = statement.span.end;
        }
        let cut: Vec<usize> = file.segments.iter().flat_map(|s| s.statements.clone()).collect();
        prop_assert_eq!(cut, (0..file.statements.len()).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let file = File::read("1_a.sql", &bytes);
        prop_assert_eq!(file.bytes, bytes.len());
        let _ = lint(&[file], &Context::default(), &[]);
    }

    /// Statements joined by semicolons come back as they were.
    #[test]
    fn what_is_joined_is_cut_again(picked in subsequence(WHOLE.to_vec(), 1..=WHOLE.len())) {
        let file = File::read("1_a.sql", picked.join(";\n-- ;\n").as_bytes());
        let cut: Vec<&str> = file.statements.iter().map(|s| s.text.as_str()).collect();
        prop_assert_eq!(cut, picked);
    }
}

const WHOLE: [&str; 9] = [
    "SELECT 'a;b', \"c;d\", E'e\\';f'",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
    "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b)",
    "DO $x$ BEGIN RAISE NOTICE '$$;'; END $x$",
    "CREATE TABLE t (a int, b text DEFAULT ';')",
    "SELECT 1 /* ; /* ; */ ; */ + 2",
    "VACUUM t",
    "INSERT INTO t VALUES (1), (2)",
    "CREATE INDEX CONCURRENTLY i ON t (a)",
];
