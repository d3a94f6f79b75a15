-- preload: pg_cron
-- set: cron.launch_active_jobs = off
-- database: postgres
CREATE EXTENSION pg_cron;
SELECT cron.schedule('nightly', '0 3 * * *', 'VACUUM');
