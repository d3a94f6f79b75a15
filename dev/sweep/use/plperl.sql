CREATE EXTENSION plperl;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE plperl IMMUTABLE AS 'return $_[0] * 2;';
CREATE TABLE t (a int, b int GENERATED ALWAYS AS (twice(a)) STORED, CHECK (twice(a) > 0));
INSERT INTO t (a) SELECT generate_series(1, 20);
CREATE INDEX t_twice ON t (twice(a));
