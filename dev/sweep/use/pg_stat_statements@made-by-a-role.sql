-- preload: pg_stat_statements
-- says: an extension's objects belong to whoever restores; privileges on them come back
CREATE ROLE dba SUPERUSER;
CREATE ROLE reader;
SET ROLE dba;
CREATE EXTENSION pg_stat_statements;
REVOKE SELECT ON pg_stat_statements FROM PUBLIC;
GRANT SELECT ON pg_stat_statements TO reader;
GRANT EXECUTE ON FUNCTION pg_stat_statements_reset(oid, oid, bigint, boolean) TO reader;
RESET ROLE;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
