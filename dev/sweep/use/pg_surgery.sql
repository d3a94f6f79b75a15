CREATE EXTENSION pg_surgery;
CREATE TABLE t (id int);
INSERT INTO t SELECT generate_series(1, 20);
