//! What a rehearsal sees of each statement, and what the application that was there before sees of them (M21).

use std::collections::BTreeMap;

use lifeboat::api::Reason;
use lifeboat::postgres::migrate::{Canary, Mode, Step};
use rstest::rstest;

use crate::bench::{Database, rehearse, rehearsed};
use crate::pg::Server;

const SHOP: &str = "CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers SELECT generate_series(1, 100); \
    CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers DEFERRABLE INITIALLY DEFERRED); \
    CREATE INDEX orders_customer ON orders (customer); INSERT INTO orders SELECT n, n FROM generate_series(1, 100) n; \
    CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM orders; \
    CREATE TABLE \"Odd \"\"Name\" (a int); CREATE TABLE parts (id int) PARTITION BY RANGE (id); \
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10)";

fn locks(step: &Step) -> Vec<(&str, Mode)> {
    step.locks.iter().map(|(k, m)| (k.as_str(), *m)).collect()
}

/// M7, M21: each statement answers for the locks that it took or strengthened, and for what it wrote anew.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m21_each_statement_is_measured_for_itself(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &[]);
    let database = Database::new(&server, "shop", SHOP).await;
    let text = "UPDATE orders SET id = id WHERE id <= 10;\n\
        CREATE TABLE made (id int);\n\
        SELECT count(*) FROM orders;\n\
        ALTER TABLE orders ADD COLUMN note text;\n\
        CREATE INDEX orders_note ON orders (note);\n\
        ALTER TABLE orders ALTER COLUMN id TYPE bigint;\n\
        INSERT INTO \"Odd \"\"Name\" SELECT generate_series(1, 1000);\n\
        INSERT INTO orders (id, customer) VALUES (1000, 8)";
    let order = database.order(&[("1_a.sql", text)]).await;
    let seen = rehearse(&database, &order).await;
    let whole = &seen.measured[&("1".to_owned(), 0)];
    let steps = &whole.statements;
    assert_eq!(steps.len(), 8);
    let orders = "public.orders";
    assert_eq!(locks(&steps[0]), [(orders, Mode::RowExclusive)]);
    assert_eq!(locks(&steps[1]), []);
    assert_eq!(locks(&steps[2]), [], "less than what is held");
    assert_eq!(locks(&steps[3]), [(orders, Mode::AccessExclusive)]);
    assert_eq!(locks(&steps[4]), []);
    let odd = ("public.\"Odd \"\"Name\"", Mode::RowExclusive);
    assert_eq!(locks(&steps[6]), [odd]);
    let key = steps[7].locks.get("public.customers");
    assert_eq!(key, Some(&Mode::RowShare), "what was deferred");
    let rewrites: Vec<usize> = (0..8).filter(|n| !steps[*n].rewritten.is_empty()).collect();
    assert_eq!(rewrites, [5]);
    assert!(steps[5].rewritten.contains(orders) && whole.rewritten == steps[5].rewritten);
    let rows: Vec<u64> = steps.iter().map(|s| s.rows).collect();
    assert_eq!((rows[0], rows[2], rows[6], rows[7]), (10, 1, 1000, 1));
    assert_eq!(whole.rows, rows);
    assert!(steps[6].wal > 10_000 && steps.iter().map(|s| s.wal).sum::<u64>() <= whole.wal);
    let mut strongest = BTreeMap::new();
    for (table, mode) in steps.iter().flat_map(|s| &s.locks) {
        let known = strongest.entry(table.clone()).or_insert(*mode);
        *known = (*known).max(*mode);
    }
    assert_eq!(strongest, whole.locks);
    let made: Vec<&str> = whole.indexes.keys().map(String::as_str).collect();
    assert_eq!(
        made,
        ["public.orders_note"],
        "those that were there are not new"
    );
    assert!(whole.indexes["public.orders_note"] >= 8192);
}

/// Outside transactions the locks are those of the closed list, and one step stands for the statement.
#[tokio::test(flavor = "multi_thread")]
async fn m21_a_lone_statement_is_one_step_with_the_lock_that_is_known_of_it() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", SHOP).await;
    let text = "CREATE INDEX CONCURRENTLY fresh ON orders (id, customer);\nDROP INDEX CONCURRENTLY orders_customer;\n\
        VACUUM customers;\nVACUUM parts;\nREFRESH MATERIALIZED VIEW sums;\nVACUUM";
    let order = database.order(&[("1_a.sql", text)]).await;
    let seen = rehearse(&database, &order).await;
    let of = |n: usize| &seen.measured[&("1".to_owned(), n)];
    let update = Mode::ShareUpdateExclusive;
    for (n, want) in [
        (0, vec![("public.orders", update)]),
        (1, vec![("public.orders", update)]),
        (2, vec![("public.customers", update)]),
        (
            3,
            vec![("public.parts", update), ("public.parts_1", update)],
        ),
    ] {
        assert_eq!(of(n).statements.len(), 1);
        assert_eq!(locks(&of(n).statements[0]), want, "{n}");
        assert!(of(n).locks.is_empty(), "none to take ahead");
    }
    assert_eq!(of(0).indexes.keys().collect::<Vec<_>>(), ["public.fresh"]);
    assert!(of(0).index.as_deref().unwrap().contains("(id, customer)"));
    let refresh = &of(4).statements[0];
    assert_eq!(refresh.locks["public.sums"], Mode::AccessExclusive);
    assert!(refresh.rewritten.contains("public.sums"));
    assert_eq!(of(5).statements[0].locks.len(), 6, "all of them");
}

/// M21: what an application had prepared before fails after a change of the columns, and only there.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m21_an_old_select_star_tells_which_tables_changed_their_columns(
    #[values(15, 17)] major: i32,
) {
    let server = Server::start(major, &[]);
    let database = Database::new(&server, "shop", SHOP).await;
    server
        .sql("shop", "CREATE VIEW all_orders AS SELECT * FROM orders")
        .await;
    let mut canary = Canary::open(&database.target).await.unwrap();
    assert!(canary.look().await.unwrap().is_empty());
    let order = database
        .order(&[(
            "1_a.sql",
            "ALTER TABLE \"Odd \"\"Name\" ADD COLUMN b text; CREATE INDEX i ON orders (id, customer); \
             ALTER TABLE parts ADD COLUMN b text; DROP TABLE orders CASCADE; CREATE TABLE fresh (a int); \
             UPDATE customers SET id = id",
        )])
        .await;
    database.apply(&order).await.unwrap();
    let want = ["public.\"Odd \"\"Name\"", "public.parts", "public.parts_1"];
    assert_eq!(canary.look().await.unwrap(), want);
    assert_eq!(canary.look().await.unwrap(), want, "as long as it is so");
    let back = "ALTER TABLE \"Odd \"\"Name\" DROP COLUMN b";
    server.sql("shop", back).await;
    assert_eq!(canary.look().await.unwrap(), want[1..]);
    let held = "SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE a.application_name = 'lifeboat/canary'";
    assert_eq!(database.ask::<i64>(held).await, 0, "in nobody's way");
}

/// M20: warnings of the server are findings: none is lost among notices, and none is longer than a line.
#[tokio::test(flavor = "multi_thread")]
async fn m20_what_the_server_warns_of_is_kept_from_a_rehearsal() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", SHOP).await;
    let block = "DO $$ BEGIN FOR n IN 1..50 LOOP RAISE NOTICE 'no %', n; END LOOP; RAISE WARNING 'password=abc %', repeat('x', 500); END $$";
    let many = "DO $$ BEGIN FOR n IN 1..50 LOOP RAISE WARNING 'many'; END LOOP; END $$";
    let files = [
        ("1_a.sql", block),
        ("2_b.sql", "SELECT 1"),
        ("3_c.sql", many),
        ("4_d.sql", "VACUUM orders"),
    ];
    let seen = rehearse(&database, &database.order(&files).await).await;
    let of = |version: &str| &seen.measured[&(version.to_owned(), 0)].warnings;
    let [warning] = of("1").as_slice() else {
        panic!("{:?}", of("1"));
    };
    assert!(warning.starts_with("01000: password=*** xxx"), "{warning}");
    assert_eq!(warning.chars().count(), 200);
    assert!(of("2").is_empty() && of("4").is_empty());
    assert_eq!(of("3").len(), 20);
}

/// M21: temporary files, each with the statement that left it, and nothing said where nobody was told.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m21_temporary_files_are_counted_by_the_statement_that_left_them(
    #[values(15, 17)] major: i32,
) {
    let told = [
        "log_temp_files=0",
        "work_mem=64kB",
        "maintenance_work_mem=1MB",
    ];
    let sorts = "SELECT g FROM generate_series(1, 100000) AS g ORDER BY -g";
    let text = format!(
        "CREATE TABLE many AS {sorts};\n{sorts};\nSELECT 1;\nSET client_min_messages = warning;\n{sorts};\nVACUUM many;\n\
         CREATE INDEX CONCURRENTLY many_g ON many (g)"
    );
    for (settings, told) in [(&told[..], true), (&told[1..], false)] {
        let server = Server::start(major, settings);
        let database = Database::new(&server, "shop", SHOP).await;
        let order = database.order(&[("1_a.sql", &text)]).await;
        let seen = rehearse(&database, &order).await;
        let of = |segment: usize| {
            let steps = &seen.measured[&("1".to_owned(), segment)].statements;
            steps.iter().map(|s| s.temporary).collect::<Vec<_>>()
        };
        if !told {
            assert!(of(0).iter().chain(&of(2)).all(Option::is_none));
            continue;
        }
        let first = of(0);
        let many = |bytes: Option<u64>| bytes.is_some_and(|b| b > 500_000);
        assert!(many(first[0]) && many(first[1]), "{first:?}");
        assert_eq!(
            first[2..],
            [Some(0), None, None],
            "who stops listening is not told"
        );
        assert_eq!(of(1), [Some(0)]);
        assert!(many(of(2)[0]), "{:?}", of(2));
    }
}

/// M8: rows of another order than rehearsed undo their segment; what a query answers is nobody's row.
#[rstest]
#[case::none_of_many(
    "UPDATE orders SET id = id WHERE customer > 50",
    "DELETE FROM orders",
    Some("wrote 0 rows, and 50")
)]
#[case::many_of_none(
    "DELETE FROM orders WHERE customer < 0",
    "INSERT INTO customers SELECT -n FROM generate_series(1, 20) n; INSERT INTO orders SELECT -n, -n FROM generate_series(1, 20) n",
    Some("wrote 20 rows, and 0")
)]
#[case::a_few_of_none(
    "DELETE FROM orders WHERE customer < 0",
    "INSERT INTO customers VALUES (-1); INSERT INTO orders VALUES (-1, -1)",
    None
)]
#[case::a_few_more(
    "UPDATE orders SET id = id WHERE customer > 50",
    "DELETE FROM orders WHERE customer > 90",
    None
)]
#[case::a_query("SELECT id FROM orders", "DELETE FROM orders", None)]
#[tokio::test(flavor = "multi_thread")]
async fn m8_rows_are_of_the_order_that_was_rehearsed(
    #[case] statement: &str,
    #[case] since: &str,
    #[case] says: Option<&str>,
) {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", SHOP).await;
    let text = format!("CREATE TABLE made (id int);\n{statement}");
    let order = rehearsed(&database, database.order(&[("1_a.sql", &text)]).await).await;
    server.sql("shop", since).await;
    let end = database.apply(&order).await;
    let made: bool = database.ask("SELECT to_regclass('made') IS NOT NULL").await;
    assert_eq!(made, says.is_none());
    match (end, says) {
        (Ok(_), None) => {}
        (Err(stop), Some(says)) => {
            assert_eq!(stop.reason, Reason::NotAsRehearsed, "{stop}");
            assert!(
                stop.message.contains("statement 2 of 1_a.sql (line 2)"),
                "{stop}"
            );
            assert!(stop.message.contains(says), "{stop}");
        }
        (end, says) => panic!("{says:?}: {end:?}"),
    }
}
