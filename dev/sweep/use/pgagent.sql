-- says: its own triggers reckon the next run of a job anew while its schedules are loaded
CREATE EXTENSION pgagent;
INSERT INTO pgagent.pga_job (jobjclid, jobname) VALUES (1, 'nightly');
INSERT INTO pgagent.pga_jobstep (jstjobid, jstname, jstkind, jstcode, jstdbname) VALUES (1, 'one', 's', 'SELECT 1', 'shop');
INSERT INTO pgagent.pga_schedule (jscjobid, jscname, jscstart, jscminutes, jschours) VALUES (1, 'at three', '2024-01-01 UTC', array_fill(false, '{60}'), array_fill(true, '{24}'));
UPDATE pgagent.pga_schedule SET jscminutes[1] = true;
-- No agent has come by for long.
UPDATE pgagent.pga_job SET jobnextrun = '2024-01-01 03:00 UTC';
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
