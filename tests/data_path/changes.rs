//! What can be wrong with a restored database: the corpus of `verifies.rs`.

/// What is done to a restored database, and what must be told of it, each as `what object`.
pub const CHANGES: &[(&str, &str, &[&str])] = &[
    (
        "one row changed",
        "UPDATE shop.orders SET total = total + 1 WHERE id = 7",
        &["content shop.orders"],
    ),
    (
        "one row missing",
        "DELETE FROM shop.orders WHERE id = 7",
        &["rows shop.orders"],
    ),
    (
        "one row doubled",
        "INSERT INTO shop.archive SELECT 1; UPDATE shop.archive SET id = id",
        &["rows shop.archive"],
    ),
    (
        "a row moved to another table",
        "WITH x AS (DELETE FROM shop.orders WHERE id = 7 RETURNING *) INSERT INTO shop.archive SELECT * FROM x",
        &["rows shop.archive", "rows shop.orders"],
    ),
    (
        "two rows swapped their values",
        "UPDATE shop.customers SET mail = NULL WHERE id < 3; UPDATE shop.customers SET mail = (3 - id) || '@example' WHERE id < 3",
        &["content shop.customers"],
    ),
    (
        "a row in another partition",
        "ALTER TABLE shop.parts DETACH PARTITION shop.p1; WITH x AS (DELETE FROM shop.p0 WHERE ctid = '(0,1)' RETURNING *) INSERT INTO shop.p1 SELECT * FROM x",
        &["rows shop.p0", "rows shop.p1", "TABLE ATTACH shop.p1"],
    ),
    (
        "a value NULL instead of empty",
        "UPDATE kinds SET b = NULL WHERE b = ''",
        &["content public.kinds"],
    ),
    (
        "a float off by its last digit",
        "UPDATE kinds SET f = 0.3 WHERE a = 3",
        &["content public.kinds"],
    ),
    (
        "a table missing",
        "DROP TABLE shop.archive",
        &["table shop.archive"],
    ),
    (
        "a table too many",
        "CREATE TABLE shop.more (a int)",
        &["table shop.more"],
    ),
    (
        "a row in the child",
        "DELETE FROM shop.child",
        &["rows shop.child"],
    ),
    (
        "an index missing",
        "DROP INDEX shop.orders_customer",
        &["INDEX shop.orders_customer"],
    ),
    (
        "an index of other columns",
        "DROP INDEX shop.orders_customer; CREATE INDEX orders_customer ON shop.orders (total) WHERE state = 'new'",
        &["INDEX shop.orders_customer"],
    ),
    (
        "a constraint validated",
        "ALTER TABLE shop.orders VALIDATE CONSTRAINT cheap",
        &["CHECK CONSTRAINT shop.orders cheap"],
    ),
    (
        "a foreign key missing",
        "ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey",
        &["FK CONSTRAINT shop.orders orders_customer_fkey"],
    ),
    (
        "a sequence behind",
        "SELECT setval('shop.orders_id_seq', 499)",
        &["sequence shop.orders_id_seq"],
    ),
    (
        "a sequence's value not given out",
        "SELECT setval('shop.orders_id_seq', 500, false)",
        &["sequence shop.orders_id_seq"],
    ),
    (
        "a function's body",
        "CREATE OR REPLACE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 3'",
        &["FUNCTION shop.twice(integer)"],
    ),
    (
        "a privilege more",
        "GRANT DELETE ON shop.orders TO shop_reader",
        &["ACL shop.TABLE orders"],
    ),
    (
        "a column's privilege less",
        "REVOKE SELECT (id) ON shop.customers FROM shop_reader",
        &["ACL shop.COLUMN customers.id"],
    ),
    (
        "another owner",
        "ALTER TABLE shop.archive OWNER TO shop_app",
        &["owner TABLE shop.archive"],
    ),
    (
        "another default",
        "ALTER TABLE shop.orders ALTER total SET DEFAULT 1",
        &["TABLE shop.orders"],
    ),
    (
        "a policy",
        "ALTER POLICY own ON shop.customers USING (true)",
        &["POLICY shop.customers own"],
    ),
    (
        "row security off",
        "ALTER TABLE shop.customers DISABLE ROW LEVEL SECURITY",
        &["ROW SECURITY shop.customers"],
    ),
    (
        "a trigger disabled",
        "ALTER TABLE shop.orders DISABLE TRIGGER touched",
        &["TRIGGER shop.orders touched"],
    ),
    (
        "a trigger missing",
        "DROP TRIGGER touched ON shop.orders",
        &["TRIGGER shop.orders touched"],
    ),
    (
        "a type's value",
        "ALTER TYPE shop.state ADD VALUE 'lost'",
        &["TYPE shop.state"],
    ),
    (
        "a domain's check",
        "ALTER DOMAIN shop.cents ADD CHECK (VALUE < 1000000)",
        &["DOMAIN shop.cents"],
    ),
    (
        "a view",
        "CREATE OR REPLACE VIEW shop.open AS SELECT * FROM shop.orders",
        &["VIEW shop.open"],
    ),
    (
        "a materialized view emptied",
        "REFRESH MATERIALIZED VIEW shop.sums WITH NO DATA",
        &["MATERIALIZED VIEW DATA shop.sums"],
    ),
    (
        "a comment",
        "COMMENT ON TABLE shop.orders IS 'what was bought'",
        &["COMMENT shop.TABLE orders"],
    ),
    (
        "default privileges",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA shop REVOKE SELECT ON TABLES FROM shop_reader",
        &["DEFAULT ACL shop.DEFAULT PRIVILEGES FOR TABLES"],
    ),
    (
        "a publication",
        "ALTER PUBLICATION everything ADD TABLE shop.archive",
        &["PUBLICATION TABLE shop.everything archive"],
    ),
    (
        "a setting of the database",
        "ALTER DATABASE shop SET work_mem = '8MB'",
        &["DATABASE PROPERTIES of the database"],
    ),
    (
        "a privilege on the database",
        "REVOKE CONNECT ON DATABASE shop FROM shop_reader",
        &["ACL DATABASE"],
    ),
    (
        "a large object's byte",
        "SELECT lo_put(4711, 1, '\\x01')",
        &["large objects all"],
    ),
    (
        "a large object missing",
        "SELECT lo_unlink(4712)",
        &["large objects all"],
    ),
    (
        "a schema missing",
        "DROP SCHEMA shop CASCADE",
        &["table shop.orders", "SCHEMA shop"],
    ),
    (
        "an extension too many",
        "CREATE EXTENSION IF NOT EXISTS plpgsql; CREATE SCHEMA more",
        &["SCHEMA more"],
    ),
    (
        "a role with more power",
        "ALTER ROLE shop_reader BYPASSRLS",
        &["role shop_reader"],
    ),
    (
        "a role without its group",
        "REVOKE shop_group FROM shop_app",
        &["role shop_app"],
    ),
    (
        "foreign keys not watched",
        "ALTER TABLE shop.orders DISABLE TRIGGER ALL",
        &["disabled triggers of constraints all"],
    ),
];
