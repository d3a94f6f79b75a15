CREATE EXTENSION plpgsql_check;
CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE TABLE t (r text);
INSERT INTO t SELECT plpgsql_check_function('f()');
INSERT INTO t VALUES ('ok');
