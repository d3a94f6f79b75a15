//! Rows that a function of somebody's own checks or makes while they are loaded: it may read another table, and a drill says what
//! becomes of that with stock tools, which load in the dump's order (P1, P10).

use lifeboat::api::restore_drill::Verdict;
use rstest::rstest;

use crate::drills::shown;
use crate::left_out::{Made, backup, drilled, proven};

/// A table with enough rows to be slower than the one that needs it, which is loaded after it in the dump's order and not before it.
const FIRST: &str = "CREATE TABLE a_first (k int, pad text); INSERT INTO a_first SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g; \
    CREATE FUNCTION known(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN EXISTS (SELECT FROM public.a_first WHERE k = $1); END';";
/// The other way round.
const LAST: &str = "CREATE TABLE z_last (k int); INSERT INTO z_last VALUES (1); \
    CREATE FUNCTION known(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN EXISTS (SELECT FROM public.z_last WHERE k <= $1); END';";

#[rstest]
#[case::check("CREATE TABLE m (a int CHECK (public.known(a)));")]
#[case::domain("CREATE DOMAIN d AS int CHECK (public.known(VALUE)); CREATE TABLE m (a d);")]
#[case::domain_of_a_domain(
    "CREATE DOMAIN d AS int CHECK (public.known(VALUE)); CREATE DOMAIN d2 AS d; CREATE TYPE c AS (x d2); CREATE TYPE r AS RANGE (subtype = d2); \
     CREATE TABLE m (a int, b d2[] DEFAULT ARRAY[20000]::d2[], c c[] DEFAULT ARRAY[ROW(20000)::c], r r DEFAULT r(20000, 20000, '[]'));"
)]
#[case::composite(
    "CREATE DOMAIN d AS int CHECK (public.known(VALUE)); CREATE TYPE c AS (x d); CREATE TABLE m (a int, c c DEFAULT ROW(20000)::c);"
)]
#[case::multirange(
    "CREATE DOMAIN d AS int CHECK (public.known(VALUE)); CREATE TYPE r AS RANGE (subtype = d, multirange_type_name = mr); CREATE TABLE m (a int, r mr DEFAULT mr(r(20000, 20000, '[]')));"
)]
#[case::partitions(
    "CREATE FUNCTION part(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.known($1); END'; \
     CREATE TABLE m (a int) PARTITION BY LIST (public.part(a)); CREATE TABLE m1 PARTITION OF m FOR VALUES IN (true);"
)]
#[case::operator(
    "CREATE FUNCTION k2(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT public.known($1)'; CREATE OPERATOR ~~~ (FUNCTION = k2, LEFTARG = int, RIGHTARG = int); \
     CREATE TABLE m (a int CHECK (a OPERATOR(public.~~~) 1));"
)]
#[case::generated(
    "CREATE FUNCTION must(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN IF NOT public.known($1) THEN RAISE ''not known''; END IF; RETURN true; END'; \
     CREATE TABLE m (a int, b bool GENERATED ALWAYS AS (public.must(a)) STORED);"
)]
#[tokio::test(flavor = "multi_thread")]
async fn p10_what_a_check_reads_is_there_as_with_stock_tools(#[case] checked: &str) {
    let insert = "INSERT INTO m VALUES (20000);";
    let made = backup(17, &[], &format!("{FIRST} {checked} {insert}")).await;
    proven(&drilled(&made, &[]).await);
    let made: Made = backup(17, &[], &format!("{LAST} {checked} {insert}")).await;
    let proof = drilled(&made, &[]).await;
    assert_eq!(proof.result, Verdict::Failed, "{}", shown(&proof));
    assert_eq!(proof.reason, "RestoreFailed", "{}", shown(&proof));
}
