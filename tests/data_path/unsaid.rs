//! What a dump does not say of inherited and of dropped things, and what would change values or rows while they are loaded or read
//! (G3, G14, G23).

use lifeboat::api::restore_drill::Verdict;
use lifeboat::postgres::Silent;
use lifeboat::work::drill::run as drill;
use rstest::rstest;

use crate::drills::{Folders, check, drill_plan, shown};
use crate::left_out::{backup, backup_of, drilled, left_out, not_proven, proven};
use crate::pg::Server;

/// What a parent or a type brings along, and was changed where it was brought.
#[rstest]
#[case::may_be_null(
    17,
    "CREATE TABLE p (a int NOT NULL); CREATE TABLE c () INHERITS (p); ALTER TABLE c ALTER a DROP NOT NULL;",
    "table column public.c.a",
    "may be null"
)]
#[case::comment_on_a_constraint(
    17,
    "CREATE TABLE p (a int CONSTRAINT positive CHECK (a > 0)); CREATE TABLE c () INHERITS (p); COMMENT ON CONSTRAINT positive ON c IS 'mine';",
    "table constraint positive on public.c",
    "its comment"
)]
#[case::comment_on_a_trigger(
    17,
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE p (a int) PARTITION BY LIST (a); \
     CREATE TABLE one PARTITION OF p FOR VALUES IN (1); CREATE TRIGGER t AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f(); \
     COMMENT ON TRIGGER t ON one IS 'mine';",
    "trigger t on public.one",
    "its comment"
)]
#[case::comment_on_the_type_of_rows(
    17,
    "CREATE TABLE p (a int); COMMENT ON TYPE p IS 'mine';",
    "type public.p",
    "its comment"
)]
#[case::comment_on_the_type_of_arrays(
    15,
    "CREATE TYPE e AS ENUM ('a'); COMMENT ON TYPE e[] IS 'mine';",
    "type public.e[]",
    "its comment"
)]
#[case::privileges_of_a_range(
    17,
    "CREATE TYPE r AS RANGE (subtype = int); REVOKE EXECUTE ON FUNCTION r(int, int) FROM PUBLIC;",
    "function public.r(integer,integer)",
    "its privileges"
)]
#[case::validated_foreign_key(
    18,
    "CREATE TABLE there (b int PRIMARY KEY); CREATE TABLE p (b int) PARTITION BY LIST (b); CREATE TABLE one PARTITION OF p FOR VALUES IN (1); \
     ALTER TABLE p ADD CONSTRAINT known FOREIGN KEY (b) REFERENCES there NOT VALID; ALTER TABLE one VALIDATE CONSTRAINT known;",
    "table constraint known on public.one",
    "is validated"
)]
#[case::renamed_trigger(
    13,
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE p (a int) PARTITION BY LIST (a); \
     CREATE TABLE one PARTITION OF p FOR VALUES IN (1); CREATE TRIGGER t AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f(); \
     ALTER TRIGGER t ON p RENAME TO u;",
    "trigger t on public.one",
    "another name"
)]
#[tokio::test(flavor = "multi_thread")]
async fn g3_what_was_changed_where_it_was_inherited_is_left_out_with_its_reason(
    #[case] major: i32,
    #[case] sql: &str,
    #[case] name: &str,
    #[case] why: &str,
) {
    let made = backup(major, &[], sql).await;
    left_out(&made, &[name], why).await;
}

/// A partition that is detached by half is none for queries at the source, and one after a restore.
#[tokio::test(flavor = "multi_thread")]
async fn g3_a_partition_that_is_detached_by_half_is_left_out_with_its_reason() {
    let source = Server::start(17, &[]);
    source
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    let sql = "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE one PARTITION OF p FOR VALUES IN (1); INSERT INTO p VALUES (1)";
    source.sql("shop", sql).await;
    let reader = source.session("shop").await;
    let reads = reader.client.batch_execute("BEGIN; SELECT FROM p");
    reads.await.unwrap();
    let owner = source.session("shop").await;
    let bound = owner.client.batch_execute("SET lock_timeout = '50ms'");
    bound.await.unwrap();
    let detach = "ALTER TABLE p DETACH PARTITION one CONCURRENTLY";
    assert!(owner.client.batch_execute(detach).await.is_err());
    drop((reader, owner));
    let made = backup_of(&source, 17).await;
    left_out(&made, &["table public.one"], "FINALIZE").await;
}

/// Before 15 a dump takes the privileges of a new database's `public` for granted, or, of one that was made anew, none at all. What
/// frameworks do to empty a database is no fault of the backup.
#[rstest]
#[case::anew_with_all(
    "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO public;",
    true
)]
#[case::anew("DROP SCHEMA public CASCADE; CREATE SCHEMA public;", false)]
#[case::revoked("REVOKE CREATE ON SCHEMA public FROM PUBLIC;", true)]
#[case::as_it_was("", true)]
#[tokio::test(flavor = "multi_thread")]
async fn g23_privileges_on_public_are_compared_as_they_are(
    #[case] sql: &str,
    #[case] proves: bool,
    #[values(13, 17)] major: i32,
) {
    let made = backup(major, &[], &format!("{sql} CREATE TABLE public.t (a int);")).await;
    let proof = drilled(&made, &[]).await;
    // From 15 on a dump says what differs from what the schema comes with, also of one that was made anew.
    match proves || major >= 15 {
        true => proven(&proof),
        false => {
            not_proven(&proof, &["privileges of schema public"]);
            proven(&drilled(&made, &["schema public"]).await);
        }
    }
}

/// A setting of the database by which a NULL in an array is a text does not reach the sessions that load.
#[tokio::test(flavor = "multi_thread")]
async fn g14_a_null_in_an_array_stays_one() {
    let sql = "CREATE TABLE t (a text[], b text, CHECK (b = NULL)); INSERT INTO t VALUES (ARRAY[NULL, 'x'], 'y'); \
        ALTER DATABASE shop SET array_nulls = off; ALTER DATABASE shop SET transform_null_equals = on;";
    let made = backup(17, &[], sql).await;
    proven(&drilled(&made, &[]).await);
}

/// What a restored database does at login changes no row of it, and keeps nobody of ours out.
#[rstest]
#[case::writes("INSERT INTO public.logins VALUES (session_user)")]
#[case::refuses("IF session_user <> 'postgres' THEN RAISE EXCEPTION 'no login'; END IF")]
#[tokio::test(flavor = "multi_thread")]
async fn g18_a_trigger_at_login_has_no_say_in_a_drill(#[case] body: &str) {
    let sql = format!(
        "CREATE TABLE public.logins (who text); CREATE FUNCTION public.login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$; \
         CREATE EVENT TRIGGER login ON login EXECUTE FUNCTION public.login();"
    );
    let made = backup(17, &[], &sql).await;
    let folders = Folders::new();
    let mut plan = drill_plan(made.store.clone(), &made.prefix, 17, &folders);
    plan.checks = vec![check("answers", "SELECT true")];
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
    assert!(proof.proves, "{}", shown(&proof));
}

/// What is left of things that are gone, and what only rows name.
#[rstest]
#[case::a_setting_of_what_is_gone(
    "CREATE TEXT SEARCH CONFIGURATION gone (COPY = simple); ALTER DATABASE shop SET default_text_search_config = 'public.gone'; \
     DROP TEXT SEARCH CONFIGURATION gone;"
)]
#[case::a_role_of_two_lines(
    "CREATE ROLE \"two\nlines\" LOGIN; COMMENT ON ROLE \"two\nlines\" IS 'it''s'; CREATE ROLE other; GRANT other TO \"two\nlines\"; \
     GRANT SELECT ON t TO \"two\nlines\";"
)]
#[case::roles_in_rows(
    "CREATE ROLE named; CREATE TABLE r (who regrole, may aclitem[]); INSERT INTO r VALUES ('named', '{named=r/postgres}');"
)]
#[tokio::test(flavor = "multi_thread")]
async fn g3_what_is_left_of_things_that_are_gone_is_proven(
    #[case] sql: &str,
    #[values(13, 17)] major: i32,
) {
    let made = backup(major, &[], &format!("CREATE TABLE t (a int); {sql}")).await;
    proven(&drilled(&made, &[]).await);
}

/// G3: the script of an extension writes its comment again in a restore, so nothing is lost. Somebody else's is.
#[rstest]
#[case::as_the_script_writes_it("", true)]
#[case::another("COMMENT ON FUNCTION pg_catalog.pg_backend_pid() IS 'mine';", false)]
#[tokio::test(flavor = "multi_thread")]
async fn g3_a_comment_on_the_systems_own_comes_back_if_an_extension_writes_it(
    #[case] sql: &str,
    #[case] whole: bool,
    #[values(15, 17)] major: i32,
) {
    let sql = format!("CREATE TABLE t (a int); CREATE EXTENSION lifeboat_comments; {sql}");
    let made = backup(major, &[], &sql).await;
    let proof = drilled(&made, &[]).await;
    match whole {
        true => proven(&proof),
        false => not_proven(&proof, &["function pg_catalog.pg_backend_pid()"]),
    }
}
