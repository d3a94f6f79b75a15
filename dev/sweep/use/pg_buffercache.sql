CREATE EXTENSION pg_buffercache;
CREATE VIEW cached AS SELECT count(*) FROM pg_buffercache WHERE reldatabase IS NOT NULL;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
GRANT SELECT ON pg_buffercache TO pg_read_all_stats;
