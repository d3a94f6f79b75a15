//! The lint on whole files: a table of statements with the rules that they meet, what context and acknowledgements
//! change, bad input, and that documents and rules are the same set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "lint/marks.rs"]
mod marks;
#[path = "lint/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lifeboat::sql::lint::{NotNull, Table, lint};
use lifeboat::sql::{
    Acknowledgement, Class, Context, File, Level, Lone, Name, Report, Rule, SegmentKind,
};
use rstest::rstest;

fn read(sql: &str) -> File {
    File::read("1_a.sql", sql.as_bytes())
}

fn run(sql: &str) -> Report {
    lint(&[read(sql)], &Context::default(), &[])
}

/// `LB101`, with its level where that is not the rule's own.
fn told(report: &Report) -> String {
    let one = |f: &lifeboat::sql::Finding| {
        if f.level == f.rule.level() {
            f.rule.id().to_owned()
        } else {
            format!("{}={}", f.rule, f.level)
        }
    };
    report
        .findings
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Blocks of `=== what it is: rules` and SQL.
fn cases() -> Vec<(&'static str, &'static str, &'static str)> {
    let text = include_str!("lint/cases.txt");
    let blocks = text.split("\n=== ").skip(1);
    let cases = blocks.map(|block| {
        let (head, sql) = block.split_once('\n').unwrap_or((block, ""));
        let (what, rules) = head
            .split_once(": ")
            .unwrap_or((head.trim_end_matches(':'), ""));
        (what, rules, sql)
    });
    cases.collect()
}

#[test]
fn every_statement_meets_its_rules_and_no_other() {
    let all = cases();
    assert!(all.len() >= 150, "only {} cases", all.len());
    let differ = all.iter().filter_map(|(what, want, sql)| {
        let got = told(&run(sql));
        (got != *want).then(|| format!("=== {what}: {got}\n    not {want}\n{sql}"))
    });
    let differ: Vec<String> = differ.collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    let met: BTreeSet<&str> = all
        .iter()
        .flat_map(|(_, want, _)| want.split(' '))
        .map(|w| w.split('=').next().unwrap())
        .collect();
    let unmet: Vec<&Rule> = Rule::ALL.iter().filter(|r| !met.contains(r.id())).collect();
    assert!(unmet.is_empty(), "no case for {unmet:?}");
}

#[test]
fn rules_pages_and_index_are_the_same_set() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lint");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let files = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    let pages: BTreeSet<String> = files.filter(|f| f.starts_with("LB")).collect();
    let rules: BTreeSet<String> = Rule::ALL.iter().map(|r| format!("{r}.md")).collect();
    assert_eq!(pages, rules);
    for rule in Rule::ALL {
        let row = format!(
            "| [{rule}]({rule}.md) | {} | {} |",
            rule.level(),
            rule.title()
        );
        assert!(index.contains(&row), "docs/lint/README.md lacks:\n{row}");
        let head = format!("# {rule}: {}\n", rule.title());
        assert!(
            rule.page().starts_with(&head),
            "{rule} begins not with {head}"
        );
        assert!(
            rule.page().contains("## Instead"),
            "{rule} says not what to write"
        );
    }
    assert_eq!(index.matches("\n| [LB").count(), Rule::ALL.len());
}

#[test]
fn a_file_is_cut_into_segments_and_says_what_stands_after_each() {
    let file = read(
        "CREATE TABLE a (i int);\nALTER TYPE e ADD VALUE 'x';\nSELECT 1; SELECT 2;\nCREATE INDEX CONCURRENTLY i ON a (i);\nVACUUM a;\nSELECT 3",
    );
    let cut: Vec<_> = file
        .segments
        .iter()
        .map(|s| (s.kind, s.statements.clone(), s.then.as_str()))
        .collect();
    use SegmentKind::{Lone as Alone, Transaction as Tx};
    let want = [
        (Tx, 0..1, "statement 1 stands, 6 to come"),
        (Tx, 1..2, "statements 1 to 2 stand, 5 to come"),
        (Tx, 2..4, "statements 1 to 4 stand, 3 to come"),
        (Alone, 4..5, "statements 1 to 5 stand, 2 to come"),
        (Alone, 5..6, "statements 1 to 6 stand, 1 to come"),
        (Tx, 6..7, "all 7 statements are applied"),
    ];
    assert_eq!(cut, want);
    assert_eq!(
        file.statements[4].class,
        Class::Lone(Lone::CreateIndexConcurrently)
    );
    assert_eq!(file.statements[3].text, "SELECT 2");
    assert_eq!(
        (file.statements[3].at.line, file.statements[3].at.column),
        (3, 11)
    );
    for statement in &file.statements {
        assert_eq!(file.text[statement.span.clone()], statement.text);
        assert_eq!(statement.sha256.len(), 64);
    }
    assert_eq!(
        read("SELECT 1;").statements[0].sha256,
        read("SELECT 1").statements[0].sha256
    );
}

fn with(rows: u64, partitioned: bool, row_security: bool) -> Context {
    let table = Table {
        rows,
        pages: rows / 50,
        partitioned,
        row_security,
        ..Table::default()
    };
    Context {
        server_major: Some(14),
        tables: [(Name::new(Some("public"), "t"), table)].into(),
        ..Context::default()
    }
}

#[rstest]
#[case::small("CREATE INDEX i ON t (a)", with(900, false, false), "LB101=warn")]
#[case::large("CREATE INDEX i ON t (a)", with(900_000, false, false), "LB101")]
#[case::partitioned("CREATE INDEX i ON ONLY t (a)", with(900_000, true, false), "")]
#[case::partitioned_all("CREATE INDEX i ON t (a)", with(900_000, true, false), "LB101")]
#[case::partitioned_concurrently(
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    with(9, true, false),
    "LB101"
)]
#[case::small_not_null(
    "ALTER TABLE t ALTER a SET NOT NULL",
    with(900, false, false),
    "LB109=warn"
)]
#[case::small_drop("DROP TABLE t", with(1, false, false), "LB201")]
#[case::small_update("UPDATE t SET a = 1", with(1, false, false), "LB126=info")]
#[case::no_row_security("CREATE VIEW app.v AS SELECT * FROM t", with(1, false, false), "")]
#[case::row_security("CREATE VIEW app.v AS SELECT * FROM t", with(1, false, true), "LB404")]
#[case::type_known(
    "ALTER TABLE t ALTER a TYPE varchar(20)",
    typed("character varying(10)"),
    ""
)]
#[case::type_known_and_shorter(
    "ALTER TABLE t ALTER a TYPE varchar(5)",
    typed("character varying(10)"),
    "LB112"
)]
#[case::type_known_to_text("ALTER TABLE t ALTER a TYPE text", typed("integer"), "LB112")]
#[case::type_known_to_be_the_same("ALTER TABLE t ALTER a TYPE bigint", typed("bigint"), "")]
#[case::not_null_already("ALTER TABLE t ALTER a SET NOT NULL", typed("integer"), "")]
#[case::not_null_of_another("ALTER TABLE t ALTER b SET NOT NULL", typed("integer"), "LB109")]
#[case::stable_function("ALTER TABLE t ADD COLUMN c int DEFAULT app.f()", typed("integer"), "")]
#[case::other_function(
    "ALTER TABLE t ADD COLUMN c int DEFAULT app.g()",
    typed("integer"),
    "LB111"
)]
#[case::domain_with_check("ALTER TABLE t ADD COLUMN c app.d", typed("integer"), "LB111")]
#[case::domain_without("ALTER TABLE t ADD COLUMN c app.e", typed("integer"), "")]
#[case::validated_before(
    "ALTER TABLE t VALIDATE CONSTRAINT k; ALTER TABLE t ALTER z SET NOT NULL",
    typed("integer"),
    ""
)]
#[case::no_default_partition(
    "CREATE TABLE app.c PARTITION OF t FOR VALUES IN (1)",
    with(9, true, false),
    ""
)]
#[case::large_default_partition(
    "CREATE TABLE app.c PARTITION OF t FOR VALUES IN (1)",
    default_of(900_000),
    "LB114=block"
)]
#[case::small_default_partition(
    "CREATE TABLE app.c PARTITION OF t FOR VALUES IN (1)",
    default_of(9),
    "LB114"
)]
#[case::computed_on_17("ALTER TABLE t ALTER a SET EXPRESSION AS (b)", on(17), "LB119")]
#[case::if_not_exists(
    "CREATE TABLE IF NOT EXISTS app.t (a int); CREATE INDEX i ON t (a)",
    with(900_000, false, false),
    "LB101"
)]
fn the_catalogue_says_how_bad_it_is(
    #[case] sql: &str,
    #[case] context: Context,
    #[case] want: &str,
) {
    assert_eq!(told(&lint(&[read(sql)], &context, &[])), want);
}

fn on(major: u16) -> Context {
    Context {
        server_major: Some(major),
        ..Context::default()
    }
}

fn default_of(rows: u64) -> Context {
    let mut context = with(900_000, true, false);
    for table in context.tables.values_mut() {
        table.default_rows = Some(rows);
    }
    context
}

/// A large table whose column `a` is of a type, and not null.
fn typed(of: &str) -> Context {
    let table = Name::new(Some("public"), "t");
    let check = |constraint: &str, column: &str, valid| NotNull {
        table: table.clone(),
        constraint: constraint.to_owned(),
        columns: vec![column.to_owned()],
        valid,
    };
    Context {
        steady: [Name::new(Some("app"), "f")].into(),
        constrained: [Name::new(Some("app"), "d")].into(),
        not_null: vec![check("", "a", true), check("k", "z", false)],
        types: [((table.clone(), "a".to_owned()), of.to_owned())].into(),
        ..with(900_000, false, false)
    }
}

fn acknowledgement(rule: Rule, object: Option<&str>, file: Option<&str>) -> Acknowledgement {
    Acknowledgement {
        rule,
        object: object.map(str::to_owned),
        file: file.map(str::to_owned),
        reason: "unused since v41".to_owned(),
    }
}

#[rstest]
#[case::object(
    "ALTER TABLE orders DROP COLUMN legacy",
    acknowledgement(Rule::Lb202, Some("public.orders.legacy"), None),
    true
)]
#[case::other(
    "ALTER TABLE orders DROP COLUMN legacy",
    acknowledgement(Rule::Lb202, Some("app.orders.legacy"), None),
    false
)]
#[case::other_rule(
    "ALTER TABLE orders DROP COLUMN legacy",
    acknowledgement(Rule::Lb201, Some("orders.legacy"), None),
    false
)]
#[case::file(
    "ALTER SYSTEM SET a = b; ",
    acknowledgement(Rule::Lb401, None, Some("1_a.sql")),
    false
)]
#[case::in_file(
    "ALTER DATABASE d SET a = b",
    acknowledgement(Rule::Lb401, None, Some("1_a.sql")),
    true
)]
#[case::nothing(
    "ALTER DATABASE d SET a = b",
    acknowledgement(Rule::Lb401, None, None),
    false
)]
#[case::never("BEGIN", acknowledgement(Rule::Lb127, None, Some("1_a.sql")), false)]
#[case::unreadable("SELEC", acknowledgement(Rule::Lb410, None, Some("1_a.sql")), false)]
fn an_acknowledgement_takes_what_it_names(
    #[case] sql: &str,
    #[case] entry: Acknowledgement,
    #[case] passes: bool,
) {
    let report = lint(
        &[read(sql)],
        &Context::default(),
        std::slice::from_ref(&entry),
    );
    assert_eq!(report.blocks(), !passes, "{report:?}");
    let used = report.findings.iter().any(|f| f.acknowledged.is_some());
    assert_eq!(report.unused.is_empty(), used);
}

#[test]
fn what_one_file_makes_is_new_for_the_next_but_not_for_the_way_back() {
    let up = File::read("1_a.sql", b"CREATE TABLE app.t (a int)");
    let next = File::read("2_b.sql", b"CREATE INDEX i ON app.t (a)");
    let down = File::read("1_a.sql.down", b"DROP TABLE app.t");
    assert!(down.down);
    let report = lint(&[up.clone(), next, down], &Context::default(), &[]);
    assert_eq!(told(&report), "LB201=warn");
    let column = File::read("1_a.sql.down", b"ALTER TABLE app.t DROP COLUMN a");
    let report = lint(&[column], &Context::default(), &[]);
    assert_eq!(told(&report), "LB202=warn");
    let database = File::read("1_a.sql.down", b"DROP DATABASE shop");
    let report = lint(&[database], &Context::default(), &[]);
    assert_eq!(told(&report), "LB105 LB204", "no way back has to do that");
    let upwards = File::read("1_a.down.sql", b"DROP TABLE app.t");
    assert_eq!(
        told(&lint(&[up, upwards], &Context::default(), &[])),
        "LB201=warn LB410"
    );
}

#[test]
fn a_check_its_validation_and_set_not_null_may_stand_in_files_of_their_own() {
    let file = |name: &str, sql: &str| File::read(name, sql.as_bytes());
    let add = file(
        "1_a.sql",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID",
    );
    let validate = file("2_b.sql", "ALTER TABLE t VALIDATE CONSTRAINT c");
    let set = file("3_c.sql", "ALTER TABLE t ALTER COLUMN a SET NOT NULL");
    let dropped = file("2_d.sql", "ALTER TABLE t DROP CONSTRAINT c");
    let run = |files: &[File]| told(&lint(files, &Context::default(), &[]));
    assert_eq!(run(&[add.clone(), validate.clone(), set.clone()]), "");
    assert_eq!(run(&[add.clone(), set.clone()]), "LB109");
    assert_eq!(run(&[validate.clone(), set.clone()]), "LB109");
    let gone = [add, validate, dropped, set];
    assert!(run(&gone).ends_with("LB109"), "{}", run(&gone));
}

#[rstest]
#[case::bom(b"\xEF\xBB\xBFSELECT 1".as_slice(), "byte order mark")]
#[case::latin(b"SELECT '\xE4'".as_slice(), "not UTF-8: byte 8 is 0xe4")]
#[case::nul(b"SELECT 1;\0".as_slice(), "NUL")]
#[case::syntax(b"SELECT 1;\nSELECT FROM WHERE;".as_slice(), "syntax error")]
#[case::empty(b"".as_slice(), "no statement")]
fn what_cannot_be_read_is_refused_with_the_reason(#[case] bytes: &[u8], #[case] want: &str) {
    let file = File::read("1_a.sql", bytes);
    assert!(file.refused());
    let report = lint(&[file], &Context::default(), &[]);
    assert!(report.blocks());
    let all: Vec<&str> = report.findings.iter().map(|f| f.message.as_str()).collect();
    assert!(all.iter().any(|m| m.contains(want)), "{all:?}");
}

/// Whatever is nested, and however long it is: a finding, and neither a panic nor the end of the stack.
#[rstest]
#[case::brackets("select ", "(", 400_000)]
#[case::brackets_in_a_body(
    "create function f() returns int language sql as $$ select ",
    "(",
    400_000
)]
#[case::subscripts("select a", "[1]", 100_000)]
#[case::sums("select 1", "+1", 100_000)]
#[case::cases("select ", "case when ", 50_000)]
#[case::nots("select ", "not ", 100_000)]
#[case::unions("select 1, 2", " union select 1, 2", 20_000)]
#[case::comments("", "/*", 400_000)]
#[case::megabytes("", "(", 5_000_000)]
fn a_bomb_is_refused(#[case] before: &str, #[case] part: &str, #[case] times: usize) {
    let file = read(&format!("{before}{}", part.repeat(times)));
    assert!(file.refused());
    assert!(
        run(&file.text)
            .findings
            .iter()
            .all(|f| f.level <= Level::Block)
    );
}

#[test]
fn all_files_together_are_bounded() {
    let half = format!("SELECT '{}'", "x".repeat(500 * 1024));
    let files = [
        File::read("1_a.sql", half.as_bytes()),
        File::read("2_b.sql", half.as_bytes()),
    ];
    // A folder with a history of years is no run.
    assert_eq!(told(&lint(&files, &Context::default(), &[])), "");
    let context = Context {
        most_bytes: Some(lifeboat::sql::MOST_BYTES),
        ..Context::default()
    };
    let report = lint(&files, &context, &[]);
    assert_eq!(told(&report), "LB410");
    assert!(
        report.findings[0].message.contains("in 2 files"),
        "{report:?}"
    );
}
