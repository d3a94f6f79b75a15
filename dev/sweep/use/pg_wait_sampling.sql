-- preload: pg_wait_sampling
CREATE EXTENSION pg_wait_sampling;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
