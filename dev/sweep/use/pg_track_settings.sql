CREATE EXTENSION pg_track_settings;
SELECT pg_track_settings_snapshot();
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
