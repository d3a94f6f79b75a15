//! `lifeboat restore` into a server that others live in: it has roles, works by itself, and nobody makes a reference restore there.

use std::time::Duration;

use lifeboat::api::restore_drill::{AcceptedDefinition, Verdict};
use lifeboat::postgres::load::Roles;
use lifeboat::postgres::{Connection, Silent, Step};
use lifeboat::work::restore::Restored;
use rstest::rstest;

use crate::definitions::{PLAIN, written_otherwise};
use crate::loads::{Made, empty, whole};
use crate::pg::Server;
use crate::runs::At;
use crate::spoiled::assert_says;

/// What the notes say of a role.
fn noted<'r>(restored: &'r Restored, role: &str) -> Vec<&'r str> {
    let head = format!("role {role} was there before and stays as it is: ");
    let notes = restored.comparison.notes.iter();
    notes.filter_map(|note| note.strip_prefix(&head)).collect()
}

const ROLES: &str = "CREATE ROLE admins; CREATE ROLE leaver; CREATE ROLE newcomer CREATEDB; CREATE ROLE same; \
    GRANT admins TO leaver, newcomer; ALTER ROLE leaver SET work_mem = '5MB'; \
    CREATE TABLE t (a int); GRANT SELECT ON t TO leaver, newcomer, same;";
const ROLES_THERE: &str =
    "CREATE ROLE admins; CREATE ROLE leaver CONNECTION LIMIT 3; CREATE ROLE same";

/// What a role has lost or won since the backup is not given back by a restore, and is no fault of it.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g17_a_role_that_exists_stays_as_it_is_and_how_it_differs_is_a_note(
    #[values(15, 17)] major: i32,
) {
    let made = Made::of(major, &[], ROLES).await;
    let server = empty(major).await;
    server.sql("postgres", ROLES_THERE).await;
    let restored = made.restored(server.target("shop"), Roles::Create).await;
    whole(&restored);
    assert!(restored.comparison.proves(), "{:?}", restored.comparison);
    let session = server.session("postgres").await;
    let sql = "SELECT pg_has_role('leaver', 'admins', 'MEMBER'), pg_has_role('newcomer', 'admins', 'MEMBER')";
    let row = session.client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1)), (false, true));
    let notes = &restored.comparison.notes;
    let listed = "roles that existed before stay as they are: \"admins\", \"leaver\", \"same\"";
    assert!(notes.iter().any(|n| n == listed), "{notes:?}");
    let granted = match major {
        15 => "",
        _ => " WITH ADMIN FALSE, INHERIT TRUE, SET TRUE",
    };
    let differs = format!(
        "it lacks ALTER ROLE \"leaver\" SET \"work_mem\" TO '5MB'; GRANT \"admins\" TO \"leaver\"{granted}, \
         and has besides ALTER ROLE \"leaver\" WITH CONNECTION LIMIT 3"
    );
    assert_eq!(noted(&restored, "leaver"), [differs]);
    for equal in ["admins", "same", "newcomer", "postgres"] {
        assert_eq!(noted(&restored, equal), [""; 0], "{equal}");
    }
}

/// Roles that the restore was told not to make are the server's too.
#[tokio::test(flavor = "multi_thread")]
async fn g17_without_roles_those_of_the_server_stay_and_one_that_is_missing_is_a_difference() {
    let made = Made::of(17, &[], "CREATE ROLE gone; CREATE ROLE app SUPERUSER; CREATE TABLE t (a int); GRANT SELECT ON t TO app, gone;").await;
    let server = empty(17).await;
    server.sql("postgres", "CREATE ROLE app").await;
    let restored = made.restored(server.target("shop"), Roles::Skip).await;
    let lacks = "it lacks ALTER ROLE \"app\" WITH SUPERUSER";
    assert_eq!(noted(&restored, "app"), [lacks]);
    let mut differs = restored.comparison.differences.iter();
    assert!(differs.any(|d| d.what == "role" && d.object == "gone"));
}

/// A role that the restore makes is compared in full: what the server refused of it is told, with what mends it.
#[tokio::test(flavor = "multi_thread")]
async fn g17_a_role_that_the_restore_makes_is_compared_in_full() {
    let made = Made::of(
        17,
        &[],
        "CREATE ROLE boss SUPERUSER; CREATE TABLE t (a int); GRANT SELECT ON t TO boss;",
    )
    .await;
    let server = empty(17).await;
    let keeper = "CREATE ROLE keeper LOGIN CREATEROLE; ALTER DATABASE shop OWNER TO keeper; GRANT postgres TO keeper";
    server.sql("postgres", keeper).await;
    let mut target = server.target("shop");
    target.user = "keeper".to_owned();
    let restored = made.restored(target, Roles::Create).await;
    let lacks = "ALTER ROLE \"boss\" WITH SUPERUSER";
    let mut differs = restored.comparison.differences.iter();
    assert!(
        differs.any(|d| d.what == "role" && d.object == "boss" && d.expected.contains(lacks)),
        "{:?}",
        restored.comparison
    );
    let mut remedies = restored.comparison.remedies.iter();
    assert!(remedies.any(|r| r.starts_with("to mend role boss: ") && r.contains(lacks)));
    assert_eq!(noted(&restored, "boss"), [""; 0]);
}

/// Asks until somebody waits for a lock of a table.
async fn waits(asks: &Connection) {
    let sql = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'";
    let asking = async {
        while !asks
            .client
            .query_one(sql, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
        {
            tokio::task::yield_now().await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(30), asking).await;
    assert!(asked.is_ok(), "nobody waits");
}

/// Rows of an extension's table that a worker of the server adds while the table is loaded are none of the dump's.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g4_rows_that_the_server_adds_during_a_restore_are_a_note(#[values(15, 17)] major: i32) {
    let sql = "CREATE EXTENSION lifeboat_kinds; INSERT INTO kinds.filtered VALUES ('mine', 'x'), ('mine too', 'y');";
    let made = Made::of(major, &[], sql).await;
    let server = empty(major).await;
    let worker = At::new(Step::LoadingData, || async {
        let session = server.session("shop").await;
        // Not seen when the rows are counted before, and COPY has to wait for it.
        let sql = "BEGIN; LOCK TABLE kinds.filtered IN SHARE ROW EXCLUSIVE MODE; INSERT INTO kinds.filtered VALUES ('job', 'ran')";
        session.client.batch_execute(sql).await.unwrap();
        let asks = server.session("postgres").await;
        tokio::spawn(async move {
            waits(&asks).await;
            session.client.batch_execute("COMMIT").await.unwrap();
        });
    });
    let into = (server.target("shop"), Roles::Create);
    let restored = made.restored_beside(into, &[], &worker).await;
    assert!(worker.seen());
    whole(&restored);
    let note = "kinds.filtered: 4 rows came while the 3 rows of the backup were loaded; ";
    let notes = &restored.comparison.notes;
    assert!(notes.iter().any(|n| n.starts_with(note)), "{notes:?}");
}

/// Nobody makes a reference restore in somebody's own server: who has read both texts says that they are equal.
#[tokio::test(flavor = "multi_thread")]
async fn g23_a_restore_shows_what_is_printed_otherwise_and_takes_a_persons_word() {
    let (store, prefix) = written_otherwise().await;
    let made = Made {
        major: PLAIN,
        store,
        prefix,
    };
    let into = async |accepted: &[AcceptedDefinition]| {
        let server = Server::start(PLAIN, &[]);
        server.database("shop", "").await;
        let into = (server.target("shop"), Roles::Create);
        made.restored_beside(into, accepted, &Silent).await
    };
    let restored = into(&[]).await;
    let [differs] = restored.comparison.differences.as_slice() else {
        panic!("{:?}", restored.comparison);
    };
    assert_eq!(
        (differs.what.as_str(), differs.object.as_str()),
        ("VIEW", "public.v")
    );
    assert!(differs.expected.contains("OPERATOR"), "{differs:?}");
    assert!(differs.found.contains("a + 1"), "{differs:?}");
    let [remedy] = restored.comparison.remedies.as_slice() else {
        panic!("{:?}", restored.comparison);
    };
    let (_, print) = remedy.split_once("--accept 'VIEW public.v=").unwrap();
    // The drill says the same of the same texts.
    let proof = made.drilled().await;
    let words = [&format!("fingerprint {}", &print[..16])[..]];
    assert_says(&proof, Verdict::Inconclusive, "PrintedOtherwise", &words);
    let accept = |fingerprint: &str| AcceptedDefinition {
        definition: "VIEW public.v".to_owned(),
        fingerprint: fingerprint.to_owned(),
    };
    let other = into(&[accept("0123456789abcdef")]).await;
    assert_eq!(other.comparison.differences.len(), 1);
    let accepted = into(&[accept(&print[..16])]).await;
    assert!(accepted.comparison.proves(), "{:?}", accepted.comparison);
    let mut notes = accepted.comparison.notes.iter();
    assert!(notes.any(|n| n.starts_with("VIEW public.v: ") && n.contains("accepted")));
}

/// Of a language whose functions are in pg_catalog a dump says the name alone, and no image has it.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g27_a_language_that_no_dump_describes_is_told_with_what_helps(
    #[values(13, 15, 17)] major: i32,
) {
    let sql = "CREATE LANGUAGE mine HANDLER pg_catalog.plpgsql_call_handler INLINE pg_catalog.plpgsql_inline_handler VALIDATOR pg_catalog.plpgsql_validator; \
        CREATE FUNCTION f() RETURNS int LANGUAGE mine AS 'BEGIN RETURN 1; END';";
    let made = Made::of(major, &[], sql).await;
    let words = [
        "PROCEDURAL LANGUAGE mine",
        "functions of this language are in pg_catalog",
        "make it anew with functions in a schema of your own",
    ];
    let proof = made.drilled().await;
    assert_says(&proof, Verdict::Inconclusive, "ExtensionInTheWay", &words);
    assert!(
        !proof.message.contains("as the source does"),
        "{}",
        proof.message
    );
    let server = empty(major).await;
    let restored = made.restored(server.target("shop"), Roles::Create).await;
    let said: Vec<_> = restored.errors.iter().map(|e| &e.error).collect();
    assert!(
        words[1..].iter().all(|w| said[0].message.contains(w)),
        "{said:?}"
    );
    // As the message says it.
    let cured = "CREATE FUNCTION handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'; \
        CREATE LANGUAGE mine HANDLER handler; CREATE FUNCTION f() RETURNS int LANGUAGE mine AS 'BEGIN RETURN 1; END';";
    let made = Made::of(major, &[], cured).await;
    let server = empty(major).await;
    whole(&made.restored(server.target("shop"), Roles::Create).await);
}
