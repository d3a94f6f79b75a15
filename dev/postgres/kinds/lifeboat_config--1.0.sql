-- Rows below 1000 are the extension's own: a dump leaves them to CREATE EXTENSION, as postgis does with spatial_ref_sys.
CREATE TABLE places (id int PRIMARY KEY, what text CONSTRAINT named CHECK (what <> ''));
INSERT INTO places SELECT n, 'made ' || n FROM generate_series(1, 5) AS n;
SELECT pg_catalog.pg_extension_config_dump('places', 'WHERE id >= 1000');

-- Nobody dumps it, and it is empty until somebody writes into it.
CREATE TABLE jobs (id int, what text DEFAULT 'none');
CREATE INDEX by_what ON jobs (what);

CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION touch();
CREATE VIEW named_places AS SELECT id, what FROM places WHERE what IS NOT NULL;
CREATE TYPE state AS ENUM ('new', 'done');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');

-- Not in the configuration list: no dump says where it stands.
CREATE SEQUENCE steps;
