-- preload: pg_cron,pg_documentdb_core,pg_documentdb,pg_documentdb_extended_rum
-- set: cron.database_name = 'shop'
-- set: cron.launch_active_jobs = off
CREATE EXTENSION documentdb_extended_rum CASCADE;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
