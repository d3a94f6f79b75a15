CREATE EXTENSION plpgsql_check;
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := 1; RETURN NEW; END';
CREATE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp();
INSERT INTO t VALUES (1);
CREATE VIEW checked AS SELECT plpgsql_check_function('public.stamp()', 't') AS said;
