CREATE EXTENSION pgtap;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
CREATE FUNCTION test_t() RETURNS SETOF text LANGUAGE sql AS $$ SELECT public.has_table('public'::name, 't'::name) $$;
