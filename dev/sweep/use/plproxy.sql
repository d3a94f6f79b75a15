CREATE EXTENSION plproxy;
CREATE SERVER ring FOREIGN DATA WRAPPER plproxy OPTIONS (p0 'dbname=a', p1 'dbname=b');
CREATE FUNCTION remote(int) RETURNS int LANGUAGE plproxy AS 'CLUSTER ''ring''; RUN ON $1;';
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
