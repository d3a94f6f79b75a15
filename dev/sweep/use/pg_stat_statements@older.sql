-- preload: pg_stat_statements
-- says: a view on a column that the newer version has renamed cannot be restored: ALTER EXTENSION UPDATE first
CREATE EXTENSION pg_stat_statements VERSION '1.10';
CREATE VIEW slow AS SELECT query, blk_read_time FROM pg_stat_statements;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
