-- preload: plugin_debugger
CREATE EXTENSION pldbgapi;
CREATE TABLE t (id int, b breakpoint);
INSERT INTO t (id) VALUES (1);
