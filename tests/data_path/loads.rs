//! How a dump is loaded: what must not run beside something else, what our own sessions do to each other, whose doing an error
//! is, and who may log in meanwhile. By a drill, and by `lifeboat restore`.

use std::sync::Arc;

use lifeboat::api::restore_drill::{AcceptedDefinition, Verdict};
use lifeboat::manifest::Proof;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::load::Roles;
use lifeboat::postgres::{LockPatience, Observer, Silent, Step, Target, connect};
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use lifeboat::work::restore::{Plan, Restored, run as restore};
use lifeboat::work::verify::{Accepted, Subject};
use rstest::rstest;

use crate::drills::{Folders, drill_plan, run_file, shown};
use crate::kinds::without_locales;
use crate::pg::{Server, host_bin};
use crate::runs::{At, FIRST, plan};
use crate::spoiled::assert_says;

pub struct Made {
    pub major: i32,
    pub store: Arc<dyn ObjectStore>,
    pub prefix: String,
}

impl Made {
    /// A backup of a database with this in it.
    pub async fn of(major: i32, settings: &[&str], sql: &str) -> Self {
        let source = Server::start(major, settings);
        source
            .database("shop", "TEMPLATE template0 LOCALE 'C'")
            .await;
        run_file(&source, "shop", sql);
        let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
        let scratch = tempfile::tempdir().unwrap();
        let plan = plan(source.target("shop"), major, store.clone(), FIRST, &scratch);
        let prefix = make(&plan, &Silent).await.unwrap().prefix;
        Self {
            major,
            store,
            prefix,
        }
    }

    pub async fn drilled(&self) -> Proof {
        let folders = Folders::new();
        let plan = drill_plan(self.store.clone(), &self.prefix, self.major, &folders);
        drill(&plan, &Silent).await.unwrap().proof
    }

    async fn proven(&self) -> Proof {
        let proof = self.drilled().await;
        assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
        assert!(proof.proves, "{}", shown(&proof));
        proof
    }

    /// Restored into an empty database of another server.
    pub async fn restored(&self, into: Target, roles: Roles) -> Restored {
        self.restored_beside((into, roles), &[], &Silent).await
    }

    /// The same with definitions that somebody accepts, and beside somebody who works there.
    pub async fn restored_beside(
        &self,
        (into, roles): (Target, Roles),
        accepted: &[AcceptedDefinition],
        observer: &dyn Observer,
    ) -> Restored {
        let (volume, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let plan = Plan {
            store: self.store.clone(),
            identities: None,
            at: self.prefix.clone(),
            subject: Subject {
                target: into,
                scratch: scratch.path().to_owned(),
                postgres_folders: vec![host_bin(self.major)],
                patience: LockPatience::default(),
                application_name: "test".to_owned(),
            },
            volume: volume.path().to_owned(),
            roles,
            jobs: 4,
            accepted: Accepted {
                definitions: accepted.to_vec(),
                ..Accepted::default()
            },
        };
        restore(&plan, observer).await.unwrap()
    }
}

/// Another server with an empty database.
pub async fn empty(major: i32) -> Server {
    let server = Server::start(major, &[]);
    server
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    server
}

pub fn whole(restored: &Restored) {
    let said: Vec<_> = restored.errors.iter().map(|e| &e.error).collect();
    assert!(said.is_empty(), "{said:?}");
    let found = &restored.comparison.differences;
    assert!(found.is_empty(), "{found:?}");
}

/// The table that is referred to is large, so that beside it the other is loaded long before.
const LINKS: &str = "CREATE EXTENSION lifeboat_links; \
    INSERT INTO links.parents SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 60000) AS n; \
    INSERT INTO links.children SELECT n, 60001 - n, 'c' FROM generate_series(1, 100) AS n; \
    CREATE TABLE own (id int PRIMARY KEY); INSERT INTO own SELECT generate_series(1, 1000);";

/// G4: an extension's tables have their foreign keys before their rows.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g4_tables_of_an_extension_that_refer_to_each_other_are_loaded_one_by_one(
    #[values(15, 17)] major: i32,
) {
    let made = Made::of(major, &[], LINKS).await;
    for _ in 0..2 {
        made.proven().await;
    }
    let server = empty(major).await;
    whole(&made.restored(server.target("shop"), Roles::Create).await);
}

const MARKED: &str = "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c text); \
    INSERT INTO t SELECT n, -n, md5(n::text) FROM generate_series(1, 200000) AS n; \
    CREATE INDEX t_a ON t (a); CREATE UNIQUE INDEX t_b ON t (b); CREATE INDEX t_c ON t (c); \
    ALTER TABLE t CLUSTER ON t_a; ALTER TABLE t REPLICA IDENTITY USING INDEX t_b; \
    CREATE TABLE u (b int REFERENCES t (b)); INSERT INTO u VALUES (-7);";

/// Two indexes that mark their table would each wait for the other.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn p10_two_indexes_that_mark_one_table_are_both_made(#[values(15, 17)] major: i32) {
    let made = Made::of(major, &[], MARKED).await;
    let proof = made.proven().await;
    assert!(proof.errors.is_empty(), "{}", shown(&proof));
    let server = empty(major).await;
    whole(&made.restored(server.target("shop"), Roles::Create).await);
    assert!(!server.log().contains("deadlock"), "{}", server.log());
}

/// Each refresh locks one table and waits, but not for ever, until somebody has the other; then it wants that.
fn crossing(one: &str, other: &str) -> String {
    format!(
        "CREATE TABLE {one} (a int); INSERT INTO {one} VALUES (1); \
         CREATE FUNCTION f_{one}() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN \
           LOCK TABLE public.{one} IN ACCESS EXCLUSIVE MODE; \
           FOR n IN 1..50 LOOP \
             EXIT WHEN EXISTS (SELECT FROM pg_catalog.pg_locks WHERE relation = pg_catalog.to_regclass('public.{other}') \
               AND pid <> pg_catalog.pg_backend_pid() AND mode = 'AccessExclusiveLock'); \
             PERFORM pg_catalog.pg_sleep(0.02); \
           END LOOP; \
           IF pg_catalog.to_regclass('public.{other}') IS NOT NULL THEN LOCK TABLE public.{other} IN ACCESS EXCLUSIVE MODE; END IF; \
           RETURN 1; END $f$; CREATE MATERIALIZED VIEW v_{one} AS SELECT f_{one}() AS a;"
    )
}

/// A deadlock is between our own sessions: one of them tries again, alone.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn p10_what_sessions_of_a_restore_do_to_each_other_is_tried_again(
    #[values(15, 17)] major: i32,
) {
    let sql = [crossing("one", "other"), crossing("other", "one")].concat();
    let made = Made::of(major, &[], &sql).await;
    let proof = made.proven().await;
    assert!(proof.errors.is_empty(), "{}", shown(&proof));
    let server = empty(major).await;
    whole(&made.restored(server.target("shop"), Roles::Create).await);
    assert!(
        server.log().contains("deadlock detected"),
        "they did meet: {}",
        server.log()
    );
}

/// G27: the server's log adds a position to what pg_restore says, and the code is known all the same.
#[tokio::test(flavor = "multi_thread")]
async fn g27_a_collation_that_the_image_lacks_is_known_by_its_code() {
    let major = 17;
    let sql =
        "CREATE TABLE t (a text COLLATE pg_catalog.\"es_CL.utf8\"); INSERT INTO t VALUES ('x');";
    let made = Made::of(major, &[], sql).await;
    let bare = without_locales(major, false);
    let folders = Folders::new();
    let mut plan = drill_plan(made.store.clone(), &made.prefix, major, &folders);
    plan.postgres_folders = vec![bare.path().join("host-bin")];
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    let words = ["es_CL.utf8", "spec.postgres.image"];
    assert_says(&proof, Verdict::Inconclusive, "LocaleMissing", &words);
    assert_eq!(proof.errors[0].sqlstate, "42704", "{}", shown(&proof));
    assert_eq!(proof.errors[0].entry, "TABLE public.t");
}

/// G27: who says the words of another error in his own, or another language, is not taken for it.
#[tokio::test(flavor = "multi_thread")]
async fn g27_no_error_is_taken_for_another_that_has_its_words() {
    // A view that cannot be filled again, with the words of a full disk in its own; and the log is in the hands of the source.
    let sql = "CREATE TABLE once (a int); INSERT INTO once VALUES (1); \
        CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN \
          IF EXISTS (SELECT FROM public.once WHERE a = 1) AND pg_catalog.current_setting('application_name') LIKE 'lifeboat%' THEN \
            RAISE EXCEPTION E'ERROR:  could not extend file: No space left on device\\n\\x1e53100 ERROR:  x' USING ERRCODE = 'P0009'; \
          END IF; RETURN 1; END $f$; \
        CREATE MATERIALIZED VIEW v AS SELECT f() AS a; \
        ALTER DATABASE shop SET log_min_messages = 'panic'; ALTER DATABASE shop SET log_error_verbosity = 'verbose';";
    let made = Made::of(17, &[], sql).await;
    let proof = made.drilled().await;
    assert_says(&proof, Verdict::Failed, "RestoreFailed", &["No space left"]);
    let said = &proof.errors[0];
    assert_eq!(
        (said.sqlstate.as_str(), said.entry.as_str()),
        ("P0009", "MATERIALIZED VIEW DATA public.v"),
        "{}",
        shown(&proof)
    );
}

/// ANALYZE makes queries quick; what it cannot do says nothing of a backup.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn p10_statistics_that_cannot_be_made_judge_nothing(#[values(15, 17)] major: i32) {
    let sql = "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere'); \
        CREATE USER MAPPING FOR postgres SERVER far; \
        CREATE TABLE parts (a int) PARTITION BY RANGE (a); CREATE TABLE near PARTITION OF parts FOR VALUES FROM (0) TO (10); \
        CREATE FOREIGN TABLE away PARTITION OF parts FOR VALUES FROM (10) TO (20) SERVER far; INSERT INTO near VALUES (1);";
    let made = Made::of(major, &[], sql).await;
    let proof = made.proven().await;
    let noted = |n: &String| n.starts_with("ANALYZE: user mapping not found");
    assert!(proof.notes.iter().any(noted), "{}", shown(&proof));
}

/// G18: what an extension does in the source's own version no other image mends, and no other restore.
#[rstest]
#[case::rows_that_it_makes_too(
    "INSERT INTO makes.again VALUES (1, 'mine');",
    &["TABLE DATA makes.again", "lifeboat_makes 1.0, or that of another extension which uses it, makes rows", "stock tools", "empty the table"]
)]
#[case::a_column_of_ones_own(
    "DELETE FROM makes.again; ALTER TABLE makes.again ADD COLUMN mine int;",
    &["TABLE DATA makes.again", "somebody changed it", "stock tools"]
)]
#[case::a_trigger_of_its_own(
    "DELETE FROM makes.again; INSERT INTO makes.stamped VALUES (1, 4), (2, 9);",
    &["makes.stamped", "lifeboat_makes 1.0", "stock tools", "--disable-triggers"]
)]
#[tokio::test(flavor = "multi_thread")]
async fn g18_an_extension_of_the_same_version_is_told_by_what_it_does(
    #[case] sql: &str,
    #[case] words: &[&str],
    #[values(15, 17)] major: i32,
) {
    let sql = format!("CREATE EXTENSION lifeboat_makes; {sql}");
    let made = Made::of(major, &[], &sql).await;
    let proof = made.drilled().await;
    assert_says(&proof, Verdict::Inconclusive, "ExtensionInTheWay", words);
    assert!(
        !proof.message.contains("spec.postgres.image"),
        "{}",
        shown(&proof)
    );
}

/// G18: a view on an extension of another version is told by that.
#[tokio::test(flavor = "multi_thread")]
async fn g18_a_view_on_another_version_of_an_extension_names_both_versions() {
    let sql = "CREATE EXTENSION lifeboat_kinds VERSION '2.0'; CREATE VIEW v AS SELECT more FROM kinds.filtered;";
    let made = Made::of(17, &[], sql).await;
    let proof = made.drilled().await;
    let words = [
        "VIEW public.v",
        "lifeboat_kinds is 1.1 here instead of 2.0",
        "spec.postgres.image",
        "ALTER EXTENSION",
    ];
    assert_says(&proof, Verdict::Inconclusive, "ExtensionVersion", &words);
}

/// G17: roles are as they were, and none of them gets in.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g17_roles_of_a_scratch_server_may_log_in_and_nobody_lets_them_in(
    #[values(15, 17)] major: i32,
) {
    let sql = "CREATE ROLE app LOGIN; CREATE ROLE \"all\" LOGIN SUPERUSER; CREATE TABLE t (a int); ALTER TABLE t OWNER TO app; \
        GRANT SELECT ON t TO \"all\"; \
        CREATE FUNCTION there() RETURNS boolean LANGUAGE sql AS $$ SELECT count(*) = 2 FROM pg_catalog.pg_user WHERE usename IN ('app', 'all') $$; \
        CREATE MATERIALIZED VIEW v AS SELECT 1 / there()::int AS a;";
    let made = Made::of(major, &[], sql).await;
    let folders = Folders::new();
    let mut plan = drill_plan(made.store.clone(), &made.prefix, major, &folders);
    plan.checks = vec![crate::drills::check("one", "SELECT count(*) = 1 FROM v")];
    let socket = folders.socket();
    let knock = At::new(Step::Checking, || async {
        for role in ["app", "all", "postgres"] {
            let target = lifeboat::postgres::scratch::target(&socket, role, "shop");
            let came = connect(&target, "test").await;
            match role {
                "postgres" => assert!(came.is_ok(), "{role}: {:?}", came.err()),
                _ => {
                    let refused = came.err().map(|e| e.to_string()).unwrap_or_default();
                    assert!(refused.contains("pg_hba.conf"), "{role}: {refused}");
                }
            }
        }
    });
    let proof = drill(&plan, &knock).await.unwrap().proof;
    assert!(knock.seen());
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
    assert!(proof.proves, "{}", shown(&proof));
}

/// An extension's event trigger fires from CREATE EXTENSION on, in the midst of a restore.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g18_an_event_trigger_of_an_extension_has_no_say_in_a_restore(
    #[values(15, 17)] major: i32,
) {
    let sql = "CREATE EXTENSION lifeboat_watches; CREATE TABLE t (a int PRIMARY KEY, b text); CREATE INDEX ON t (b); \
        CREATE TABLE u (a int REFERENCES t); INSERT INTO t VALUES (1, 'x'); INSERT INTO u VALUES (1);";
    let made = Made::of(major, &[], sql).await;
    made.proven().await;
    let server = empty(major).await;
    whole(&made.restored(server.target("shop"), Roles::Create).await);
}

/// A partition's own switch of a trigger sorts by the partition's name, which may be before the trigger's table.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn p10_triggers_that_partitions_alone_have_switched_come_back(#[values(15, 17)] major: i32) {
    let sql = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
        CREATE TABLE top (i int) PARTITION BY LIST (i); \
        CREATE TABLE middle PARTITION OF top FOR VALUES IN (1) PARTITION BY LIST (i); \
        CREATE TABLE a PARTITION OF middle FOR VALUES IN (1); \
        CREATE TRIGGER t BEFORE INSERT ON top FOR EACH ROW EXECUTE FUNCTION f(); \
        ALTER TABLE middle DISABLE TRIGGER t; ALTER TABLE a ENABLE ALWAYS TRIGGER t; INSERT INTO top VALUES (1);";
    let made = Made::of(major, &[], sql).await;
    made.proven().await;
    let server = empty(major).await;
    whole(&made.restored(server.target("shop"), Roles::Create).await);
}

/// A server that takes long to commit, as one under load does. Up to 16 one of two sessions that attach indexes to partitions of one
/// table lets go of the table at the top before it has committed, and the other does not see what it did.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn p10_indexes_of_partitions_of_partitions_are_valid_after_a_restore(
    #[values(15, 17)] major: i32,
) {
    let sql = "CREATE TABLE top (a int, b int, c text) PARTITION BY LIST (a); \
        CREATE TABLE m1 PARTITION OF top FOR VALUES IN (1) PARTITION BY LIST (b); CREATE TABLE m2 PARTITION OF top FOR VALUES IN (2) PARTITION BY LIST (b); \
        CREATE TABLE z1 PARTITION OF m1 DEFAULT; CREATE TABLE z2 PARTITION OF m2 DEFAULT; \
        INSERT INTO top SELECT 1 + n % 2, n / 2, md5(n::text) FROM generate_series(1, 40000) AS n; \
        CREATE INDEX ON top (b, c); CREATE INDEX ON top (c, b); CREATE INDEX ON top (c); CREATE INDEX ON top ((c || b::text)); \
        CREATE INDEX ON top (c, a); CREATE INDEX ON top (c, a, b); ALTER TABLE top ADD PRIMARY KEY (a, b); \
        CREATE TABLE refers (a int, b int, FOREIGN KEY (a, b) REFERENCES top); INSERT INTO refers VALUES (1, 7);";
    let made = Made::of(major, &[], sql).await;
    made.proven().await;
    let slow = ["fsync=on", "commit_delay=100000", "commit_siblings=0"];
    let server = Server::start(major, &slow);
    server
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    whole(&made.restored(server.target("shop"), Roles::Create).await);
    assert!(!server.log().contains("deadlock"), "{}", server.log());
}

/// On a provider's server nobody is superuser, and a session that asks for what only one may set is refused.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_needs_no_superuser(#[values(15, 17)] major: i32) {
    let sql = "CREATE ROLE keeper LOGIN; CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1), (2); \
        ALTER TABLE t OWNER TO keeper; ALTER SCHEMA public OWNER TO keeper; ALTER DATABASE shop OWNER TO keeper;";
    let made = Made::of(major, &[], sql).await;
    let server = empty(major).await;
    let sql = "CREATE ROLE keeper LOGIN; ALTER DATABASE shop OWNER TO keeper";
    server.sql("postgres", sql).await;
    server
        .sql("shop", "ALTER SCHEMA public OWNER TO keeper")
        .await;
    let mut target = server.target("shop");
    target.user = "keeper".to_owned();
    whole(&made.restored(target, Roles::Skip).await);
}
