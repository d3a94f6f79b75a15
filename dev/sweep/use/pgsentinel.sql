-- preload: pg_stat_statements,pgsentinel
CREATE EXTENSION pgsentinel CASCADE;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
