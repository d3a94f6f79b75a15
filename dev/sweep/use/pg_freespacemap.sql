CREATE EXTENSION pg_freespacemap;
CREATE TABLE t (id int);
INSERT INTO t SELECT generate_series(1, 10);
CREATE VIEW t_space AS SELECT * FROM pg_freespace('public.t'::regclass);
