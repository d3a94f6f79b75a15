-- preload: pgaudit
-- set: pgaudit.log = 'ddl, role'
CREATE EXTENSION pgaudit;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
