CREATE EXTENSION sslinfo;
CREATE TABLE t (id int, serial numeric DEFAULT ssl_client_serial());
INSERT INTO t (id) VALUES (1);
