CREATE EXTENSION pgstattuple;
CREATE TABLE t (id int PRIMARY KEY);
INSERT INTO t SELECT generate_series(1, 100);
CREATE VIEW t_size AS SELECT * FROM pgstattuple('public.t');
