-- preload: pg_squeeze
-- says: its table of schedules is not among what a dump holds
CREATE EXTENSION pg_squeeze;
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT g, 'v' FROM generate_series(1, 50) g;
INSERT INTO squeeze.tables (tabschema, tabname, schedule) VALUES ('public', 't', ('{30}', '{22}', NULL, NULL, '{3,5}'));
