CREATE EXTENSION tsm_system_rows;
CREATE TABLE t (id int);
INSERT INTO t SELECT generate_series(1, 100);
CREATE VIEW t_some AS SELECT * FROM t TABLESAMPLE system_rows (10);
