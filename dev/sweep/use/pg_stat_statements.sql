-- preload: pg_stat_statements
CREATE EXTENSION pg_stat_statements;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
CREATE VIEW slow AS SELECT query, calls FROM pg_stat_statements WHERE mean_exec_time > 100;
GRANT EXECUTE ON FUNCTION pg_stat_statements_reset TO pg_monitor;
