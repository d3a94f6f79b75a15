CREATE EXTENSION pgrowlocks;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
CREATE VIEW t_locks AS SELECT * FROM pgrowlocks('public.t');
