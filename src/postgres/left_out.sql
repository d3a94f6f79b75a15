-- What of a user's own no dump holds and no table of the census shows (G3): kind, name, why, relations. Asked under an empty
-- search_path. Members of extensions, and what comes with something else, are told with those.
WITH RECURSIVE s AS (
  -- A schema of the system that somebody made anew is not told from what is in it. Others of that name are told themselves too.
  SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema') AND oid < 16384
    OR nspname ~ '^pg_' AND nspname !~ '^pg_(toast_)?temp_' AND oid >= 16384
), own (classid, objid) AS (
  SELECT 'pg_catalog.pg_class'::regclass::oid, x.oid FROM s JOIN pg_catalog.pg_class x ON x.relnamespace = s.oid
    WHERE x.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
 UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, s.oid FROM s
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
), told (classid, objid) AS (
  SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), i (xid) AS (
  -- The views of information_schema are the last that initdb makes, but for plpgsql.
  SELECT max(xmin::text::bigint) FROM pg_catalog.pg_rewrite WHERE oid < 16384
), given (classid, objid) AS (
  -- Of information_schema a dump holds no privileges either. Its script lets everybody read what it lets anybody, and pg_init_privs is
  -- filled before it.
  SELECT 'pg_catalog.pg_namespace'::regclass::oid, s.oid FROM s JOIN pg_catalog.pg_namespace n USING (oid) WHERE s.nspname = 'information_schema'
    AND ARRAY(SELECT a::text FROM unnest(n.nspacl) a ORDER BY 1) <> ARRAY(SELECT a::text FROM unnest(acldefault('n', n.nspowner) || makeaclitem(0, n.nspowner, 'USAGE', false)) a ORDER BY 1)
 UNION SELECT 'pg_catalog.pg_class'::regclass, x.oid FROM s JOIN pg_catalog.pg_class x ON x.relnamespace = s.oid WHERE s.nspname = 'information_schema'
    AND (x.relacl IS NOT NULL AND ARRAY(SELECT a::text FROM unnest(x.relacl) a ORDER BY 1) <> ARRAY(SELECT a::text FROM unnest(acldefault('r', x.relowner) || makeaclitem(0, x.relowner, 'SELECT', false)) a ORDER BY 1)
      OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = x.oid AND a.attacl IS NOT NULL))
 UNION SELECT 'pg_catalog.pg_type'::regclass, x.oid FROM s JOIN pg_catalog.pg_type x ON x.typnamespace = s.oid WHERE s.nspname = 'information_schema' AND x.typacl IS NOT NULL
 UNION SELECT 'pg_catalog.pg_proc'::regclass, x.oid FROM s JOIN pg_catalog.pg_proc x ON x.pronamespace = s.oid WHERE s.nspname = 'information_schema' AND x.proacl IS NOT NULL
), changed (classid, objid) AS (
  -- Rows that initdb wrote have one of its few hundred transactions as xmin, for good. One that was changed since has another; so
  -- has one whose privileges were, which a dump holds: of what has privileges, only what never had any.
  SELECT 'pg_catalog.pg_ts_config'::regclass::oid, x.oid FROM i, pg_catalog.pg_ts_config x WHERE x.oid < 16384 AND (x.xmin::text::bigint > i.xid
    -- Each has as many kinds of words as the parser has that are no white space.
    OR EXISTS (SELECT FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg = x.oid AND m.xmin::text::bigint > i.xid)
    OR 19 <> (SELECT count(*) FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg = x.oid))
 UNION SELECT 'pg_catalog.pg_ts_dict'::regclass, x.oid FROM i, pg_catalog.pg_ts_dict x WHERE x.oid < 16384 AND x.xmin::text::bigint > i.xid
 UNION SELECT 'pg_catalog.pg_operator'::regclass, x.oid FROM i, pg_catalog.pg_operator x WHERE x.oid < 16384 AND x.xmin::text::bigint > i.xid
 UNION SELECT 'pg_catalog.pg_opclass'::regclass, x.oid FROM i, pg_catalog.pg_opclass x WHERE x.oid < 16384 AND x.xmin::text::bigint > i.xid
 UNION SELECT 'pg_catalog.pg_opfamily'::regclass, x.oid FROM i, pg_catalog.pg_opfamily x WHERE x.oid < 16384 AND x.xmin::text::bigint > i.xid
 UNION SELECT 'pg_catalog.pg_conversion'::regclass, x.oid FROM i, pg_catalog.pg_conversion x WHERE x.oid < 16384 AND x.xmin::text::bigint > i.xid
 UNION SELECT 'pg_catalog.pg_cast'::regclass, x.oid FROM i, pg_catalog.pg_cast x WHERE x.oid < 16384 AND x.xmin::text::bigint > i.xid
 UNION SELECT 'pg_catalog.pg_proc'::regclass, x.oid FROM i, pg_catalog.pg_proc x WHERE x.oid < 16384
    AND (x.proowner <> 10 OR x.proacl IS NULL AND x.xmin::text::bigint > i.xid)
 UNION SELECT 'pg_catalog.pg_type'::regclass, x.oid FROM i, pg_catalog.pg_type x WHERE x.oid < 16384
    AND (x.typowner <> 10 OR x.typacl IS NULL AND x.xmin::text::bigint > i.xid)
 UNION SELECT 'pg_catalog.pg_language'::regclass, x.oid FROM i, pg_catalog.pg_language x WHERE NOT x.lanispl
    AND (x.lanacl IS NOT NULL OR x.xmin::text::bigint > i.xid)
 UNION SELECT 'pg_catalog.pg_class'::regclass, x.oid FROM pg_catalog.pg_class x WHERE x.oid < 16384
    AND (x.relowner <> 10 OR x.relkind = 'r' AND x.reloptions IS NOT NULL)
 UNION SELECT 'pg_catalog.pg_namespace'::regclass, x.oid FROM s JOIN pg_catalog.pg_namespace x USING (oid) WHERE x.nspowner <> 10 AND x.oid < 16384
 UNION SELECT classid, objid FROM given WHERE objid < 16384
), commented (classid, objid) AS (
 -- Comments on the system's own, but for that on public, which a dump holds.
  SELECT x.classoid, x.objoid FROM i, pg_catalog.pg_description x WHERE x.objoid < 16384 AND x.xmin::text::bigint > i.xid
    AND (x.classoid, x.objoid) <> ('pg_catalog.pg_namespace'::regclass, 2200) AND x.classoid NOT IN ('pg_catalog.pg_extension'::regclass, 'pg_catalog.pg_largeobject'::regclass)
 UNION SELECT x.classoid, x.objoid FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_description x ON x.objoid = e.oid AND x.classoid = 'pg_catalog.pg_extension'::regclass
    WHERE e.extname = 'plpgsql' AND e.oid < 16384 AND x.description <> 'PL/pgSQL procedural language'
), inherits (inhrelid, inhparent, inhseqno) AS (
  SELECT i.inhrelid, i.inhparent, i.inhseqno FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    WHERE c.relkind IN ('r', 'f') AND NOT c.relispartition AND c.oid >= 16384 AND ('pg_catalog.pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM told)
), mixed (relid) AS (
  -- Those that may be in another order: with columns of their own, several parents, or a parent that is a child.
  SELECT i.inhrelid FROM inherits i GROUP BY 1 HAVING count(*) > 1 OR bool_or(EXISTS (SELECT FROM pg_catalog.pg_inherits u WHERE u.inhrelid = i.inhparent))
    OR bool_or(EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.inhrelid AND a.attnum > 0 AND a.attislocal AND NOT a.attisdropped))
), used (relid) AS (
  SELECT DISTINCT coalesce(nullif(e.typrelid, 0), t.typrelid) FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_type t ON t.oid = d.refobjid
    LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem WHERE d.refclassid = 'pg_catalog.pg_type'::regclass AND d.deptype <> 'i' AND (t.typrelid <> 0 OR e.typrelid <> 0)
), placed (relid, attnum, attname, path, at) AS (
  -- Where a restore puts each column: with the first parent that has it, in that one's order; its own come last, in theirs.
  SELECT a.attrelid, a.attnum, a.attname, ARRAY[]::int[], a.attrelid FROM pg_catalog.pg_attribute a
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid IN (SELECT relid FROM mixed)
 UNION ALL SELECT p.relid, p.attnum, p.attname, p.path || u.inhseqno, u.inhparent FROM placed p CROSS JOIN LATERAL (
    SELECT i.inhseqno, i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_attribute b ON b.attrelid = i.inhparent AND b.attname = p.attname
      WHERE i.inhrelid = p.at AND b.attnum > 0 AND NOT b.attisdropped ORDER BY i.inhseqno LIMIT 1) AS u
), misplaced (relid) AS MATERIALIZED (
  SELECT o.relid
  FROM (
    SELECT p.relid, p.attnum, row_number() OVER (PARTITION BY p.relid ORDER BY p.path || 2147483647 || b.attnum::int) AS restored,
      row_number() OVER (PARTITION BY p.relid ORDER BY p.attnum) AS now
    FROM placed p JOIN pg_catalog.pg_attribute b ON b.attrelid = p.at AND b.attname = p.attname
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_attribute c ON c.attrelid = i.inhparent AND c.attname = p.attname
      WHERE i.inhrelid = p.at AND c.attnum > 0 AND NOT c.attisdropped)
  ) AS o GROUP BY o.relid HAVING bool_or(o.restored <> o.now)
), whole (relid) AS MATERIALIZED (
  -- What an expression reads a whole row of: asked once, and only where it matters.
  SELECT e.relid FROM (
    SELECT x.polrelid, concat(x.polqual, x.polwithcheck) FROM pg_catalog.pg_policy x
   UNION ALL SELECT x.tgrelid, x.tgqual::text FROM pg_catalog.pg_trigger x WHERE x.tgqual IS NOT NULL
   UNION ALL SELECT x.conrelid, x.conbin::text FROM pg_catalog.pg_constraint x WHERE x.conbin IS NOT NULL
   UNION ALL SELECT x.indrelid, concat(x.indexprs, x.indpred) FROM pg_catalog.pg_index x WHERE x.indexprs IS NOT NULL OR x.indpred IS NOT NULL
   UNION ALL SELECT d.refobjid, x.ev_action::text FROM pg_catalog.pg_rewrite x JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = x.oid
      AND d.refclassid = 'pg_catalog.pg_class'::regclass WHERE x.oid >= 16384
  ) AS e(relid, tree) WHERE e.relid IN (SELECT relid FROM misplaced) AND e.tree ~ ':varattno 0 '
), ordered (relid, used) AS (
  SELECT relid, relid IN (SELECT relid FROM used) OR relid IN (SELECT relid FROM whole) FROM misplaced
), f (classid, objid, why, relations) AS (
  SELECT classid, objid, 'changed', 0::bigint FROM changed WHERE (classid, objid) NOT IN (SELECT classid, objid FROM told)
 UNION ALL
  SELECT DISTINCT classid, objid, 'commented', 0::bigint FROM commented
    WHERE (classid, objid) NOT IN (SELECT classid, objid FROM told UNION ALL SELECT classid, objid FROM changed)
 UNION ALL
  -- Comments on what comes with something else: the rule of a view, a constraint that is inherited, a partition's copy of a trigger,
  -- the type of a table's rows or of an array, the functions of a range.
  SELECT DISTINCT d.classoid, d.objoid, 'comment', 0::bigint FROM pg_catalog.pg_description d
    LEFT JOIN pg_catalog.pg_rewrite r ON r.oid = d.objoid AND d.classoid = 'pg_catalog.pg_rewrite'::regclass
    LEFT JOIN pg_catalog.pg_constraint x ON x.oid = d.objoid AND d.classoid = 'pg_catalog.pg_constraint'::regclass
    LEFT JOIN pg_catalog.pg_trigger g ON g.oid = d.objoid AND d.classoid = 'pg_catalog.pg_trigger'::regclass
    LEFT JOIN pg_catalog.pg_type t ON t.oid = d.objoid AND d.classoid = 'pg_catalog.pg_type'::regclass
    LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
    LEFT JOIN pg_catalog.pg_depend p ON p.classid = d.classoid AND p.objid = d.objoid AND p.objsubid = 0 AND p.deptype = 'i'
      AND d.classoid = 'pg_catalog.pg_proc'::regclass AND p.refclassid = 'pg_catalog.pg_type'::regclass
    WHERE d.objoid >= 16384 AND (r.rulename = '_RETURN' OR x.contype IN ('c', 'f') AND NOT x.conislocal OR x.contype = 't' OR g.tgparentid <> 0
      OR c.relkind <> 'c' OR t.typcategory = 'A' OR t.typtype = 'm' OR p.objid IS NOT NULL)
      AND (d.classoid, d.objoid) NOT IN (SELECT classid, objid FROM told)
      AND ('pg_catalog.pg_class'::regclass, coalesce(r.ev_class, x.conrelid, g.tgrelid, t.typrelid, 0)) NOT IN (SELECT classid, objid FROM told)
 UNION ALL
  SELECT p.classid, p.objid, 'withType', 0 FROM pg_catalog.pg_depend p JOIN pg_catalog.pg_proc f ON f.oid = p.objid
    WHERE p.classid = 'pg_catalog.pg_proc'::regclass AND p.refclassid = 'pg_catalog.pg_type'::regclass AND p.deptype = 'i' AND p.objid >= 16384
      -- Where everybody may execute it, nothing is lost with what others were given besides, as default privileges do.
      AND f.proacl IS NOT NULL AND NOT EXISTS (SELECT FROM aclexplode(f.proacl) AS x WHERE x.grantee = 0 AND x.privilege_type = 'EXECUTE')
      AND (p.refclassid, p.refobjid) NOT IN (SELECT classid, objid FROM told)
 UNION ALL
  -- The type of a table's rows; of a multirange, whose privileges some majors let one change.
  SELECT 'pg_catalog.pg_type'::regclass, t.oid, 'withType', 0 FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
    WHERE t.oid >= 16384 AND t.typacl IS NOT NULL AND (c.relkind <> 'c' OR t.typtype = 'm')
      AND ('pg_catalog.pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM told)
      AND ('pg_catalog.pg_class'::regclass, t.typrelid) NOT IN (SELECT classid, objid FROM told)
 UNION ALL
  -- Detached only half, as DETACH PARTITION CONCURRENTLY leaves it where it is stopped; from 14 on.
  SELECT 'pg_catalog.pg_class'::regclass::oid, i.inhrelid, 'detached', 0 FROM pg_catalog.pg_inherits i
    WHERE (to_jsonb(i) ->> 'inhdetachpending')::bool AND ('pg_catalog.pg_class'::regclass, i.inhrelid) NOT IN (SELECT classid, objid FROM told)
 UNION ALL
  SELECT 'pg_catalog.pg_trigger'::regclass::oid, g.oid, 'named', 0 FROM pg_catalog.pg_trigger g
    JOIN pg_catalog.pg_trigger u ON u.oid = g.tgparentid WHERE g.tgname <> u.tgname AND g.tgname !~ '^RI_ConstraintTrigger_'
 UNION ALL
  -- A partition's own foreign key that became part of the partitioned table's when it was attached. What reaches from the table to
  -- partitions of the one that it names is the server's own.
  SELECT 'pg_catalog.pg_constraint'::regclass::oid, x.oid, 'keyNamed', 0 FROM pg_catalog.pg_constraint x
    JOIN pg_catalog.pg_constraint u ON u.oid = x.conparentid WHERE x.contype = 'f' AND x.conrelid <> u.conrelid AND x.conname <> u.conname
 UNION ALL
  -- A dump writes no type of an identity's sequence, and leaves out the bound that is its type's own. A copy (LIKE) has others.
  SELECT 'pg_catalog.pg_class'::regclass::oid, q.seqrelid, 'identityType', 0 FROM pg_catalog.pg_sequence q
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = q.seqrelid AND d.refobjsubid > 0 AND d.deptype = 'i'
      AND d.refclassid = 'pg_catalog.pg_class'::regclass
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE a.attidentity <> '' AND a.atttypid <> q.seqtypid
      AND CASE WHEN q.seqincrement > 0 THEN q.seqmax ELSE -1 - q.seqmin END
        = CASE q.seqtypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE 9223372036854775807 END AND ('pg_catalog.pg_class'::regclass, d.refobjid) NOT IN (SELECT classid, objid FROM told)
 UNION ALL
  SELECT 'pg_catalog.pg_class'::regclass::oid, c.oid, 'identityLost', 0 FROM pg_catalog.pg_class c
    WHERE c.relreplident = 'i' AND c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident)
      AND ('pg_catalog.pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM told)
 UNION ALL
  SELECT 'pg_catalog.pg_trigger'::regclass::oid, g.oid, 'depends', 0 FROM pg_catalog.pg_trigger g WHERE g.tgparentid <> 0
    AND EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_trigger'::regclass AND d.objid = g.oid AND d.deptype = 'x')
 UNION ALL
  SELECT 'pg_catalog.pg_namespace'::regclass::oid, oid, 'renamed', 0 FROM pg_catalog.pg_namespace WHERE oid = 2200 AND nspname <> 'public'
 UNION ALL
  SELECT 'pg_catalog.pg_constraint'::regclass::oid, x.oid, 'validated', 0 FROM pg_catalog.pg_constraint x
    JOIN pg_catalog.pg_inherits i ON i.inhrelid = x.conrelid
    JOIN pg_catalog.pg_constraint u ON u.conrelid = i.inhparent AND u.contype = x.contype AND (u.conname = x.conname AND u.contype = 'c' OR u.contype = 'n' AND u.conkey = x.conkey OR u.oid = x.conparentid)
    WHERE x.contype IN ('c', 'n', 'f') AND x.coninhcount > 0 AND x.convalidated AND NOT u.convalidated
      -- A dump writes those of a partition with its columns.
      AND NOT (x.contype = 'n' AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = x.conrelid AND c.relispartition)) AND ('pg_catalog.pg_class'::regclass, x.conrelid) NOT IN (SELECT classid, objid FROM told)
 UNION ALL
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
SELECT i.type, convert_to(i.identity, getdatabaseencoding()), f.why, f.relations,
  CASE f.why WHEN 'commented' THEN (SELECT left(encode(sha256(convert_to(string_agg(d.objsubid || ' ' || d.description, E'\n' ORDER BY d.objsubid), getdatabaseencoding())), 'hex'), 16)
    FROM pg_catalog.pg_description d WHERE d.classoid = f.classid AND d.objoid = f.objid) END
FROM f CROSS JOIN LATERAL pg_catalog.pg_identify_object(f.classid, f.objid, 0) AS i WHERE i.identity IS NOT NULL
-- A child's column may be empty that its parent's may not: before 18 a dump does not say so.
UNION ALL SELECT 'table column', convert_to(a.attrelid::regclass::text || '.' || a.attname::text, getdatabaseencoding()), 'nullable', 0, NULL
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_inherits h ON h.inhrelid = a.attrelid JOIN pg_catalog.pg_attribute u ON u.attrelid = h.inhparent AND u.attname = a.attname
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount > 0 AND NOT a.attnotnull AND u.attnotnull
    AND current_setting('server_version_num')::int < 180000
    AND ('pg_catalog.pg_class'::regclass, a.attrelid) NOT IN (SELECT classid, objid FROM told)
UNION ALL SELECT CASE WHEN used THEN 'row type' ELSE 'column order' END, convert_to(relid::regclass::text, getdatabaseencoding()),
    CASE WHEN used THEN 'rowType' ELSE 'columnOrder' END, 0, NULL FROM ordered
-- It is the server's, for all its databases, and pg_dumpall leaves it out too.
UNION ALL SELECT 'setting', convert_to(split_part(c, '=', 1), getdatabaseencoding()), 'ofAll', 0, NULL
  FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) AS c WHERE s.setdatabase = 0 AND s.setrole = 0
UNION ALL SELECT 'schema', 'public', 'dropped', 0, NULL WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public')
UNION ALL SELECT 'extension', 'plpgsql', 'dropped', 0, NULL WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'plpgsql')
ORDER BY 3, 1, 2 LIMIT $1
