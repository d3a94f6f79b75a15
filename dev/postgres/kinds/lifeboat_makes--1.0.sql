-- CREATE EXTENSION makes a row that the dump holds too: the table cannot be loaded.
CREATE TABLE again (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO again VALUES (0, 'local');
SELECT pg_catalog.pg_extension_config_dump('again', '');

-- A trigger of the extension's own changes each row that is loaded.
CREATE TABLE stamped (id int PRIMARY KEY, changes int NOT NULL DEFAULT 0);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.changes := new.changes + 1; RETURN new; END';
CREATE TRIGGER stamp BEFORE INSERT ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
SELECT pg_catalog.pg_extension_config_dump('stamped', '');
