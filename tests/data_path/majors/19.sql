-- New in PostgreSQL 19.
CREATE SCHEMA v19; SET search_path = v19, public;
CREATE TABLE kept (id int PRIMARY KEY, o oid8 DEFAULT '18446744073709551615', d regdatabase); INSERT INTO kept (id, d) VALUES (1, 'template1');
CREATE TABLE secret (id int); CREATE TABLE "other Secret" (id int);
CREATE PUBLICATION all_but FOR ALL TABLES EXCEPT (TABLE secret, "other Secret"), ALL SEQUENCES; CREATE PUBLICATION sequences FOR ALL SEQUENCES;
CREATE SERVER subscribed FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1'); CREATE USER MAPPING FOR postgres SERVER subscribed OPTIONS (user 'u', password 'never shown');
CREATE SUBSCRIPTION by_server SERVER subscribed PUBLICATION p WITH (connect = false, slot_name = NONE);
CREATE TABLE computed (a int, v int GENERATED ALWAYS AS (a % 7) VIRTUAL, w int GENERATED ALWAYS AS (a * 2), CHECK (w > 0) NOT ENFORCED); INSERT INTO computed (a) VALUES (1), (8); CREATE STATISTICS of_virtual ON v, a FROM computed; ALTER TABLE computed ALTER v SET EXPRESSION AS (a % 5);
CREATE FUNCTION takes(n int) RETURNS int BEGIN ATOMIC INSERT INTO v19.kept (id) VALUES (n) ON CONFLICT (id) DO SELECT FOR UPDATE RETURNING id; END;
CREATE VIEW windowed AS SELECT lag(a) IGNORE NULLS OVER (ORDER BY a) AS before, first_value(a) RESPECT NULLS OVER (ORDER BY a) AS first, JSON_ARRAY(SELECT a FROM computed) AS j FROM computed;
CREATE TABLE lax (a int CONSTRAINT positive CHECK (a > 0)); ALTER TABLE lax ALTER CONSTRAINT positive NOT ENFORCED; INSERT INTO lax VALUES (-1);
CREATE FOREIGN DATA WRAPPER connects HANDLER public.postgres_fdw_handler VALIDATOR public.postgres_fdw_validator CONNECTION public.postgres_fdw_connection; CREATE SERVER by_it FOREIGN DATA WRAPPER connects OPTIONS (host '127.0.0.1', port '1');
CREATE AGGREGATE least_of (int) (sfunc = int4smaller, stype = int, sortop = <);
