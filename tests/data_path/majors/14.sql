-- New in PostgreSQL 14.
CREATE SCHEMA v14; SET search_path = v14, public;
CREATE TABLE ranges (id int PRIMARY KEY, i int4multirange, n nummultirange, d datemultirange, t tstzmultirange, many int8multirange[]);
INSERT INTO ranges VALUES (1, '{[1,3),[5,7)}', '{(,0],[1.50,2]}', '{[2020-01-01,2020-02-01),[2021-01-01,)}', '{}', ARRAY['{[1,2)}'::int8multirange, NULL]);
CREATE TYPE span AS RANGE (subtype = float8, multirange_type_name = spans); CREATE TABLE spanned (s spans CHECK (NOT s @> '[100,101)'::span)); INSERT INTO spanned VALUES ('{[1,2],[3,4.5)}');
CREATE INDEX ranges_i ON ranges USING gist (i) INCLUDE (id);
CREATE TABLE packed (a text COMPRESSION pglz, b text); ALTER TABLE packed ALTER b SET COMPRESSION pglz; INSERT INTO packed SELECT repeat('x', 10000), repeat('y', 3000);
CREATE FUNCTION add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE RETURN a + b;
CREATE FUNCTION among(x int) RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT x BETWEEN 1 AND 2 AND x > 0; SELECT EXISTS (SELECT FROM v14.ranges r WHERE r.id = x); END;
CREATE PROCEDURE increments(IN a int, OUT b int, OUT c text) LANGUAGE sql BEGIN ATOMIC SELECT a + 1, 'it''s ' || a::text; END;
CREATE TABLE documents (id int, j jsonb DEFAULT '{"a": {"b": [1, 2]}}', first jsonb GENERATED ALWAYS AS (j['a']['b'][0]) STORED, CHECK (j['a'] IS NOT NULL));
INSERT INTO documents (id) VALUES (1); INSERT INTO documents (id, j) VALUES (2, '{"a": 1}'); CREATE VIEW firsts AS SELECT j['a']['b'][1] AS b FROM documents;
CREATE INDEX documents_j ON documents USING btree ((j['a'])); CREATE STATISTICS on_expressions ON (id % 7), (j['a']) FROM documents; CREATE STATISTICS on_one ON (id % 3) FROM documents;
CREATE VIEW walked AS WITH RECURSIVE w(n, up) AS (VALUES (1, NULL::int) UNION ALL SELECT n + 1, n FROM w WHERE n < 5) SEARCH DEPTH FIRST BY n SET ordering CYCLE n SET looped USING path SELECT n, up, looped FROM w ORDER BY ordering;
CREATE VIEW distinctly AS SELECT a, count(*) FROM packed GROUP BY DISTINCT GROUPING SETS ((a), (a), ());
CREATE VIEW aliased AS SELECT both_of.* FROM (ranges JOIN documents USING (id) AS both_of);
CREATE VIEW binned AS SELECT date_bin('15 minutes', lower(t), timestamptz '2001-01-01 00:00Z') AS at, extract(epoch FROM lower(d)) AS e, trim_array(many, 1) AS m FROM ranges;
CREATE TABLE parted (at date NOT NULL, n int) PARTITION BY RANGE (at); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01'); CREATE INDEX ON parted USING brin (n int4_bloom_ops); INSERT INTO parted VALUES ('2020-05-05', 1);
CREATE INDEX packed_brin ON packed USING brin (b text_bloom_ops); CREATE TABLE many_brin (n int, t text); CREATE INDEX ON many_brin USING brin (n int4_minmax_multi_ops); CREATE INDEX spg ON many_brin USING spgist (t) INCLUDE (n);
CREATE TRIGGER each_time AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION e.fires(); CREATE OR REPLACE TRIGGER each_time BEFORE INSERT ON packed FOR EACH ROW EXECUTE FUNCTION e.fires('x'); ALTER TABLE parted_1 DISABLE TRIGGER each_time;
-- In no dump, as all privileges on what comes with a range: everybody may call them, as by default.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA v14 TO PUBLIC;
