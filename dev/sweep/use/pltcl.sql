CREATE EXTENSION pltcl;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE pltcl IMMUTABLE AS 'return [expr {$1 * 2}]';
CREATE TABLE t (a int, b int GENERATED ALWAYS AS (twice(a)) STORED);
INSERT INTO t (a) SELECT generate_series(1, 20);
