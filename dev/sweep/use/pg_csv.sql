CREATE EXTENSION pg_csv;
CREATE TABLE t (id int, v text);
INSERT INTO t SELECT g, 'a,b "c"' FROM generate_series(1, 5) g;
CREATE VIEW t_csv AS SELECT csv_agg(t) FROM t;
