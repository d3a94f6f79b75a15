-- Rows that CREATE EXTENSION makes lie outside the filter: a dump leaves them to it.
CREATE TABLE filtered (name text, value text, builtin boolean NOT NULL DEFAULT false);
INSERT INTO filtered VALUES ('a', 'made', true), ('b', 'made', true);
SELECT pg_catalog.pg_extension_config_dump('filtered', 'WHERE NOT builtin');

-- Without a filter the dump holds every row, and CREATE EXTENSION makes its own once more.
CREATE TABLE whole (id serial, name text);
INSERT INTO whole (name) VALUES ('made');
SELECT pg_catalog.pg_extension_config_dump('whole', '');
SELECT pg_catalog.pg_extension_config_dump('whole_id_seq', '');

-- Nobody dumps it.
CREATE TABLE queue (id int, what text);
