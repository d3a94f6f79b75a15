CREATE EXTENSION pgfincore;
CREATE TABLE t (id int);
INSERT INTO t SELECT generate_series(1, 100);
CREATE VIEW t_cache AS SELECT relpath FROM pgfincore('public.t');
