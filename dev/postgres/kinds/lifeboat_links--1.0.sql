-- The table that refers to the other sorts before it: in the order of names it cannot be loaded.
CREATE TABLE parents (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE children (id int PRIMARY KEY, parent int NOT NULL REFERENCES parents, name text NOT NULL);
SELECT pg_catalog.pg_extension_config_dump('parents', '');
SELECT pg_catalog.pg_extension_config_dump('children', '');
