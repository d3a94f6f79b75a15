//! What a dump does not say of inherited and of dropped things, and what would change values or rows while they are loaded or read
//! (G3, G14, G23).

use lifeboat::api::restore_drill::Verdict;
use lifeboat::postgres::Silent;
use lifeboat::work::drill::run as drill;
use rstest::rstest;

use crate::drills::{Folders, check, drill_plan, shown};
use crate::left_out::{backup, backup_of, contents, drilled, left_out, not_proven, proven};
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
#[case::comment_on_a_multirange(
    17,
    "CREATE TYPE r AS RANGE (subtype = int, multirange_type_name = rs); COMMENT ON TYPE rs IS 'mine';",
    "type public.rs",
    "its comment"
)]
#[case::comment_on_a_constraint_trigger(
    15,
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE p (a int); \
     CREATE CONSTRAINT TRIGGER t AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f(); COMMENT ON CONSTRAINT t ON p IS 'mine';",
    "table constraint t on public.p",
    "its comment"
)]
#[case::privileges_of_a_row_type(
    17,
    "CREATE ROLE r; CREATE TABLE p (a int); REVOKE USAGE ON TYPE p FROM PUBLIC; GRANT USAGE ON TYPE p TO r;",
    "type public.p",
    "its privileges"
)]
#[case::name_of_a_partitions_key(
    17,
    "CREATE TABLE there (b int PRIMARY KEY); CREATE TABLE p (b int CONSTRAINT known REFERENCES there) PARTITION BY LIST (b); \
     CREATE TABLE one (b int CONSTRAINT own REFERENCES there); ALTER TABLE p ATTACH PARTITION one FOR VALUES IN (1);",
    "table constraint own on public.one",
    "another name"
)]
#[case::depends_on_an_extension(
    17,
    "CREATE EXTENSION lifeboat_config; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
     CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE one PARTITION OF p FOR VALUES IN (1); \
     CREATE TRIGGER t AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f(); ALTER TRIGGER t ON one DEPENDS ON EXTENSION lifeboat_config;",
    "trigger t on public.one",
    "DEPENDS ON"
)]
#[case::usage_of_information_schema(
    17,
    "REVOKE USAGE ON SCHEMA information_schema FROM PUBLIC;",
    "schema information_schema",
    "was changed"
)]
#[case::privileges_in_information_schema(
    13,
    "CREATE ROLE r; GRANT UPDATE ON information_schema.sql_parts TO r; GRANT SELECT ON information_schema.tables TO r; REVOKE SELECT ON information_schema.tables FROM r;",
    "table information_schema.sql_parts",
    "was changed"
)]
#[case::a_column_in_information_schema(
    18,
    "CREATE ROLE r; GRANT SELECT (feature_id) ON information_schema.sql_parts TO r;",
    "table information_schema.sql_parts",
    "was changed"
)]
#[case::columns_of_a_parent_that_came_later(
    17,
    "CREATE TABLE p (id int); CREATE TABLE c (note text) INHERITS (p); ALTER TABLE p ADD title text; \
     CREATE TABLE hist (old c); INSERT INTO hist VALUES (ROW(1, 'note', 'title'));",
    "row type public.c",
    "another meaning"
)]
#[case::inherits_later_and_a_function_makes_rows(
    15,
    "CREATE TABLE p (id int); CREATE TABLE c (note text, id int); ALTER TABLE c INHERIT p; CREATE FUNCTION f() RETURNS SETOF c LANGUAGE sql AS 'SELECT NULL::text, 2';",
    "row type public.c",
    "another meaning"
)]
#[case::two_parents_in_another_order(
    17,
    "CREATE TABLE g (a int); CREATE TABLE p (b int); CREATE TABLE q (c int); CREATE TABLE c (x int) INHERITS (p, q); \
     ALTER TABLE c NO INHERIT p; ALTER TABLE c INHERIT p; CREATE DOMAIN d AS c;",
    "row type public.c",
    "another meaning"
)]
#[case::a_policy_reads_the_row(
    18,
    "CREATE TABLE p (a int); CREATE TABLE c (b int) INHERITS (p); ALTER TABLE p ADD COLUMN d int; CREATE POLICY pp ON c USING (c::text = '(1,2,3)');",
    "row type public.c",
    "another meaning"
)]
#[case::a_view_reads_the_row(
    15,
    "CREATE TABLE p (a int); CREATE TABLE c (b int) INHERITS (p); ALTER TABLE p ADD COLUMN d int; CREATE VIEW v AS SELECT c::text AS t FROM c;",
    "row type public.c",
    "another meaning"
)]
#[case::type_of_an_identity(
    17,
    "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY); ALTER SEQUENCE t_a_seq AS smallint;",
    "sequence public.t_a_seq",
    "its type"
)]
#[case::replica_identity_that_was_dropped(
    15,
    "CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL); CREATE UNIQUE INDEX u ON t (b); ALTER TABLE t REPLICA IDENTITY USING INDEX u; DROP INDEX u;",
    "table public.t",
    "REPLICA IDENTITY"
)]
#[case::comment_on_plpgsql(
    18,
    "COMMENT ON EXTENSION plpgsql IS 'mine';",
    "extension plpgsql",
    "its comment"
)]
#[case::nothing_hangs_on_the_order(
    17,
    "CREATE TABLE p (id int); CREATE TABLE c (note text) INHERITS (p); ALTER TABLE p ADD title text; INSERT INTO c VALUES (1, 'note', 'title');",
    "column order public.c",
    "another order"
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

/// What is inherited in the order of a new table loses nothing, and neither do partitions, whose columns a dump writes as they stand.
#[tokio::test(flavor = "multi_thread")]
async fn g3_columns_that_a_restore_has_in_the_same_order_are_not_left_out() {
    let sql = "CREATE TABLE g (a int, b int); CREATE TABLE h (z int, b int); CREATE TABLE p (c int) INHERITS (g); CREATE TABLE q (d int, a int, e int) INHERITS (h, p); \
        ALTER TABLE q DROP COLUMN e; CREATE TABLE uses (q q, qs q[]); \
        CREATE TABLE m (a int, b int) PARTITION BY LIST (a); CREATE TABLE n (b int, a int); ALTER TABLE m ATTACH PARTITION n FOR VALUES IN (1); CREATE TABLE un (n n); \
        ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC; CREATE ROLE r; ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO r; CREATE TABLE o (a int); \
        CREATE TYPE span AS RANGE (subtype = int); \
        CREATE TABLE ids (a smallint GENERATED ALWAYS AS IDENTITY (MAXVALUE 7), b bigint GENERATED BY DEFAULT AS IDENTITY); \
        CREATE TABLE rep (a int PRIMARY KEY, b int NOT NULL); CREATE UNIQUE INDEX u ON rep (b); ALTER TABLE rep REPLICA IDENTITY USING INDEX u; \
        CREATE TABLE there (b int PRIMARY KEY) PARTITION BY LIST (b); CREATE TABLE there1 PARTITION OF there FOR VALUES IN (1); \
        CREATE TABLE v (b int REFERENCES there) PARTITION BY LIST (b); CREATE TABLE w PARTITION OF v FOR VALUES IN (1); \
        CREATE TABLE k (a int PRIMARY KEY) PARTITION BY LIST (a); CREATE TABLE k1 PARTITION OF k FOR VALUES IN (1); COMMENT ON CONSTRAINT k1_pkey ON k1 IS 'mine';";
    for major in [13, 17, 18] {
        let made = backup(major, &[], sql).await;
        assert_eq!(made.told, Vec::<String>::new(), "{major}");
        proven(&drilled(&made, &[]).await);
    }
}

/// From 18 on a dump writes a partition's NOT NULL with its columns, validated, whatever the parent's is.
#[tokio::test(flavor = "multi_thread")]
async fn g3_a_partitions_not_null_that_is_validated_comes_back() {
    let sql = "CREATE TABLE p (x int) PARTITION BY LIST (x); CREATE TABLE p2 (x int CONSTRAINT pp2 NOT NULL); \
        ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2); ALTER TABLE p ADD CONSTRAINT yy NOT NULL x NOT VALID;";
    let made = backup(18, &[], sql).await;
    assert_eq!(made.told, Vec::<String>::new());
    proven(&drilled(&made, &[]).await);
}

/// A role's name is in the encoding of the database that made it. Another database's backup goes without it, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn g15_a_role_whose_name_cannot_be_read_here_stops_no_backup() {
    let source = Server::start(17, &[]);
    let latin = "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'";
    source.database("latin", latin).await;
    source
        .sql("latin", "CREATE ROLE \"röle\"; CREATE ROLE plain")
        .await;
    let shop = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'";
    source.database("shop", shop).await;
    let sql = "CREATE ROLE \"früh\"; CREATE TABLE t (a regrole); INSERT INTO t VALUES ('plain'), ('\"früh\"')";
    source.sql("shop", sql).await;
    let made = backup_of(&source, 17).await;
    proven(&drilled(&made, &[]).await);
    let roles = contents(&made).await.roles;
    let names: Vec<&str> = roles.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["früh", "plain", "postgres"]);
}

/// A schema of that name takes the rights of the system to make, and no dump holds it.
#[tokio::test(flavor = "multi_thread")]
async fn g3_a_schema_that_is_named_as_the_systems_are_is_left_out_with_what_is_in_it() {
    let sql = "SET allow_system_table_mods = on; CREATE SCHEMA pg_mine; CREATE FUNCTION pg_mine.f() RETURNS int RETURN 1; CREATE TABLE pg_mine.kept (a int); INSERT INTO pg_mine.kept VALUES (1); CREATE TABLE public.t (a int);";
    let made = backup(17, &[], sql).await;
    let names = [
        "schema pg_mine",
        "function pg_mine.f()",
        "table pg_mine.kept",
    ];
    left_out(&made, &names, "own schemas").await;
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
