CREATE EXTENSION pg_repack;
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT g, 'v' FROM generate_series(1, 50) g;
CREATE VIEW repackable AS SELECT schemaname, relname FROM repack.tables;
