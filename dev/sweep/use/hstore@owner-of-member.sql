-- says: a changed owner of an extension's object is in no dump
CREATE EXTENSION hstore;
CREATE ROLE keeper;
ALTER FUNCTION akeys(hstore) OWNER TO keeper;
ALTER FUNCTION avals(hstore) COST 5;
COMMENT ON FUNCTION avals(hstore) IS 'ours';
CREATE TABLE thing (id int, has hstore);
INSERT INTO thing VALUES (1, 'a=>1');
