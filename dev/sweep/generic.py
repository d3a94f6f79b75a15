"""The use of an extension that has no recipe of its own: its types in columns, with every literal of a list that they take."""

LITERALS = ["1", "0", "a", "1.5", "t", "2020-01-02", "(1,2)", "[1,2)", "{1,2}", "{}", "1,2", "a=>1", "10.0.0.1", "ab12", "1 m", "<(1,2),3>", "(1,2,3)", "{\"a\": 1}", "a.b", "1/2"]


def recipe(name):
    """SQL that anybody could have written who tries the extension for the first time."""
    literals = ", ".join("'" + text.replace("'", "''") + "'" for text in LITERALS)
    return f"""-- general
CREATE EXTENSION "{name}" CASCADE;
CREATE TABLE public.general_use (id int PRIMARY KEY, note text);
INSERT INTO public.general_use SELECT g, 'row ' || g FROM generate_series(1, 20) AS g;
DO $do$
DECLARE
    kind record;
    literal text;
    number int := 0;
BEGIN
    FOR kind IN SELECT pg_catalog.format_type(t.oid, NULL) AS name
        FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_type t ON t.oid = d.objid
        WHERE d.classid = 'pg_type'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
            AND e.extname = $x${name}$x$ AND t.typtype IN ('b', 'e', 'd', 'r', 'c') AND t.typelem = 0 AND t.typisdefined
            AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
        ORDER BY 1
    LOOP
        number := number + 1;
        BEGIN
            EXECUTE format('ALTER TABLE public.general_use ADD COLUMN c%s %s', number, kind.name);
        EXCEPTION WHEN OTHERS THEN CONTINUE;
        END;
        FOREACH literal IN ARRAY ARRAY[{literals}] LOOP
            BEGIN
                EXECUTE format('INSERT INTO public.general_use (id, c%s) SELECT max(id) + 1, %L::%s FROM public.general_use', number, literal, kind.name);
            EXCEPTION WHEN OTHERS THEN NULL;
            END;
        END LOOP;
    END LOOP;
END
$do$;
CREATE VIEW public.general_view AS SELECT * FROM public.general_use WHERE id > 3;
"""


# A schema that comes without rows gets some where its own defaults are enough for one.
ROWS = """
DO $do$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN SELECT oid FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND relnamespace::regnamespace::text NOT LIKE 'pg\\_%' LOOP
        BEGIN
            EXECUTE format('INSERT INTO %s DEFAULT VALUES', relation);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
END
$do$;
"""
