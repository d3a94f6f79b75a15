CREATE EXTENSION plperlu;
CREATE FUNCTION host() RETURNS text LANGUAGE plperlu AS 'return "x";';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plperlu AS '$_TD->{new}{v} = "stamped"; return "MODIFY";';
CREATE TABLE t (id int, v text);
CREATE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp();
INSERT INTO t (id) VALUES (1), (2);
