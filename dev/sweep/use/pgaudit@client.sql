-- preload: pgaudit
-- set: pgaudit.log = 'all'
-- set: pgaudit.log_client = on
-- set: pgaudit.log_level = notice
-- says: its messages reach every client, the dump among them
CREATE EXTENSION pgaudit;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
