//! Migrations rehearsed on a restored backup (M8-M10, M21): there, back, and there again.

use lifeboat::api::Reason;
use lifeboat::api::migration_run::{MigrationCheck, MigrationChecks};
use lifeboat::api::restore_drill::Verdict;
use lifeboat::manifest::{Evidence, WayBack};
use lifeboat::plan::{self, Direction};
use lifeboat::postgres::Silent;
use lifeboat::postgres::migrate::{Acting, Surroundings, Worker, surroundings};
use lifeboat::sql::File;
use lifeboat::work::drill::Place;
use lifeboat::work::failure::Failure;
use lifeboat::work::migration::{Login, Rehearsal, Wanted, rehearse};
use rstest::rstest;

use crate::drills::{Folders, backed_up};
use crate::minio;
use crate::pg::{Server, host_bin};
use crate::runs::direct;

/// A shop whose tables belong to `app`, which is nobody's superuser.
const SHOP: &str = "\
    CREATE ROLE app LOGIN; CREATE ROLE auth_admin; \
    GRANT CREATE ON DATABASE shop TO app; GRANT ALL ON SCHEMA public TO app; \
    CREATE SCHEMA auth AUTHORIZATION auth_admin; \
    CREATE TABLE auth.users (id int PRIMARY KEY); ALTER TABLE auth.users OWNER TO auth_admin; \
    GRANT USAGE ON SCHEMA auth TO app; GRANT SELECT, REFERENCES ON auth.users TO app; \
    INSERT INTO auth.users VALUES (1); \
    SET ROLE app; \
    CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total int, tenant int NOT NULL DEFAULT 1); \
    INSERT INTO orders (total) SELECT g FROM generate_series(1, 100) AS g; \
    CREATE TABLE secrets (tenant int, note text); INSERT INTO secrets VALUES (1, 'a'), (2, 'b'); \
    ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; ALTER TABLE secrets FORCE ROW LEVEL SECURITY; \
    CREATE POLICY own ON secrets USING (tenant = current_setting('app.tenant', true)::int); \
    RESET ROLE";

type Files<'a> = &'a [(&'a str, &'a str)];

fn ask(
    major: i32,
    folders: &Folders,
    files: Files<'_>,
    at: &str,
    store: &minio::Minio,
) -> Rehearsal {
    let files: Vec<File> = files
        .iter()
        .map(|(name, text)| File::read(name, text.as_bytes()))
        .collect();
    Rehearsal {
        store: direct(store),
        identities: None,
        at: at.to_owned(),
        wanted: Wanted::Asked(plan::Order {
            direction: Direction::Up,
            target: "1".to_owned(),
            baseline: None,
        }),
        files,
        login: Login {
            name: "app".to_owned(),
            roles: Vec::new(),
        },
        rights: Vec::new(),
        rights_at: jiff::Timestamp::UNIX_EPOCH,
        surroundings: Surroundings::default(),
        acting: Acting {
            role: None,
            search_path: "public".to_owned(),
        },
        worker: Worker {
            run_uid: "7b7b7b7b-0000-4000-8000-000000000001".to_owned(),
            run: "shop/add-index".to_owned(),
            attempt: "attempt0".to_owned(),
            plan_hash: String::new(),
            approved_by: Vec::new(),
            backup: "shop-1".to_owned(),
        },
        baseline: None,
        supabase: false,
        checks: MigrationChecks::default(),
        parameters: std::collections::BTreeMap::default(),
        locales: Vec::new(),
        image: String::new(),
        server: Place::Here(folders.socket()),
        volume: folders.volume(),
        scratch: folders.scratch(),
        postgres_folders: vec![host_bin(major)],
    }
}

/// A backup of the shop, and rehearsals on it one after another.
struct Shop {
    major: i32,
    at: String,
    minio: minio::Minio,
}

impl Shop {
    async fn new(major: i32) -> Self {
        let source = Server::start(major, &[]);
        source.database("shop", "TEMPLATE template0").await;
        source.sql("shop", SHOP).await;
        Self::of(&source, major).await
    }

    async fn of(source: &Server, major: i32) -> Self {
        let minio = minio::start().await;
        let made = backed_up(source, "shop", major, &minio, None).await;
        Self {
            major,
            at: made.prefix,
            minio,
        }
    }

    async fn with(
        &self,
        files: Files<'_>,
        change: impl FnOnce(&mut Rehearsal),
    ) -> Result<Evidence, Failure> {
        let folders = Folders::new();
        let mut rehearsal = ask(self.major, &folders, files, &self.at, &self.minio);
        change(&mut rehearsal);
        rehearse(&rehearsal, &Silent).await
    }

    async fn rehearse(&self, files: Files<'_>) -> Evidence {
        self.with(files, |_| ()).await.unwrap()
    }
}

fn print(evidence: &Evidence) -> String {
    serde_json::to_string_pretty(evidence).unwrap()
}

/// M21: locks, rewrites and definitions are seen; the way back leads to where it began.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m21_a_migration_is_rehearsed_there_and_back(#[values(15, 17)] major: i32) {
    let shop = Shop::new(major).await;
    let up = "ALTER TABLE orders ADD COLUMN note text; UPDATE orders SET note = 'x' WHERE total > 10;\n\
        CREATE INDEX CONCURRENTLY orders_total ON orders (total)";
    let down = "DROP INDEX CONCURRENTLY orders_total; ALTER TABLE orders DROP COLUMN note";
    let files: Files<'_> = &[("1_note.sql", up), ("1_note.sql.down", down)];
    let seen = shop.rehearse(files).await;
    assert_eq!(seen.result, Verdict::Passed, "{}", print(&seen));
    assert_eq!(seen.way_back, WayBack::Rehearsed, "{}", print(&seen));
    let segments = &seen.files[0].segments;
    assert_eq!(segments.len(), 2);
    assert_eq!(segments[0].locks["public.orders"], "ACCESS EXCLUSIVE");
    assert_eq!(segments[0].statements[1].rows, Some(90));
    assert_eq!(segments[0].statements[1].temporary, Some(0));
    assert_eq!(segments[1].statements[0].rows, None);
    let index = segments[1].index_definition.as_deref().unwrap();
    assert!(index.ends_with("(total)"), "{index}");
    let touched: Vec<String> = seen
        .touched
        .iter()
        .map(|t| format!("{} {}", t.desc, t.tag.display()))
        .collect();
    assert!(touched.contains(&"TABLE orders".to_owned()), "{touched:?}");
    assert!(
        touched.contains(&"INDEX orders_total".to_owned()),
        "{touched:?}"
    );
    assert!(
        !touched.iter().any(|t| t.contains("secrets")),
        "{touched:?}"
    );
    assert_ne!(seen.schema.before, seen.schema.after);
    assert_eq!(seen.schema.back.as_ref(), Some(&seen.schema.before));
    // What it decided is the same another time, what it measured is not.
    let again = shop.rehearse(files).await;
    assert_eq!(again.hash(), seen.hash());
    assert_ne!(again.started_at, seen.started_at);
}

/// M9: as the role that migrates, whom row security holds: the backfill that a superuser would see is none.
#[tokio::test(flavor = "multi_thread")]
async fn m9_nobody_is_superuser() {
    let shop = Shop::new(15).await;
    let seen = shop
        .rehearse(&[("1_backfill.sql", "UPDATE secrets SET note = 'x'")])
        .await;
    assert_eq!(seen.result, Verdict::Passed, "{}", print(&seen));
    assert_eq!(seen.files[0].segments[0].statements[0].rows, Some(0));
    assert_eq!(seen.way_back, WayBack::None);
    // M10: what a provider owns is there, and no more may be done to it than on the server.
    let users = "ALTER TABLE orders ADD COLUMN by int REFERENCES auth.users";
    let seen = shop.rehearse(&[("1_by.sql", users)]).await;
    assert_eq!(seen.result, Verdict::Passed, "{}", print(&seen));
    let users = "ALTER TABLE auth.users ADD COLUMN name text";
    let seen = shop.rehearse(&[("1_users.sql", users)]).await;
    assert_eq!(seen.result, Verdict::Failed);
    assert_eq!(seen.reason, Reason::PermissionDenied.as_str());
    assert!(seen.message.contains("SQLSTATE 42501"), "{}", seen.message);
}

/// M9: a role that the backup does not have is made as it is on the server; without its definition nobody can tell.
#[tokio::test(flavor = "multi_thread")]
async fn m9_who_migrates_is_who_he_is_on_the_server() {
    let shop = Shop::new(17).await;
    let files: Files<'_> = &[("1_a.sql", "CREATE TABLE mine (id int)")];
    let missing = shop
        .with(files, |r| "deployer".clone_into(&mut r.login.name))
        .await
        .unwrap_err();
    assert_eq!(missing.reason(), Reason::RehearsalIncomplete, "{missing}");
    let role = |statements: &[&str]| lifeboat::manifest::Role {
        name: "deployer".to_owned(),
        statements: statements.iter().map(|s| (*s).to_owned()).collect(),
    };
    let whole = role(&[
        "CREATE ROLE deployer",
        "ALTER ROLE deployer WITH NOSUPERUSER LOGIN",
        "GRANT app TO deployer",
    ]);
    let seen = shop
        .with(files, |r| {
            "deployer".clone_into(&mut r.login.name);
            r.login.roles = vec![whole];
            r.acting.role = Some("app".to_owned());
        })
        .await
        .unwrap();
    assert_eq!(seen.result, Verdict::Passed, "{}", print(&seen));
    let owner = |seen: &Evidence| {
        let table = seen.touched.iter().find(|t| t.desc == "TABLE").unwrap();
        table.after[0].0.display()
    };
    assert_eq!(owner(&seen), "app");
    let stranger = role(&["CREATE ROLE deployer", "GRANT nobody_here TO deployer"]);
    let failed = shop
        .with(files, |r| {
            "deployer".clone_into(&mut r.login.name);
            r.login.roles = vec![stranger];
        })
        .await
        .unwrap_err();
    assert_eq!(failed.reason(), Reason::RehearsalIncomplete, "{failed}");
}

/// M13: a way back that leaves something behind, loses rows, or cannot be gone is no way back.
#[rstest]
#[case::leaves_a_column("ALTER TABLE orders ADD COLUMN note text", "SELECT 1", "4 columns")]
#[case::loses_rows(
    "ALTER TABLE orders ADD COLUMN note text",
    "ALTER TABLE orders DROP COLUMN note; DELETE FROM orders WHERE id = 1",
    "99"
)]
#[case::loses_values("UPDATE orders SET total = 0 WHERE id = 1", "SELECT 1", "content")]
#[case::fails("CREATE TABLE a (id int)", "DROP TABLE b", "SQLSTATE 42P01")]
#[case::not_twice(
    "CREATE SEQUENCE a",
    "ALTER SEQUENCE a RENAME TO b",
    "sequence public.b"
)]
#[tokio::test(flavor = "multi_thread")]
async fn m13_a_way_back_that_leads_elsewhere_is_told(
    #[case] up: &str,
    #[case] down: &str,
    #[case] says: &str,
) {
    let shop = Shop::new(15).await;
    let seen = shop
        .rehearse(&[("1_a.sql", up), ("1_a.sql.down", down)])
        .await;
    assert_eq!(seen.result, Verdict::Failed, "{}", print(&seen));
    assert_eq!(seen.way_back, WayBack::Broken, "{}", print(&seen));
    assert_eq!(seen.reason, Reason::WayBackBroken.as_str());
    assert!(seen.message.contains(says), "{}", seen.message);
}

/// A plan that was made for another state of production does not fit the backup.
#[tokio::test(flavor = "multi_thread")]
async fn m23_a_backup_that_is_older_than_the_last_migration_is_none_to_rehearse_on() {
    let shop = Shop::new(15).await;
    let frozen = |head: &str| {
        Wanted::Frozen(plan::Plan {
            direction: Direction::Up,
            files: Vec::new(),
            head: head.to_owned(),
        })
    };
    let old = shop.with(&[], |r| r.wanted = frozen("later")).await;
    assert_eq!(old.unwrap_err().reason(), Reason::PlanVoid);
    let fits = shop.with(&[], |r| r.wanted = frozen("")).await.unwrap();
    assert_eq!(fits.result, Verdict::Passed, "{}", print(&fits));
}

/// M9: event triggers come back with the backup; one that only production has, or has otherwise, is met by no statement here.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m9_an_event_trigger_that_only_production_has_is_named(#[values(15, 17)] major: i32) {
    let source = Server::start(major, &[]);
    source.database("shop", "TEMPLATE template0").await;
    let guard = "CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN  END'; \
        CREATE EVENT TRIGGER guard ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION guard(); \
        CREATE EVENT TRIGGER off ON sql_drop EXECUTE FUNCTION guard(); ALTER EVENT TRIGGER off DISABLE";
    source.sql("shop", &format!("{SHOP}; {guard}")).await;
    let session = source.session("shop").await;
    let around = surroundings(&session.client).await.unwrap();
    assert_eq!(around.event_triggers.len(), 1, "{around:?}");
    let shop = Shop::of(&source, major).await;
    let table: Files<'_> = &[("1_a.sql", "CREATE TABLE mine (id int)")];
    let with = async |files: Files<'_>, around: &Surroundings| {
        shop.with(files, |r| r.surroundings = around.clone()).await
    };
    let seen = with(table, &around).await.unwrap();
    assert_eq!(seen.result, Verdict::Passed, "{}", print(&seen));
    source.sql("shop", "ALTER EVENT TRIGGER off ENABLE").await;
    let more = surroundings(&session.client).await.unwrap();
    let failed = with(table, &more).await.unwrap_err();
    assert_eq!(failed.reason(), Reason::RehearsalIncomplete, "{failed}");
    let failed = failed.to_string();
    assert!(
        failed.contains("off (sql_drop)") && !failed.contains("guard"),
        "{failed}"
    );
    // What fires none is rehearsed all the same.
    let rows: Files<'_> = &[("1_a.sql", "UPDATE orders SET total = 0")];
    let seen = with(rows, &more).await.unwrap();
    assert_eq!(seen.result, Verdict::Passed, "{}", print(&seen));
}

/// M22: the scratch server builds indexes with the memory that production has, and says where it has less.
#[tokio::test(flavor = "multi_thread")]
async fn m22_maintenance_is_as_in_production() {
    let shop = Shop::new(15).await;
    let files: Files<'_> = &[("1_a.sql", "CREATE TABLE mine (id int)")];
    let built = "SELECT current_setting('maintenance_work_mem') = '65MB' AND current_setting('max_parallel_maintenance_workers') = '1'";
    let less = "SELECT pg_size_bytes(current_setting('maintenance_work_mem')) BETWEEN 64 * 1024 * 1024 AND 1000 * pg_size_bytes('1GB')";
    for (memory, check, notes) in [("66560kB", built, 0), ("1073741824kB", less, 1)] {
        let settings = [
            ("maintenance_work_mem", memory),
            ("max_parallel_maintenance_workers", "1"),
        ];
        let settings = settings.map(|(n, v)| (n.to_owned(), v.to_owned()));
        let seen = shop.with(files, |r| {
            r.surroundings.settings = settings.into();
            r.checks.pre = vec![MigrationCheck {
                name: "memory".to_owned(),
                sql: Some(check.to_owned()),
                ..MigrationCheck::default()
            }];
        });
        let seen = seen.await.unwrap();
        assert_eq!(seen.result, Verdict::Passed, "{}", print(&seen));
        let said = seen
            .notes
            .iter()
            .filter(|n| n.contains("and production 1073741824kB"));
        assert_eq!(said.count(), notes, "{:?}", seen.notes);
    }
}
