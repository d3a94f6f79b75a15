-- New in PostgreSQL 18.
CREATE SCHEMA v18; SET search_path = v18, public;
CREATE TABLE computed (a int, b int GENERATED ALWAYS AS (a * 2), c text GENERATED ALWAYS AS (CASE WHEN a BETWEEN 1 AND 2 AND a > 0 THEN 'x' ELSE 'y' END) VIRTUAL, s int GENERATED ALWAYS AS (a + 1) STORED, CHECK (b > 0)); INSERT INTO computed (a) VALUES (1), (2), (5);
CREATE VIEW of_computed AS SELECT a, b, c FROM computed WHERE b IN (2, 4);
CREATE TABLE nullable (a int, b int); INSERT INTO nullable VALUES (NULL, 1), (2, NULL); ALTER TABLE nullable ADD CONSTRAINT a_there NOT NULL a NOT VALID; ALTER TABLE nullable ADD NOT NULL b NOT VALID; COMMENT ON CONSTRAINT a_there ON nullable IS 'soon';
CREATE TABLE named (a int CONSTRAINT named_a NOT NULL, b int CONSTRAINT only_here NOT NULL NO INHERIT); CREATE TABLE heirs () INHERITS (named); INSERT INTO heirs VALUES (1, NULL);
CREATE TABLE pk (a int PRIMARY KEY, b int NOT NULL); CREATE TABLE lk (LIKE pk INCLUDING ALL); INSERT INTO lk VALUES (1, 2);
CREATE TABLE lax (a int PRIMARY KEY, b int CHECK (b > 0) NOT ENFORCED, c int REFERENCES pk NOT ENFORCED); INSERT INTO lax VALUES (1, -1, 77);
CREATE TABLE stays (room int, during daterange, guest text, PRIMARY KEY (room, during WITHOUT OVERLAPS)); CREATE TABLE meals (id int, room int, during daterange, CONSTRAINT of_stay FOREIGN KEY (room, PERIOD during) REFERENCES stays (room, PERIOD during), UNIQUE (id, during WITHOUT OVERLAPS));
INSERT INTO stays VALUES (1, '[2020-01-01,2020-01-05)', 'a'), (1, '[2020-01-05,2020-01-09)', 'b'); INSERT INTO meals VALUES (1, 1, '[2020-01-03,2020-01-07)');
CREATE TABLE ids (id uuid DEFAULT uuidv7() PRIMARY KEY, k bytea DEFAULT '\x01', n int GENERATED ALWAYS AS (crc32(k)::bit(31)::int) STORED); INSERT INTO ids (id) VALUES ('019535d9-3df7-79fb-b466-fa907fa17f9e');
CREATE FUNCTION changes(x int) RETURNS TABLE (was int, now int) BEGIN ATOMIC UPDATE v18.pk SET b = x WHERE a = x RETURNING old.b, new.b; END;
CREATE FUNCTION merged() RETURNS SETOF int BEGIN ATOMIC MERGE INTO v18.pk USING (VALUES (1)) AS s(a) ON pk.a = s.a WHEN MATCHED THEN UPDATE SET b = 0 RETURNING WITH (OLD AS o, NEW AS n) coalesce(o.b, n.b); END;
CREATE TABLE parted (a int, b int, r int REFERENCES pk) PARTITION BY LIST (a); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1); ALTER TABLE parted ADD CONSTRAINT later FOREIGN KEY (b) REFERENCES pk NOT VALID; INSERT INTO parted VALUES (1, NULL, NULL);
CREATE VIEW arrays AS SELECT array_sort(ARRAY[3, 1]) AS s, array_reverse(ARRAY[1, 2]) AS r, casefold('ß' COLLATE pg_unicode_fast) AS f, reverse('\x01'::bytea) AS b, gamma(5) AS g, json_strip_nulls('{"a": null}', true) AS j FROM pk;
CREATE PUBLICATION generates FOR TABLE computed WITH (publish_generated_columns = stored); CREATE FOREIGN TABLE alike (LIKE computed INCLUDING ALL) SERVER files OPTIONS (filename '/nowhere'); ALTER TABLE ids ALTER id SET STATISTICS DEFAULT;
CREATE INDEX on_expression ON computed (abs(a)) WITH (fillfactor = 60); CREATE UNIQUE INDEX sparse ON pk USING btree (b, a) NULLS NOT DISTINCT; CREATE TABLE only_child (x int) PARTITION BY RANGE (x); ALTER DEFAULT PRIVILEGES FOR ROLE every_owner GRANT SELECT ON LARGE OBJECTS TO every_reader;
