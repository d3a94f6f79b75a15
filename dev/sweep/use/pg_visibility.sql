CREATE EXTENSION pg_visibility;
CREATE TABLE t (id int);
INSERT INTO t SELECT generate_series(1, 20);
CREATE VIEW t_map AS SELECT * FROM pg_visibility_map('public.t');
