CREATE EXTENSION toastinfo;
CREATE TABLE t (v text);
INSERT INTO t VALUES ('x');
CREATE VIEW t_toast AS SELECT pg_toastinfo(v) FROM t;
