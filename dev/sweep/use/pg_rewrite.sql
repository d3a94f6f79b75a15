-- preload: pg_rewrite
CREATE EXTENSION pg_rewrite;
CREATE TABLE t (id int PRIMARY KEY);
INSERT INTO t VALUES (1);
