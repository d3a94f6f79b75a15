//! Files that keep both ways together, and the layouts of other tools, on samples of our own.

use lifeboat::sql::lint::lint;
use lifeboat::sql::{Context, File, order};
use rstest::rstest;

/// Of each part: whether it leads back, its segments, and the beginnings of its statements.
fn parts(name: &str, sql: &str) -> Vec<(bool, usize, String)> {
    let parts = File::parts(name, sql.as_bytes());
    let told = parts.iter().map(|file| {
        assert!(!file.refused(), "{:?}", file.refusal());
        let texts = file.statements.iter().map(|s| {
            // Where it stands in the file is where it stood before it was cut.
            assert_eq!(file.text[s.span.clone()], s.text);
            s.text
                .split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" ")
        });
        (
            file.down,
            file.segments.len(),
            texts.collect::<Vec<_>>().join("; "),
        )
    });
    told.collect()
}

const UP: &str = "CREATE TABLE app.t (a int);\nCREATE INDEX t_a ON app.t (a);\n";
const DOWN: &str = "DROP TABLE app.t;\n";

#[rstest]
#[case::goose("-- +goose Up\n{up}\n-- +goose Down\n{down}")]
#[case::goose_with_ends(
    "-- a word before\n-- +goose Up\n-- +goose StatementBegin\n{up}-- +goose StatementEnd\n\n-- +goose Down\n-- +goose StatementBegin\n{down}-- +goose StatementEnd\n"
)]
#[case::goose_in_small_letters("--+goose up\n{up}\n--+goose down\n{down}")]
#[case::dbmate("-- migrate:up\n{up}\n-- migrate:down\n{down}")]
#[case::sql_migrate("-- +migrate Up\n{up}\n-- +migrate Down\n{down}")]
#[case::tern("{up}\n---- create above / drop below ----\n{down}")]
#[case::with_carriage_returns("-- +goose Up\r\n{up}\r\n-- +goose Down\r\n{down}")]
fn the_way_up_is_the_migration_and_the_way_down_its_way_back(#[case] text: &str) {
    let sql = text.replace("{up}", UP).replace("{down}", DOWN);
    let want = [
        (false, 1, "CREATE TABLE app.t; CREATE INDEX t_a".to_owned()),
        (true, 1, "DROP TABLE app.t".to_owned()),
    ];
    assert_eq!(parts("1_a.sql", &sql), want);
    // Read as one part, it is the one that is run.
    assert_eq!(File::read("1_a.sql", sql.as_bytes()).statements.len(), 2);
    let files = File::parts("1_a.sql", sql.as_bytes());
    let report = lint(&files, &Context::default(), &[]);
    let told: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.rule.id(), f.level.as_str(), f.down))
        .collect();
    assert_eq!(told, [("LB201", "warn", true)]);
    assert_eq!((report.counts.files, report.counts.statements), (1, 3));
}

#[rstest]
#[case::goose_for_both("-- +goose NO TRANSACTION\n-- +goose Up\n{up}\n-- +goose Down\n{down}{down}", [2, 2])]
#[case::dbmate_up("-- migrate:up transaction:false\n{up}\n-- migrate:down\n{down}{down}", [2, 1])]
#[case::dbmate_down("-- migrate:up\n{up}\n-- migrate:down transaction:false\n{down}{down}", [1, 2])]
#[case::dbmate_in_one("-- migrate:up transaction:true\n{up}\n-- migrate:down\n{down}{down}", [1, 1])]
#[case::sql_migrate("-- +migrate Up notransaction\n{up}\n-- +migrate Down\n{down}{down}", [2, 1])]
#[case::tern("---- tern: disable-tx ----\n{up}\n---- create above / drop below ----\n{down}{down}", [2, 2])]
fn without_a_transaction_each_statement_has_one_of_its_own(
    #[case] text: &str,
    #[case] segments: [usize; 2],
) {
    let sql = text
        .replace("{up}", UP)
        .replace("{down}", "DROP TABLE app.t;\n");
    let found: Vec<usize> = parts("1_a.sql", &sql).iter().map(|p| p.1).collect();
    assert_eq!(found, segments);
}

#[rstest]
#[case::sqlx("-- no-transaction\n{up}", 2)]
#[case::sqlx_not_first("\n-- no-transaction\n{up}", 1)]
#[case::atlas("-- atlas:txmode none\n\n{up}", 2)]
#[case::atlas_file("-- atlas:txmode file\n-- atlas:nolint DS103\n{up}", 1)]
#[case::no_mark("-- goose Up\n-- up\n-- down\n{up}", 1)]
#[case::in_a_text("COMMENT ON TABLE t IS '\n-- +goose Down\n';{up}", 1)]
#[case::prose("{up}-- what goes down must come up\nSELECT 1;", 1)]
#[case::nothing_after("{up}-- down\n", 1)]
#[case::behind_a_statement("SELECT 1; -- +goose Down\n{up}", 1)]
#[case::in_a_body(
    "CREATE FUNCTION app.f() RETURNS void LANGUAGE plpgsql AS $$\n-- migrate:down\nBEGIN END $$;",
    1
)]
fn what_is_no_mark_of_two_parts_parts_nothing(#[case] text: &str, #[case] segments: usize) {
    let found = parts("1_a.sql", &text.replace("{up}", UP));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, segments);
}

#[test]
fn a_way_down_without_a_statement_is_none() {
    let sql = format!("-- migrate:up\n{UP}\n-- migrate:down\n\n-- nothing\n");
    assert_eq!(parts("1_a.sql", &sql).len(), 1);
}

#[rstest]
#[case::indented(
    "-- migrate:up\nCREATE TABLE t (a int);\n  -- migrate:down\nDROP TABLE t;",
    "begins its line"
)]
#[case::another_tool(
    "-- Up Migration\nCREATE TABLE t (a int);\n-- Down Migration\nDROP TABLE t;",
    "looks like the mark of a way back"
)]
#[case::undo(
    "CREATE TABLE t (a int);\n-- //@UNDO\nDROP TABLE t;",
    "looks like the mark of a way back"
)]
#[case::of_play(
    "-- !Ups\nCREATE TABLE t (a int);\n/* !Downs */\nDROP TABLE t;",
    "looks like the mark of a way back"
)]
#[case::before(
    "CREATE TABLE t (a int);\n-- +goose Up\nSELECT 1;",
    "before the mark of goose"
)]
#[case::twice("-- migrate:up\nSELECT 1;\n-- migrate:up\nSELECT 2;", "stands twice")]
#[case::order(
    "-- +migrate Down\nSELECT 1;\n-- +migrate Up\nSELECT 2;",
    "before the way up"
)]
#[case::down_alone("-- +goose Down\nDROP TABLE t;", "no mark where the way up begins")]
#[case::two_tools(
    "-- +goose Up\nSELECT 1;\n-- migrate:down\nSELECT 2;",
    "marks of goose and of dbmate"
)]
#[case::variables(
    "-- +goose ENVSUB ON\n-- +goose Up\nSELECT 1;",
    "variables of the environment"
)]
#[case::unknown(
    "-- +goose Sideways\n-- +goose Up\nSELECT 1;",
    "goose has no such mark"
)]
#[case::option("-- migrate:up env:THEME\nSELECT 1;", "`env:THEME` is not known")]
#[case::checkpoint("-- atlas:checkpoint\nSELECT 1;", "directive of Atlas")]
#[case::delimiter("-- atlas:delimiter \\n\\n\nSELECT 1;", "directive of Atlas")]
fn a_mark_that_is_not_followed_is_refused_by_name(#[case] sql: &str, #[case] want: &str) {
    let file = File::read("1_a.sql", sql.as_bytes());
    let refusal = file.refusal().unwrap_or_default();
    assert!(refusal.contains(want), "{refusal}");
}

/// Flyway puts values into texts too; elsewhere such a text is a text.
#[rstest]
#[case("V1__a.sql", "INSERT INTO t VALUES ('${owner}')", true)]
#[case("R__a.sql", "ALTER TABLE t OWNER TO \"${owner}\"", true)]
#[case(
    "V1__a.sql",
    "-- ${owner}\nINSERT INTO t VALUES ('$ {a}', '{b}')",
    false
)]
#[case("1_a.sql", "INSERT INTO t VALUES ('${owner}')", false)]
fn a_placeholder_of_flyway_is_refused(
    #[case] name: &str,
    #[case] sql: &str,
    #[case] refused: bool,
) {
    let refusal = File::read(name, sql.as_bytes()).refusal();
    let told = refusal.is_some_and(|r| r.contains("placeholder of Flyway"));
    assert_eq!(told, refused);
}

#[rstest]
#[case::supabase("20261130120000_orders.sql", &[20_261_130_120_000], false)]
#[case::atlas("20261130120000_orders.sql", &[20_261_130_120_000], false)]
#[case::goose("00007_orders.sql", &[7], false)]
#[case::tern("007_orders.sql", &[7], false)]
#[case::sqlx("20261130120000_orders.up.sql", &[20_261_130_120_000], false)]
#[case::sqlx_down("20261130120000_orders.down.sql", &[20_261_130_120_000], true)]
#[case::golang_migrate("000007_orders.up.sql", &[7], false)]
#[case::golang_migrate_down("000007_orders.down.sql", &[7], true)]
#[case::flyway("V1.10__orders.sql", &[1, 10], false)]
#[case::flyway_undo("U1.10__orders.sql", &[1, 10], true)]
#[case::flyway_repeatable("R__views.sql", &[], false)]
#[case::prisma("prisma/migrations/20261130120000_orders/migration.sql", &[20_261_130_120_000], false)]
#[case::prisma_down("20261130120000_orders/down.sql", &[20_261_130_120_000], true)]
#[case::hasura("1700000000000_orders/up.sql", &[1_700_000_000_000], false)]
#[case::diesel("2026-11-30-120000_orders/up.sql", &[20_261_130_120_000], false)]
#[case::no_version("baseline/migration.sql", &[], false)]
fn a_name_says_its_version(#[case] name: &str, #[case] numbers: &[u128], #[case] down: bool) {
    let version = order::version(name);
    assert_eq!((version.numbers.as_slice(), version.down), (numbers, down));
}

#[test]
fn a_dump_of_rails_is_no_migration() {
    let file = File::read(
        "db/structure.sql",
        b"SET statement_timeout = 0;\nCREATE TABLE public.t (a int);",
    );
    let report = lint(&[file], &Context::default(), &[]);
    let told: Vec<&str> = report.findings.iter().map(|f| f.message.as_str()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("Rails"), "{told:?}");
}
