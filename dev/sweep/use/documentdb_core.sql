-- preload: pg_cron,pg_documentdb_core,pg_documentdb
-- set: cron.launch_active_jobs = off
CREATE EXTENSION documentdb_core;
CREATE TABLE doc (id int PRIMARY KEY, d documentdb_core.bson);
INSERT INTO doc SELECT g, ('{"a": ' || g || '}')::documentdb_core.bson FROM generate_series(1, 20) g;
