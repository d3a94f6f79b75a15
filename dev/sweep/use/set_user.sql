-- preload: set_user
CREATE EXTENSION set_user;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
