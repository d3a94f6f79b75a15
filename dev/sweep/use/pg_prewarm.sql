CREATE EXTENSION pg_prewarm;
CREATE TABLE t (id int);
INSERT INTO t SELECT generate_series(1, 1000);
SELECT pg_prewarm('t');
