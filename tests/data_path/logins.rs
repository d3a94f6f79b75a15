//! How applications log in: as members of the roles that a database names (G15).

use std::sync::Arc;

use lifeboat::api::restore_drill::{DrillMode, Verdict};
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::{Contention, Coordinator, LockPatience, Silent};
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use rstest::rstest;

use crate::drills::{Folders, check, drill_plan, run_file, shown};
use crate::left_out::{backup_of, drilled, proven};
use crate::pg::Server;
use crate::runs::{APPLICATION, FIRST, plan};

/// A group that owns and may read, a team in it, people and an application in those; and who is not this database's.
const ROLES: &str = "CREATE ROLE owner_group; CREATE ROLE team IN ROLE owner_group; \
    CREATE ROLE app LOGIN PASSWORD 'secret' IN ROLE team; CREATE ROLE certified LOGIN IN ROLE team; ALTER ROLE app SET work_mem = '5MB'; \
    CREATE ROLE elsewhere; CREATE ROLE neighbour LOGIN IN ROLE elsewhere; CREATE ROLE shared; CREATE ROLE guest LOGIN IN ROLE shared; GRANT shared TO app; \
    CREATE ROLE boss SUPERUSER LOGIN IN ROLE team; CREATE ROLE deputy LOGIN IN ROLE boss; CREATE ROLE cloudsqladmin LOGIN IN ROLE team; \
    CREATE ROLE auditor LOGIN IN ROLE pg_read_all_data; CREATE ROLE reader LOGIN; GRANT pg_monitor TO team; \
    CREATE TABLE t (a int); INSERT INTO t VALUES (1); GRANT SELECT ON t TO owner_group, reader";

async fn globals(server: &Server, user: &str) -> lifeboat::postgres::globals::Globals {
    let mut target = server.target("shop");
    target.user = user.to_owned();
    let patience = LockPatience::default();
    let coordinator = Coordinator::begin(
        &target,
        APPLICATION,
        &mut Contention::new(patience),
        &Silent,
    )
    .await;
    coordinator.unwrap().globals().await.unwrap()
}

/// Names of the roles that are made.
fn made(sql: &str) -> Vec<&str> {
    let lines = sql.lines();
    lines
        .filter_map(|line| line.strip_prefix("CREATE ROLE \"")?.strip_suffix("\";"))
        .collect()
}

/// G15, G17: after a disaster the application logs in, although the database names only a group that its team is in.
#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test(flavor = "multi_thread")]
async fn g17_a_login_that_is_a_member_of_a_named_role_survives_a_disaster(#[case] major: i32) {
    let server = Server::start(major, &[]);
    server.database("shop", "").await;
    server.sql("shop", ROLES).await;
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let plan = plan(server.target("shop"), major, store.clone(), FIRST, &scratch);
    let backup = make(&plan, &Silent).await.unwrap();
    drop(server);
    let folders = Folders::new();
    let mut plan = drill_plan(store, &backup.prefix, major, &folders);
    plan.mode = DrillMode::Disaster;
    plan.application_role = Some("app".to_owned());
    plan.checks = vec![check(
        "reads",
        "SELECT count(*) = 1 AND session_user = 'app' FROM t",
    )];
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
    assert!(proof.proves, "{}", shown(&proof));
}

/// G15: members of members, but not through a superuser, a provider's role or one of PostgreSQL's own, and not a neighbour's.
#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test(flavor = "multi_thread")]
async fn g15_members_are_taken_and_who_has_no_password_is_told(#[case] major: i32) {
    let server = Server::start(major, &[]);
    server.database("shop", "").await;
    server.sql("shop", ROLES).await;
    let of_superuser = globals(&server, "postgres").await;
    let wanted = [
        "app",
        "certified",
        "owner_group",
        "postgres",
        "reader",
        "shared",
        "team",
    ];
    assert_eq!(made(&of_superuser.sql), wanted, "{}", of_superuser.sql);
    assert!(
        of_superuser
            .sql
            .contains("ALTER ROLE \"app\" WITH PASSWORD '")
    );
    let lacks = [
        "roles that log in and come back without a password (they have none): \"certified\", \"postgres\", \"reader\"",
        "superusers that are members of the database's roles are not in the backup: \"boss\"",
    ];
    assert_eq!(of_superuser.lacks, lacks);
    for lack in lacks {
        let line = format!("-- Not in here: {lack}.\n");
        assert!(of_superuser.sql.contains(&line), "{}", of_superuser.sql);
    }
    let of_reader = globals(&server, "reader").await;
    assert_eq!(made(&of_reader.sql), wanted);
    assert!(!of_reader.sql.contains(" WITH PASSWORD "));
    let told =
        "(the backup's role may not read them): \"app\", \"certified\", \"postgres\", \"reader\"";
    assert!(of_reader.lacks[0].ends_with(told), "{:?}", of_reader.lacks);
}

/// G15: a server may have more logins than a backup of one database should carry.
#[tokio::test(flavor = "multi_thread")]
async fn g15_a_server_with_thousands_of_logins_fits_into_a_backup_and_it_says_what_was_cut() {
    let server = Server::start(17, &[]);
    server.database("shop", "").await;
    let many = "CREATE ROLE grp; CREATE TABLE t (a int); GRANT SELECT ON t TO grp; \
        DO $$ BEGIN FOR n IN 1 .. 1200 LOOP EXECUTE format('CREATE ROLE u%s LOGIN IN ROLE grp', 10000 + n); END LOOP; END $$; \
        CREATE ROLE \"a\nDROP TABLE t;\" LOGIN IN ROLE u11200";
    server.sql("shop", many).await;
    let found = globals(&server, "postgres").await;
    // With the group and the owner.
    assert_eq!(made(&found.sql).len(), 1002);
    let cut = "201 members of the database's roles are not in the backup: there are 1201, and 1000 are taken";
    assert!(
        found.lacks.iter().any(|l| l.starts_with(cut)),
        "{:?}",
        found.lacks
    );
    assert!(found.sql.len() < 200_000);
}

/// G15: privileges on settings belong to the server, as roles do, and come back with those.
#[rstest]
#[case(15)]
#[case(18)]
#[tokio::test(flavor = "multi_thread")]
async fn g15_privileges_of_roles_on_settings_come_back(#[case] major: i32) {
    let server = Server::start(major, &[]);
    server.database("shop", "").await;
    let sql = "CREATE ROLE app; CREATE ROLE other; CREATE TABLE t (a int); GRANT SELECT ON t TO app; \
        GRANT SET, ALTER SYSTEM ON PARAMETER log_min_duration_statement TO app WITH GRANT OPTION; \
        GRANT SET ON PARAMETER my.own TO app; GRANT SET ON PARAMETER log_statement TO other";
    server.sql("shop", sql).await;
    let made_of = globals(&server, "postgres").await.sql;
    let grants: Vec<&str> = made_of
        .lines()
        .filter(|l| l.contains(" ON PARAMETER "))
        .collect();
    assert_eq!(
        grants,
        [
            "GRANT ALTER SYSTEM ON PARAMETER \"log_min_duration_statement\" TO \"app\" WITH GRANT OPTION;",
            "GRANT SET ON PARAMETER \"log_min_duration_statement\" TO \"app\" WITH GRANT OPTION;",
            "GRANT SET ON PARAMETER \"my\".\"own\" TO \"app\";",
        ]
    );
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let plan = plan(server.target("shop"), major, store.clone(), FIRST, &scratch);
    let backup = make(&plan, &Silent).await.unwrap();
    drop(server);
    let folders = Folders::new();
    let plan = drill_plan(store, &backup.prefix, major, &folders);
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
    assert!(proof.proves, "{}", shown(&proof));
}

/// G15: a role whose name was written in another database's encoding stops nothing, and a regrole column does not either.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g15_a_role_that_cannot_be_read_here_stops_no_backup(
    #[values("UTF8", "SQL_ASCII")] encoding: &str,
) {
    let source = Server::start(15, &[]);
    let of = |encoding: &str| format!("TEMPLATE template0 LOCALE 'C' ENCODING '{encoding}'");
    source.database("latin", &of("LATIN1")).await;
    let sql = "SET client_encoding = 'UTF8'; CREATE ROLE \"hélène\" LOGIN; COMMENT ON ROLE \"hélène\" IS 'für'";
    run_file(&source, "latin", sql);
    source.database("shop", &of(encoding)).await;
    let sql = "CREATE ROLE app; CREATE TABLE t (a regrole); INSERT INTO t VALUES ('app'); GRANT SELECT ON t TO app";
    source.sql("shop", sql).await;
    let made = backup_of(&source, 15).await;
    proven(&drilled(&made, &[]).await);
}
