//! Values of generated columns, which no dump holds and a restore computes anew (G21); and tables on which no query can be planned.

use lifeboat::api::restore_drill::Verdict;
use rstest::rstest;

use crate::drills::shown;
use crate::left_out::{backup, contents, drilled, not_proven, proven};

const TABLE: &str = "\
    CREATE FUNCTION public.rate() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 19'; \
    CREATE TABLE public.bills (id int PRIMARY KEY, note text, net int, \
        gross int GENERATED ALWAYS AS (net + net * public.rate() / 100) STORED, \
        loud text GENERATED ALWAYS AS (upper(note)) STORED, paid bool); \
    INSERT INTO public.bills VALUES (1, E'a\\tb\\nc\\\\d', 100, DEFAULT, DEFAULT, true), (2, NULL, 200, DEFAULT, DEFAULT, NULL); ";
const CHANGED: &str =
    "CREATE OR REPLACE FUNCTION public.rate() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 16'; ";

/// G21: a row that was written by another expression comes back with another value; to write it again mends it.
#[rstest]
#[case::untouched("", true)]
#[case::changed_since(CHANGED, false)]
#[case::written_again(&format!("{CHANGED} UPDATE public.bills SET net = net;"), true)]
#[tokio::test(flavor = "multi_thread")]
async fn g21_generated_values_that_a_restore_computes_otherwise_are_never_proven_in_silence(
    #[case] sql: &str,
    #[case] proves: bool,
    #[values(15, 17)] major: i32,
) {
    let made = backup(major, &[], &format!("{TABLE}{sql}")).await;
    let proof = drilled(&made, &[]).await;
    if proves {
        return proven(&proof);
    }
    not_proven(&proof, &["public.bills"]);
    let told = proof.not_compared.first().unwrap();
    assert!(told.contains("computed anew"), "{told}");
    let accepted = drilled(&made, &["public.bills"]).await;
    proven(&accepted);
    let contents = contents(&made).await;
    let table = contents.relations.iter().find(|r| r.generated.is_some());
    let names = |names: &Vec<lifeboat::manifest::Name>| -> Vec<String> {
        names.iter().map(|name| name.display()).collect()
    };
    let table = table.unwrap();
    assert_eq!(
        names(table.columns.as_ref().unwrap()),
        ["id", "note", "net", "paid"]
    );
    let generated = table.generated.as_ref().unwrap();
    assert_eq!(names(&generated.columns), ["gross", "loud"]);
}

/// G21, G25: partitions add up, whatever the order of their columns, and those that are loaded through their root too.
#[rstest]
#[case::untouched("", true)]
#[case::changed_since(CHANGED, false)]
#[tokio::test(flavor = "multi_thread")]
async fn g25_generated_values_of_partitions_are_compared(#[case] sql: &str, #[case] proves: bool) {
    let partitions = "\
        CREATE FUNCTION public.rate() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 19'; \
        CREATE TYPE public.kind AS ENUM ('a', 'b', 'c'); \
        CREATE TABLE public.parts (k public.kind, net int, gross int GENERATED ALWAYS AS (net * public.rate()) STORED, note text) PARTITION BY HASH (k); \
        CREATE TABLE public.part0 PARTITION OF public.parts FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
        CREATE TABLE public.part1 (note text, gross int GENERATED ALWAYS AS (net * public.rate()) STORED, net int, k public.kind); \
        ALTER TABLE public.parts ATTACH PARTITION public.part1 FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
        INSERT INTO public.parts SELECT (ARRAY['a', 'b', 'c'])[1 + n % 3]::public.kind, n, DEFAULT, 'x' FROM generate_series(1, 50) AS n; ";
    let partitions = partitions.replace("n, DEFAULT, 'x'", "n, 'x'").replace(
        "INSERT INTO public.parts SELECT",
        "INSERT INTO public.parts (k, net, note) SELECT",
    );
    let made = backup(17, &[], &format!("{partitions}{sql}")).await;
    let proof = drilled(&made, &[]).await;
    match proves {
        true => proven(&proof),
        false => not_proven(&proof, &["public.parts"]),
    }
}

/// G21: virtual columns are computed when they are read, here as there.
#[tokio::test(flavor = "multi_thread")]
async fn g21_virtual_columns_are_proven() {
    let sql = "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a + 1) VIRTUAL, c int GENERATED ALWAYS AS (a + 2) STORED); INSERT INTO t VALUES (1);";
    let made = backup(18, &[], sql).await;
    proven(&drilled(&made, &[]).await);
}

/// G30: a query on a table whose index leans on search_path cannot be planned, and pg_dump dumps it. So there is a backup; what a
/// restore says of it is true.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g30_a_table_on_which_no_query_can_be_planned_is_backed_up(#[values(15, 17)] major: i32) {
    let sql = "\
        CREATE FUNCTION public.inner_rate() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 19'; \
        CREATE FUNCTION public.rate(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 19'; \
        CREATE TABLE public.bills (net int, twice int GENERATED ALWAYS AS (2 * net) STORED); INSERT INTO public.bills VALUES (1), (2), (3); \
        CREATE INDEX by_rate ON public.bills (public.rate(net)); \
        CREATE OR REPLACE FUNCTION public.rate(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * inner_rate()';";
    let made = backup(major, &[], sql).await;
    let contents = contents(&made).await;
    let rows = contents.relations.iter().find_map(|r| r.rows);
    assert_eq!(rows, Some(3));
    let proof = drilled(&made, &[]).await;
    assert_eq!(proof.result, Verdict::Failed, "{}", shown(&proof));
    assert!(proof.message.contains("search_path"), "{}", shown(&proof));
}
