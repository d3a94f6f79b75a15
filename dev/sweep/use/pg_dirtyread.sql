CREATE EXTENSION pg_dirtyread;
CREATE TABLE t (id int, v text);
INSERT INTO t SELECT g, 'v' FROM generate_series(1, 10) g;
DELETE FROM t WHERE id > 5;
CREATE VIEW t_dead AS SELECT * FROM pg_dirtyread('public.t') AS d (id int, v text);
