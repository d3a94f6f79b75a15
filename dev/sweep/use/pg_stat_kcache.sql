-- preload: pg_stat_statements,pg_stat_kcache
CREATE EXTENSION pg_stat_kcache CASCADE;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
