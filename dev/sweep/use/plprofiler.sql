-- preload: plprofiler
CREATE EXTENSION plprofiler;
CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE TABLE t (id int);
INSERT INTO t SELECT f();
