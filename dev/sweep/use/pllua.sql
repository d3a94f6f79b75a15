CREATE EXTENSION pllua;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE pllua IMMUTABLE AS 'return n * 2';
CREATE TABLE t (a int, b int GENERATED ALWAYS AS (twice(a)) STORED);
INSERT INTO t (a) SELECT generate_series(1, 20);
