//! Extensions as Debian packages them, which showed faults: used for real, backed up, drilled, restored. What a correct backup
//! of each is worth, and what is said of it, stands in a line. The databases are those of `make sweep-extensions`, dev/sweep/use.

use std::path::Path;
use std::sync::Arc;

use lifeboat::api::restore_drill::Verdict;
use lifeboat::manifest::Proof;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::load::Roles;
use lifeboat::postgres::preflight::preflight;
use lifeboat::postgres::{LockPatience, Silent};
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use lifeboat::work::restore::{Plan as RestorePlan, Restored, run as restore};
use lifeboat::work::verify::{Accepted, Subject};
use rstest::rstest;

use crate::drills::{Folders, check, drill_plan, run_file, shown};
use crate::pg::{Server, with_extensions};
use crate::runs::{FIRST, plan};
use crate::spoiled::assert_says;

const MAJOR: i32 = 17;
/// Nothing works by itself in the servers of a test: it would be there at one time and not at another.
const STILL: [&str; 2] = [
    "cron.launch_active_jobs=off",
    "timescaledb.max_background_workers=0",
];

/// A database that uses an extension.
struct Recipe {
    sql: String,
    settings: Vec<String>,
    database: String,
}

impl Recipe {
    /// A file with a head of `-- preload: NAMES`, `-- set: NAME = VALUE` and `-- database: NAME`.
    fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/sweep/use");
        let sql = std::fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap();
        let said = |key: &str| {
            let head = format!("-- {key}: ");
            let lines = sql.lines().filter_map(|l| l.strip_prefix(&head));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let preload = said("preload").into_iter();
        let preload = preload.map(|names| format!("shared_preload_libraries={names}"));
        let set = said("set").into_iter().map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            format!("{}={}", name.trim(), value.trim().trim_matches('\''))
        });
        Self {
            settings: preload.chain(set).collect(),
            database: said("database").pop().unwrap_or("shop".to_owned()),
            sql,
        }
    }
}

struct Made {
    recipe: Recipe,
    source: Server,
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// Tables of extensions with rows that no dump holds, which the check told.
    told: Vec<String>,
}

impl Made {
    /// A backup of the database of a recipe.
    async fn of(name: &str) -> Self {
        let mut recipe = Recipe::read(name);
        let source = server(&recipe).await;
        // Where the sweep has its files.
        let here = source.dir.path().to_str().unwrap();
        recipe.sql = recipe.sql.replace("/mnt/work", here);
        run_file(&source, &recipe.database, &recipe.sql);
        let target = source.target(&recipe.database);
        let told = preflight(&target, "test").await.unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
        let scratch = tempfile::tempdir().unwrap();
        let mut plan = plan(target, MAJOR, store.clone(), FIRST, &scratch);
        plan.postgres_folders = vec![with_extensions()];
        let prefix = make(&plan, &Silent).await.unwrap().prefix;
        Self {
            recipe,
            source,
            store,
            prefix,
            told: told.facts.extension_data,
        }
    }

    fn plan(&self, folders: &Folders) -> lifeboat::work::drill::Plan {
        let mut plan = drill_plan(self.store.clone(), &self.prefix, MAJOR, folders);
        plan.postgres_folders = vec![with_extensions()];
        plan
    }

    async fn drilled(&self, accepted: &[String]) -> Proof {
        let folders = Folders::new();
        let mut plan = self.plan(&folders);
        plan.accepted = accepted.iter().cloned().collect();
        drill(&plan, &Silent).await.unwrap().proof
    }

    /// Restored by `lifeboat restore` into another server.
    async fn restored(&self) -> Restored {
        let into = server(&self.recipe).await;
        let (volume, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let plan = RestorePlan {
            store: self.store.clone(),
            identities: None,
            at: self.prefix.clone(),
            subject: Subject {
                target: into.target(&self.recipe.database),
                scratch: scratch.path().to_owned(),
                postgres_folders: vec![with_extensions()],
                patience: LockPatience::default(),
                application_name: "test".to_owned(),
            },
            volume: volume.path().to_owned(),
            roles: Roles::Create,
            jobs: 4,
            accepted: Accepted::default(),
        };
        restore(&plan, &Silent).await.unwrap()
    }
}

fn whole(restored: &Restored) {
    let said: Vec<_> = restored.errors.iter().map(|e| &e.error).collect();
    assert!(said.is_empty(), "{said:?}");
    let found = &restored.comparison.differences;
    assert!(found.is_empty(), "{found:?}");
}

/// A server with the settings of a recipe and an empty database.
async fn server(recipe: &Recipe) -> Server {
    let settings = recipe.settings.iter().map(String::as_str);
    let settings: Vec<&str> = settings.chain(STILL).collect();
    let server = Server::with(&with_extensions(), MAJOR, &settings);
    if recipe.database != "postgres" {
        let more = "TEMPLATE template0 LOCALE 'C'";
        server.database(&recipe.database, more).await;
    }
    server
}

fn proven(proof: &Proof) {
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(proof));
    assert!(proof.proves, "{}", shown(proof));
    assert_eq!(proof.score, Some(100), "{}", shown(proof));
}

/// Proven; or equal but for what no dump holds, each of which is named, and proven where all of that is accepted by its name.
/// Answers the proof and the names.
async fn worth(made: &Made, lost: &[&str]) -> (Proof, Vec<String>) {
    let proof = made.drilled(&[]).await;
    if lost.is_empty() {
        proven(&proof);
        return (proof, Vec::new());
    }
    assert_says(&proof, Verdict::Passed, "Partial", &[]);
    let told = proof.not_compared.iter().map(|line| {
        let said = line.strip_prefix("no dump holds it: ").unwrap();
        said.split_once(": ").unwrap().0.to_owned()
    });
    let told: Vec<String> = told.collect();
    let known = |name: &String| lost.iter().any(|words| name.contains(words));
    assert!(told.iter().all(known), "{}", shown(&proof));
    for words in lost {
        let named = told.iter().any(|name| name.contains(words));
        assert!(named, "{words}: {}", shown(&proof));
    }
    let accepted = made.drilled(&told).await;
    proven(&accepted);
    for name in &told {
        let noted = |n: &String| n.contains(name) && n.contains("accepted");
        assert!(accepted.notes.iter().any(noted), "{}", shown(&accepted));
    }
    (proof, told)
}

/// G4: tables of an extension have their foreign keys from CREATE EXTENSION on. A race shows in several drills only.
#[rstest]
#[case::of_statistics("pg_statviz", &[])]
#[case::of_queues("pgq_node", &["sequence pgq.consumer_co_id_seq", "sequence pgq.queue_queue_id_seq", "sequence pgq.subscription_sub_id_seq"])]
#[case::of_formats("pointcloud", &[])]
#[case::of_formats_that_sort_late("pointcloud@early-table", &[])]
#[case::of_topologies("postgis_topology", &[])]
#[tokio::test(flavor = "multi_thread")]
async fn g4_tables_of_extensions_are_loaded_in_order_each_time(
    #[case] name: &str,
    #[case] lost: &[&str],
) {
    let made = Made::of(name).await;
    let (_, names) = worth(&made, lost).await;
    for _ in 0..2 {
        proven(&made.drilled(&names).await);
    }
    whole(&made.restored().await);
}

/// P10, G4: a correct backup is proven, unless the source has what no dump holds: tables of an extension that hold rows and are
/// not among its configuration are told by the check and in the proof's notes (`told`); where those are not the rows that CREATE
/// EXTENSION makes, and what somebody made of its own rows and objects, or it itself where it is installed, the drill finds (`lost`).
#[rstest]
#[case::keeps_empty_tables("repmgr", &[], &[])]
#[case::keeps_empty_tables("pglogical@unused", &[], &[])]
#[case::keeps_empty_tables("plprofiler", &[], &[])]
#[case::keeps_tables("pglogical", &["depend", "local_node", "node", "node_interface", "replication_set", "replication_set_table"], &["rows of pglogical."])]
#[case::keeps_tables("pg_squeeze", &["tables", "tables_internal"], &["rows of squeeze.tables", "sequence squeeze.tables_id_seq"])]
#[case::keeps_a_table_that_it_fills("pgautofailover", &["formation"], &[])]
#[case::revokes_from_another("pgl_ddl_deploy", &["local_node", "node", "node_interface", "replication_set"], &["privileges of function pglogical.", "privileges of schema pglogical", "rows of pglogical."])]
#[case::remarks_on_hypertables("timescaledb", &["compression_algorithm"], &["rows outside the filter of _timescaledb_catalog.metadata"])]
#[case::remarks_on_everything("pgaudit@client", &[], &[])]
#[case::writes_in_its_own_way("roaringbitmap@array", &[], &[])]
#[case::writes_exactly("unit", &[], &[])]
#[case::watches_definitions("periods@versioned", &[], &[])]
#[case::of_one_database_only("pg_cron@postgres", &[], &[])]
#[case::spatial("postgis", &[], &[])]
#[case::spatial_with_another_row("postgis@changed-srid", &[], &["rows outside the filter of public.spatial_ref_sys"])]
#[case::spatial_with_an_index("postgis@own-index", &[], &["index public.spatial_ref_sys_mine"])]
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_backup_of_an_extension_in_use_is_worth_what_is_said(
    #[case] name: &str,
    #[case] told: &[&str],
    #[case] lost: &[&str],
) {
    let made = Made::of(name).await;
    let tables = made.told.iter().map(|t| t.rsplit('.').next().unwrap());
    assert_eq!(tables.collect::<Vec<_>>(), told, "{:?}", made.told);
    let (proof, _) = worth(&made, lost).await;
    for table in &made.told {
        let left = format!("not in the backup: {table}");
        let noted = proof.notes.iter().any(|n| n.contains(&left));
        assert!(noted, "{left}: {}", shown(&proof));
    }
}

/// G18: what an extension does in every restore, by its true reason and with what can be done.
#[rstest]
#[case::its_trigger("pgagent", "ExtensionInTheWay", &["pgagent.pga_job", "pgagent 4.2", "stock tools", "--disable-triggers"])]
#[case::its_trigger("pg_fact_loader", "ExtensionInTheWay", &["fact_loader.fact_tables", "pg_fact_loader 2.0", "stock tools", "--disable-triggers"])]
#[case::its_rows("powa", "ExtensionInTheWay", &["powa_module_config", "CREATE EXTENSION powa", "stock tools", "empty the table"])]
#[case::its_version("pg_stat_statements@older", "ExtensionVersion", &["VIEW public.slow", "instead of 1.10", "spec.postgres.image", "ALTER EXTENSION"])]
#[tokio::test(flavor = "multi_thread")]
async fn g18_what_an_extension_does_in_every_restore_is_told(
    #[case] name: &str,
    #[case] reason: &str,
    #[case] words: &[&str],
) {
    let made = Made::of(name).await;
    let proof = made.drilled(&[]).await;
    assert_says(&proof, Verdict::Inconclusive, reason, words);
}

/// Its text has a digit too few, so that the value is in no dump: the restored one is another.
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_value_whose_text_does_not_give_it_back_is_no_equal_value() {
    let made = Made::of("unit@light-year").await;
    let proof = made.drilled(&[]).await;
    let words = ["public.length", "extension unit", "no dump holds"];
    assert_says(&proof, Verdict::Failed, "Differs", &words);
}

/// G30: jobs of a restored database do not run.
#[tokio::test(flavor = "multi_thread")]
async fn g30_jobs_of_a_restored_database_are_there_and_do_not_run() {
    let made = Made::of("pg_cron").await;
    let folders = Folders::new();
    let mut plan = made.plan(&folders);
    let off = "SELECT current_setting('cron.launch_active_jobs') = 'off' AND current_setting('cron.database_name') = 'shop'";
    let jobs = "SELECT count(*) = 2 FROM cron.job";
    plan.checks = vec![check("off", off), check("jobs", jobs)];
    proven(&drill(&plan, &Silent).await.unwrap().proof);
}

/// An event trigger that watches definitions has no say in a restore, by whatever road.
#[tokio::test(flavor = "multi_thread")]
async fn g18_periods_come_back_by_a_drill_and_by_a_restore() {
    let made = Made::of("periods").await;
    proven(&made.drilled(&[]).await);
    whole(&made.restored().await);
}

/// P9, P10: a foreign server that connects when it is made comes back also where its data source cannot be reached.
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_foreign_server_that_connects_when_it_is_made_is_proven() {
    let made = Made::of("ogr_fdw").await;
    let proof = made.drilled(&[]).await;
    proven(&proof);
    let asked = |n: &String| n.starts_with("foreign server towns: ");
    assert!(!proof.notes.iter().any(asked), "{}", shown(&proof));
    std::fs::remove_file(made.source.dir.path().join("towns.csv")).unwrap();
    let proof = made.drilled(&[]).await;
    proven(&proof);
    assert!(proof.notes.iter().any(asked), "{}", shown(&proof));
    // In a server of somebody's own the wrapper is asked, and its words are passed on.
    let restored = made.restored().await;
    let error = &restored.errors[0].error;
    assert_eq!(error.entry, "SERVER towns");
    let words = "unable to connect to data source";
    assert!(error.message.contains(words), "{error:?}");
}
