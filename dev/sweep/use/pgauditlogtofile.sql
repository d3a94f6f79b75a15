-- preload: pgaudit,pgauditlogtofile
CREATE EXTENSION pgauditlogtofile CASCADE;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
