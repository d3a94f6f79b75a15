-- What is lost when a dump is restored in one go.
CREATE ROLE shop_owner;
CREATE ROLE shop_rw;
CREATE ROLE shop_app LOGIN PASSWORD 'secret' IN ROLE shop_rw;
ALTER ROLE shop_app SET work_mem = '5MB';
ALTER DATABASE shop SET IntervalStyle = 'iso_8601';
ALTER DATABASE shop SET "my.zone" = 'north';
ALTER DATABASE shop SET default_transaction_read_only = on;
ALTER DATABASE shop SET statement_timeout = '60s';
ALTER ROLE shop_app IN DATABASE shop SET search_path = s;
COMMENT ON DATABASE shop IS 'two

lines; of the DATABASE shop: ''x''';
GRANT CONNECT ON DATABASE shop TO shop_rw;

SET default_transaction_read_only = off;
CREATE SCHEMA s;
GRANT CREATE, USAGE ON SCHEMA s TO shop_owner, shop_rw;

-- Rows that only fit in the time zone of the server, or under a setting of the database.
CREATE TABLE s.early (at timestamptz CHECK (extract(hour FROM at) = 3));
INSERT INTO s.early VALUES ('2026-01-01 03:10'), ('2026-06-01 03:50');
SET my.zone = 'north';
CREATE TABLE s.zoned (a int CHECK (current_setting('my.zone') = 'north'));
INSERT INTO s.zoned VALUES (1);

-- A view that is filled as its owner, whom a policy concerns.
SET ROLE shop_owner;
CREATE TABLE s.own (a int);
INSERT INTO s.own VALUES (1), (2);
ALTER TABLE s.own ENABLE ROW LEVEL SECURITY;
ALTER TABLE s.own FORCE ROW LEVEL SECURITY;
CREATE POLICY one ON s.own USING (a = 1);
CREATE MATERIALIZED VIEW s.seen AS SELECT * FROM s.own;
RESET ROLE;

-- What an application has set for the role that restores, and a check hangs on.
ALTER ROLE postgres SET "app.least" = 'it''s 7';
ALTER ROLE postgres IN DATABASE shop SET "app.most" = '9 ; 9';
SET app.least = 'it''s 7';
SET app.most = '9 ; 9';
CREATE TABLE s.bound (a int, CHECK (current_setting('app.least') = 'it''s 7' AND current_setting('app.most') = '9 ; 9'));
INSERT INTO s.bound VALUES (8);

-- What the server remarks is no refusal: a password that it calls old, a function in an index that warns.
SET password_encryption = 'md5';
CREATE ROLE shop_old LOGIN PASSWORD 'old';
GRANT SELECT ON s.bound TO shop_old;
CREATE FUNCTION s.warns(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RAISE WARNING ''warned''; RETURN $1; END';
CREATE INDEX ON s.bound (s.warns(a));
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    EXECUTE 'GRANT SET ON PARAMETER work_mem TO shop_old';
  END IF;
END $$;

-- A default that the definitions make.
CREATE TEXT SEARCH CONFIGURATION s.plain (COPY = simple);
ALTER DATABASE shop SET default_text_search_config = 's.plain';

-- Triggers that partitions alone have switched; their names sort before their parents'.
CREATE FUNCTION s.touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE s.z (a int, b int) PARTITION BY LIST (a);
CREATE TABLE s.m PARTITION OF s.z FOR VALUES IN (1) PARTITION BY LIST (b);
CREATE TABLE s.a_sub PARTITION OF s.m FOR VALUES IN (1);
CREATE TABLE s.b_sub PARTITION OF s.m FOR VALUES IN (2);
CREATE TABLE s.l1 PARTITION OF s.z FOR VALUES IN (2) PARTITION BY LIST (b);
CREATE TABLE s.l2 PARTITION OF s.l1 FOR VALUES IN (1) PARTITION BY LIST (b);
CREATE TABLE s.a3 PARTITION OF s.l2 FOR VALUES IN (1);
CREATE TRIGGER touched AFTER INSERT ON s.z FOR EACH ROW EXECUTE FUNCTION s.touched();
ALTER TABLE s.a_sub DISABLE TRIGGER touched;
ALTER TABLE s.b_sub ENABLE ALWAYS TRIGGER touched;
ALTER TABLE s.l1 DISABLE TRIGGER touched;
ALTER TABLE s.a3 ENABLE TRIGGER touched;

-- As the extension periods does: what changes the schema is refused. A dump fills materialized views after it.
CREATE FUNCTION s.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE 'no %', tg_tag;
END $$;
CREATE EVENT TRIGGER a_refuse ON ddl_command_start EXECUTE FUNCTION s.refuse();
