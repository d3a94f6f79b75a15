CREATE EXTENSION tablefunc;
CREATE TABLE cell (r text, c text, v text);
INSERT INTO cell SELECT 'r' || g % 3, 'c' || g % 2, g FROM generate_series(1, 6) g;
CREATE VIEW pivot AS SELECT * FROM crosstab('SELECT r, c, v FROM public.cell ORDER BY 1, 2') AS t (r text, a text, b text);
CREATE FUNCTION three() RETURNS SETOF tablefunc_crosstab_3 LANGUAGE sql AS $$ SELECT * FROM public.crosstab3('SELECT r, c, v FROM public.cell') $$;
