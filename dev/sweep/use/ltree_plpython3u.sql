CREATE EXTENSION ltree_plpython3u CASCADE;
CREATE FUNCTION labels(p ltree) RETURNS int LANGUAGE plpython3u TRANSFORM FOR TYPE ltree AS 'return len(p)';
CREATE TABLE tree (path ltree, n int);
INSERT INTO tree VALUES ('a.b.c', labels('a.b.c'));
