//! What planning asks before there is a backup and a rehearsal: the past, and rights. Once a right is given, the backup that is there does (M2, M9).

use lifeboat::api::Reason;
use lifeboat::api::migration_run::MigrationChecks;
use lifeboat::api::restore_drill::Verdict;
use lifeboat::objects::Depth;
use lifeboat::task::StepTask;
use rstest::rstest;

use crate::migrates::{FILES, Shop};
use crate::runs::FIRST;

/// Nobody but who owns the database makes anything in `public`; `till` is somebody else's.
const CLOSED: &str = "REVOKE ALL ON SCHEMA public FROM app; GRANT USAGE ON SCHEMA public TO app; CREATE ROLE clerk; \
    CREATE TABLE till (id int); ALTER TABLE till OWNER TO clerk; CREATE TABLE safe (id int)";

const NOTE: (&str, &str) = FILES[0];

/// Asked of production, given there, and given to the backup in its rehearsal: nothing is backed up anew.
#[rstest]
#[case::to_make_something(
    ("2_index.sql", "CREATE INDEX CONCURRENTLY orders_total ON orders (total)"),
    &["2_index.sql, line 1: CREATE INDEX needs CREATE on the schema \"public\""],
    "GRANT CREATE ON SCHEMA \"public\" TO \"app\""
)]
#[case::to_write(
    ("2_till.sql", "SELECT 1;\nINSERT INTO till VALUES (1)"),
    &["2_till.sql, line 2: INSERT needs INSERT on \"public\".\"till\""],
    "GRANT INSERT ON \"public\".\"till\" TO \"app\""
)]
#[case::of_an_owner(
    ("2_till.sql", "ALTER TABLE till ADD COLUMN note text"),
    &["which belongs to \"clerk\"", "(or ALTER TABLE public.till OWNER TO \"app\")"],
    "GRANT \"clerk\" TO \"app\""
)]
#[case::of_a_superuser(
    ("2_safe.sql", "ALTER TABLE safe ADD COLUMN note text"),
    &["which belongs to \"postgres\""],
    "ALTER TABLE public.safe OWNER TO \"app\""
)]
#[case::that_nobody_sees_in_a_block(
    ("2_till.sql", "DO $$ BEGIN INSERT INTO till VALUES (1); END $$"),
    &[],
    "GRANT INSERT ON till TO app"
)]
#[tokio::test(flavor = "multi_thread")]
async fn m9_a_right_that_was_given_since_needs_no_new_backup(
    #[case] file: (&str, &str),
    #[case] says: &[&str],
    #[case] mend: &str,
) {
    let mut shop = Shop::with(&[NOTE, file], CLOSED).await;
    shop.spec.checks = Some(MigrationChecks::default());
    if !says.is_empty() {
        let result = shop.step(StepTask::Plan, FIRST).await;
        let message = &result.message;
        assert_eq!(result.reason, Reason::PermissionDenied, "{message}");
        for words in says.iter().chain([&mend]) {
            assert!(message.contains(words), "{words}: {message}");
        }
        let page = shop.store().list("migrations/", Depth::All, None).await;
        assert!(page.unwrap().objects.is_empty(), "nothing is kept");
    }
    shop.server.sql("shop", mend).await;
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    assert_eq!(seen.result, Verdict::Passed, "{}", seen.message);
    // Memberships come with the roles.
    let told = seen
        .notes
        .iter()
        .any(|n| n.contains("rights that production has given"));
    assert_eq!(
        told,
        !mend.starts_with("GRANT \"clerk\""),
        "{:?}",
        seen.notes
    );
    shop.prove().await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let result = shop.step(step, FIRST).await;
    assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
}

/// M2: a past that somebody else wrote down, or nobody.
#[tokio::test(flavor = "multi_thread")]
async fn m2_a_past_that_is_not_known_is_asked_for() {
    let mut shop = Shop::new(FILES).await;
    shop.spec.history = None;
    let result = shop.step(StepTask::Plan, FIRST).await;
    assert_eq!(result.reason, Reason::BaselineMissing, "{}", result.message);
    shop.server
        .sql("shop", "CREATE TABLE _sqlx_migrations (version bigint)")
        .await;
    let result = shop.step(StepTask::Plan, FIRST).await;
    assert_eq!(result.reason, Reason::ForeignMigrator, "{}", result.message);
}
