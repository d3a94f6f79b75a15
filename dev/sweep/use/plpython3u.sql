CREATE EXTENSION plpython3u;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpython3u IMMUTABLE AS 'return n * 2';
CREATE TYPE pair AS (a int, b text);
CREATE FUNCTION pair_of(n int) RETURNS pair LANGUAGE plpython3u AS 'return (n, str(n))';
CREATE TABLE t (a int, b int GENERATED ALWAYS AS (twice(a)) STORED, p pair);
INSERT INTO t (a, p) SELECT g, pair_of(g) FROM generate_series(1, 20) g;
