-- preload: pg_show_plans
CREATE EXTENSION pg_show_plans;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
