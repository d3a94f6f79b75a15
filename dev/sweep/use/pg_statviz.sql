CREATE EXTENSION pg_statviz;
SELECT pgstatviz.snapshot();
SELECT pgstatviz.snapshot();
