-- preload: pg_stat_statements,pg_qualstats
CREATE EXTENSION pg_qualstats;
CREATE TABLE t (id int, v int);
INSERT INTO t SELECT g, g FROM generate_series(1, 100) g;
SELECT count(*) FROM t WHERE v > 5;
