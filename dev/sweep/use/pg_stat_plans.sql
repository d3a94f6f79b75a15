-- preload: pg_stat_plans
-- set: compute_query_id = on
CREATE EXTENSION pg_stat_plans;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
