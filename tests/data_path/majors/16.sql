-- New in PostgreSQL 16.
CREATE SCHEMA v16; SET search_path = v16, public;
CREATE ROLE every_member; CREATE ROLE every_admin; GRANT every_group TO every_member WITH ADMIN OPTION, INHERIT FALSE, SET FALSE; GRANT every_owner TO every_member WITH INHERIT TRUE, SET FALSE; GRANT every_admin TO every_member WITH ADMIN OPTION;
GRANT pg_create_subscription TO every_owner; GRANT CREATE ON DATABASE every TO every_owner;
CREATE TABLE stored (a text STORAGE EXTERNAL, b text STORAGE MAIN); INSERT INTO stored VALUES (repeat('x', 5000), 'b');
CREATE TABLE documents (j jsonb CHECK (j IS JSON OBJECT WITH UNIQUE KEYS), t text CHECK (t IS JSON ARRAY)); INSERT INTO documents VALUES ('{"a": 1}', '[1, 2]');
CREATE VIEW built AS SELECT JSON_OBJECT('k' VALUE j, 'n' VALUE NULL ABSENT ON NULL) AS o, JSON_ARRAY(1, 'x', NULL NULL ON NULL) AS a, JSON_ARRAYAGG(j ORDER BY t) AS g, JSON_OBJECTAGG(t: 1 WITH UNIQUE KEYS RETURNING jsonb) AS h FROM documents GROUP BY j;
CREATE VIEW picked AS SELECT any_value(t) AS t, 0x1F AS hex, 1_000_000 AS million, 0b101 AS bits, random_normal(0, 1) IS NULL AS r FROM documents;
CREATE VIEW unnamed AS SELECT * FROM (SELECT 1 AS one); CREATE VIEW zoned AS SELECT date_add(timestamptz '2020-01-01 00:00Z', '1 day', 'Europe/Zurich') AS at, array_shuffle(ARRAY[1]) AS s, array_sample(ARRAY[1, 2], 1) AS m;
CREATE TABLE defaults (a int DEFAULT 5, b int); CREATE FUNCTION copies() RETURNS void LANGUAGE plpgsql AS 'BEGIN COPY v16.defaults FROM PROGRAM ''true'' (DEFAULT ''\D''); END';
CREATE COLLATION ruled (provider = icu, locale = 'und', rules = '&V << w <<< W'); CREATE TABLE by_rule (k text COLLATE ruled PRIMARY KEY); INSERT INTO by_rule VALUES ('v'), ('w'); CREATE INDEX brin_lossy ON defaults USING brin (a) WITH (autosummarize = on);
CREATE SUBSCRIPTION fine CONNECTION 'host=127.0.0.1 port=1 password=never_shown' PUBLICATION p WITH (connect = false, slot_name = NONE, origin = none, password_required = true, run_as_owner = true, streaming = parallel);
