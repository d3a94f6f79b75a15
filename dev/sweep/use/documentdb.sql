-- preload: pg_cron,pg_documentdb_core,pg_documentdb
-- set: cron.database_name = 'shop'
-- set: cron.launch_active_jobs = off
-- says: CREATE EXTENSION fills tables whose rows are in the dump as well
CREATE EXTENSION documentdb CASCADE;
CREATE TABLE doc (id int PRIMARY KEY, d documentdb_core.bson);
INSERT INTO doc SELECT g, ('{"a": ' || g || '}')::documentdb_core.bson FROM generate_series(1, 5) g;
