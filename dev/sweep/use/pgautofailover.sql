-- preload: pgautofailover
-- says: its tables of nodes and formations are not among what a dump holds
CREATE ROLE autoctl_node LOGIN;
CREATE EXTENSION pgautofailover CASCADE;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
