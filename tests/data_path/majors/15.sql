-- New in PostgreSQL 15.
CREATE SCHEMA v15; SET search_path = v15, public;
CREATE TABLE once (a int, b int, UNIQUE NULLS NOT DISTINCT (a, b)); INSERT INTO once VALUES (1, NULL), (NULL, NULL); CREATE UNIQUE INDEX once_b ON once (b, (a + 1)) NULLS NOT DISTINCT WHERE a > 0;
CREATE VIEW invoked WITH (security_invoker, security_barrier) AS SELECT * FROM once WHERE a IN (1, 2, 3);
CREATE TABLE tree (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE leaf (a int, b int, FOREIGN KEY (a, b) REFERENCES tree ON DELETE SET NULL (b)); INSERT INTO tree VALUES (1, 2); INSERT INTO leaf VALUES (1, 2), (1, NULL);
CREATE TABLE numbers (n numeric(3, -2), m numeric(2, 5)); INSERT INTO numbers VALUES (12345, 0.00012);
CREATE FUNCTION merges(x int) RETURNS void BEGIN ATOMIC MERGE INTO v15.tree AS t USING (SELECT x AS a, 9 AS b) AS s ON t.a = s.a AND t.b = s.b WHEN MATCHED AND s.b BETWEEN 1 AND 5 THEN DELETE WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b); END;
CREATE VIEW matched AS SELECT regexp_count('abcabc', 'b') AS c, regexp_like('Thomas', '.*mer', 'i') AS l, regexp_substr('number of your street', '[^ ]+', 1, 3) AS s FROM once;
CREATE TABLE published (id int PRIMARY KEY, a text, b text); INSERT INTO published VALUES (1, 'a', 'b'); CREATE TABLE also_published (id int PRIMARY KEY);
CREATE PUBLICATION filtered FOR TABLE published (id, a) WHERE (id BETWEEN 1 AND 5 AND a IN ('a', 'b')), also_published; CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA v15, e WITH (publish = 'insert, update');
GRANT SET ON PARAMETER log_min_duration_statement TO every_reader; GRANT ALTER SYSTEM ON PARAMETER work_mem TO every_owner WITH GRANT OPTION; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC;
CREATE COLLATION cheese (provider = icu, locale = 'es@colStrength=primary', deterministic = false); CREATE TABLE cheeses (name text COLLATE cheese UNIQUE); INSERT INTO cheeses VALUES ('Gruyère');
CREATE UNLOGGED SEQUENCE hasty; SELECT nextval('hasty');
