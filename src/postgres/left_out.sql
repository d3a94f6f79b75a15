-- What of a user's own no dump holds and no table of the census shows (G3): kind, name, why, relations. Asked under an empty
-- search_path. Members of extensions, and what comes with something else, are told with those.
WITH s AS (
  -- A schema of the system that somebody made anew is not told from what is in it.
  SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema') AND oid < 16384
), own (classid, objid) AS (
  SELECT 'pg_catalog.pg_class'::regclass::oid, x.oid FROM s JOIN pg_catalog.pg_class x ON x.relnamespace = s.oid
    WHERE x.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
 UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, x.oid FROM s JOIN pg_catalog.pg_proc x ON x.pronamespace = s.oid
 UNION ALL SELECT 'pg_catalog.pg_type'::regclass, x.oid FROM s JOIN pg_catalog.pg_type x ON x.typnamespace = s.oid
    LEFT JOIN pg_catalog.pg_class c ON c.oid = x.typrelid WHERE x.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c'
 UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, x.oid FROM s JOIN pg_catalog.pg_operator x ON x.oprnamespace = s.oid
 UNION ALL SELECT 'pg_catalog.pg_opclass'::regclass, x.oid FROM s JOIN pg_catalog.pg_opclass x ON x.opcnamespace = s.oid
 UNION ALL SELECT 'pg_catalog.pg_opfamily'::regclass, x.oid FROM s JOIN pg_catalog.pg_opfamily x ON x.opfnamespace = s.oid
 UNION ALL SELECT 'pg_catalog.pg_conversion'::regclass, x.oid FROM s JOIN pg_catalog.pg_conversion x ON x.connamespace = s.oid
 UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, x.oid FROM s JOIN pg_catalog.pg_ts_config x ON x.cfgnamespace = s.oid
 UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, x.oid FROM s JOIN pg_catalog.pg_ts_dict x ON x.dictnamespace = s.oid
 UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::regclass, x.oid FROM s JOIN pg_catalog.pg_statistic_ext x ON x.stxnamespace = s.oid
), f (classid, objid, why, relations) AS (
  SELECT classid, objid, 'system', 0::bigint FROM own WHERE objid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = own.classid AND d.objid = own.objid AND d.deptype IN ('e', 'i'))
 UNION ALL
  SELECT DISTINCT 'pg_catalog.pg_constraint'::regclass::oid, x.oid, 'switchedOff', 0::bigint FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_constraint x ON x.oid = t.tgconstraint AND x.contype <> 't'
    WHERE t.tgisinternal AND t.tgenabled <> 'O' AND x.conrelid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = x.conrelid AND d.deptype = 'e')
 UNION ALL
  SELECT 'pg_catalog.pg_class'::regclass::oid, i.indexrelid, 'notValid', 0 FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND c.relkind <> 'p' AND c.relpersistence <> 't' AND c.oid >= 16384 AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indrelid AND d.deptype = 'e')
 UNION ALL
  -- What is loose in a family of the system's, and no part of an operator class of somebody's own or of an extension. Nothing says
  -- in pg_depend that it hangs on the family, which is pinned.
  SELECT x.classid, x.objid, 'family', 0 FROM (
    SELECT 'pg_catalog.pg_amop'::regclass::oid, o.oid, 'pg_catalog.pg_operator'::regclass::oid, o.amopopr FROM pg_catalog.pg_amop o
      WHERE o.oid >= 16384 AND o.amopfamily < 16384
    UNION ALL SELECT 'pg_catalog.pg_amproc'::regclass, p.oid, 'pg_catalog.pg_proc'::regclass, p.amproc::oid FROM pg_catalog.pg_amproc p
      WHERE p.oid >= 16384 AND p.amprocfamily < 16384
  ) AS x(classid, objid, usedclass, used)
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = x.classid AND d.objid = x.objid AND d.refclassid = 'pg_catalog.pg_opclass'::regclass)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = x.usedclass AND d.objid = x.used AND d.deptype = 'e')
 UNION ALL
  SELECT 'pg_catalog.pg_tablespace'::regclass::oid, t.oid, 'tablespace', x.relations FROM pg_catalog.pg_tablespace t, LATERAL (
    SELECT count(*) FROM pg_catalog.pg_class c WHERE c.reltablespace = t.oid AND c.oid >= 16384 AND c.relkind <> 't' AND c.relpersistence <> 't'
  ) AS x(relations) WHERE t.spcname NOT IN ('pg_default', 'pg_global')
    AND (x.relations > 0 OR t.oid = (SELECT dattablespace FROM pg_catalog.pg_database WHERE datname = current_database()))
)
SELECT i.type, convert_to(i.identity, getdatabaseencoding()), f.why, f.relations
FROM f CROSS JOIN LATERAL pg_catalog.pg_identify_object(f.classid, f.objid, 0) AS i
ORDER BY f.why, i.type, i.identity COLLATE "C" LIMIT $1
