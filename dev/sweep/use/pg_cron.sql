-- preload: pg_cron
-- set: cron.database_name = 'shop'
-- set: cron.use_background_workers = off
-- set: cron.launch_active_jobs = off
CREATE EXTENSION pg_cron;
SELECT cron.schedule('nightly', '0 3 * * *', 'VACUUM');
SELECT cron.schedule('often', '30 seconds', $$SELECT 1$$);
INSERT INTO cron.job_run_details (jobid, runid, database, username, command, status, start_time)
SELECT 1, g, 'shop', 'postgres', 'VACUUM', 'succeeded', timestamptz '2024-01-01 UTC' + g * interval '1 day' FROM generate_series(1, 30) g;
CREATE TABLE report (id int);
INSERT INTO report VALUES (1);
