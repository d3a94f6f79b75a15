CREATE EXTENSION hstore_plperl CASCADE;
CREATE FUNCTION keys_of(hstore) RETURNS text[] LANGUAGE plperl TRANSFORM FOR TYPE hstore AS 'return [sort keys %{$_[0]}];';
CREATE TABLE keyed (id int, has hstore, k text[]);
INSERT INTO keyed SELECT g, hstore('a' || g, 'b'), keys_of(hstore('a' || g, 'b')) FROM generate_series(1, 10) g;
