CREATE EXTENSION hstore_plpython3u CASCADE;
CREATE FUNCTION keys_of(h hstore) RETURNS text[] LANGUAGE plpython3u TRANSFORM FOR TYPE hstore AS 'return sorted(h)';
CREATE TABLE keyed (id int, has hstore, k text[]);
INSERT INTO keyed SELECT g, hstore('a' || g, 'b'), keys_of(hstore('a' || g, 'b')) FROM generate_series(1, 10) g;
