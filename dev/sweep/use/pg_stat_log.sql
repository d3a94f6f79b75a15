-- preload: pg_stat_log
CREATE EXTENSION pg_stat_log;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
