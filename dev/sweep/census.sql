-- Everything a person could miss in a database, one fact a line, found by catalogue and not by any dump.
-- Run with psql -XqAt0 on both sides; equal databases print equal records, in any order.
-- Fields, parted by the unit separator: what it is, which one, which property of it, the value.
-- Properties named "text …" are printed by the server from a parsed form and may come back worded otherwise; a restore loses
-- nothing by that. All others must be the same.
\pset fieldsep '\x1f'
-- The views below are temporary, and nobody's trigger need hear of them.
SELECT pg_catalog.set_config('event_triggers', 'off', false) WHERE pg_catalog.current_setting('server_version_num')::int >= 170000 \g /dev/null
SET search_path = '';
SET extra_float_digits = 3;
SET DateStyle = 'ISO';
SET IntervalStyle = 'postgres';
SET TimeZone = 'UTC';
SET bytea_output = 'hex';
SET row_security = off;
SET client_min_messages = error;
SET statement_timeout = '120s';

CREATE TEMP VIEW object AS
SELECT o.class::pg_catalog.oid AS classid, o.oid AS objid, i.type AS kind, i.identity AS name
FROM (
    SELECT 'pg_class'::pg_catalog.regclass, c.oid FROM pg_catalog.pg_class c
    WHERE c.relkind <> 't' AND c.relnamespace <> 'pg_toast'::pg_catalog.regnamespace
    UNION ALL SELECT 'pg_type'::pg_catalog.regclass, t.oid FROM pg_catalog.pg_type t
    -- Arrays and row types come with what they are of.
    WHERE t.typelem = 0 AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
    UNION ALL SELECT 'pg_proc'::pg_catalog.regclass, oid FROM pg_catalog.pg_proc
    -- An operator that was only named as another's negator or commutator is none yet.
    UNION ALL SELECT 'pg_operator'::pg_catalog.regclass, oid FROM pg_catalog.pg_operator WHERE oprcode <> 0
    UNION ALL SELECT 'pg_opclass'::pg_catalog.regclass, oid FROM pg_catalog.pg_opclass
    UNION ALL SELECT 'pg_opfamily'::pg_catalog.regclass, oid FROM pg_catalog.pg_opfamily
    UNION ALL SELECT 'pg_am'::pg_catalog.regclass, oid FROM pg_catalog.pg_am
    UNION ALL SELECT 'pg_amop'::pg_catalog.regclass, oid FROM pg_catalog.pg_amop
    UNION ALL SELECT 'pg_amproc'::pg_catalog.regclass, oid FROM pg_catalog.pg_amproc
    UNION ALL SELECT 'pg_cast'::pg_catalog.regclass, oid FROM pg_catalog.pg_cast
    UNION ALL SELECT 'pg_collation'::pg_catalog.regclass, oid FROM pg_catalog.pg_collation
    UNION ALL SELECT 'pg_conversion'::pg_catalog.regclass, oid FROM pg_catalog.pg_conversion
    -- Partitions have the foreign keys of their roots under names, and in numbers, that hang on how they came to be.
    -- A NOT NULL that a parent has too is one of the column's own facts; by which parent's name it goes no dump tells.
    UNION ALL SELECT 'pg_constraint'::pg_catalog.regclass, oid FROM pg_catalog.pg_constraint WHERE (contype <> 'f' OR conparentid = 0) AND (contype <> 'n' OR coninhcount = 0)
    UNION ALL SELECT 'pg_trigger'::pg_catalog.regclass, oid FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'pg_rewrite'::pg_catalog.regclass, oid FROM pg_catalog.pg_rewrite
    UNION ALL SELECT 'pg_policy'::pg_catalog.regclass, oid FROM pg_catalog.pg_policy
    UNION ALL SELECT 'pg_namespace'::pg_catalog.regclass, oid FROM pg_catalog.pg_namespace
    UNION ALL SELECT 'pg_extension'::pg_catalog.regclass, oid FROM pg_catalog.pg_extension
    UNION ALL SELECT 'pg_event_trigger'::pg_catalog.regclass, oid FROM pg_catalog.pg_event_trigger
    UNION ALL SELECT 'pg_foreign_data_wrapper'::pg_catalog.regclass, oid FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_foreign_server'::pg_catalog.regclass, oid FROM pg_catalog.pg_foreign_server
    UNION ALL SELECT 'pg_user_mapping'::pg_catalog.regclass, oid FROM pg_catalog.pg_user_mapping
    UNION ALL SELECT 'pg_language'::pg_catalog.regclass, oid FROM pg_catalog.pg_language
    UNION ALL SELECT 'pg_publication'::pg_catalog.regclass, oid FROM pg_catalog.pg_publication
    UNION ALL SELECT 'pg_publication_rel'::pg_catalog.regclass, oid FROM pg_catalog.pg_publication_rel
    UNION ALL SELECT 'pg_publication_namespace'::pg_catalog.regclass, oid FROM pg_catalog.pg_publication_namespace
    UNION ALL SELECT 'pg_subscription'::pg_catalog.regclass, oid FROM pg_catalog.pg_subscription
    UNION ALL SELECT 'pg_statistic_ext'::pg_catalog.regclass, oid FROM pg_catalog.pg_statistic_ext
    UNION ALL SELECT 'pg_transform'::pg_catalog.regclass, oid FROM pg_catalog.pg_transform
    UNION ALL SELECT 'pg_ts_config'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT 'pg_ts_template'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_template
    UNION ALL SELECT 'pg_default_acl'::pg_catalog.regclass, oid FROM pg_catalog.pg_default_acl
    UNION ALL SELECT 'pg_attrdef'::pg_catalog.regclass, oid FROM pg_catalog.pg_attrdef
    UNION ALL SELECT 'pg_largeobject'::pg_catalog.regclass, oid FROM pg_catalog.pg_largeobject_metadata
) AS o (class, oid), LATERAL pg_catalog.pg_identify_object(o.class, o.oid, 0) AS i
-- What initdb makes has lower numbers, except the schema public.
WHERE (o.oid >= 16384 OR o.class = 'pg_namespace'::pg_catalog.regclass)
    AND i.identity IS NOT NULL AND i.identity !~ '(^|[^_a-z])pg_(temp|toast)';

-- The objects themselves, and what they belong to.
SELECT kind, name, 'exists', '' FROM object;
SELECT o.kind, o.name, 'extension', e.extname
FROM object o JOIN pg_catalog.pg_depend d ON d.classid = o.classid AND d.objid = o.objid AND d.objsubid = 0 AND d.deptype = 'e'
    JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_extension'::pg_catalog.regclass AND e.oid = d.refobjid;
SELECT o.kind, o.name, 'comment' || COALESCE(' of column ' || (SELECT a.attname FROM pg_catalog.pg_attribute a WHERE d.classoid = 'pg_class'::pg_catalog.regclass AND a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0), ''), pg_catalog.quote_nullable(d.description)
FROM object o JOIN pg_catalog.pg_description d ON d.classoid = o.classid AND d.objoid = o.objid;
SELECT o.kind, o.name, 'security label of ' || s.provider || COALESCE(' of column ' || (SELECT a.attname FROM pg_catalog.pg_attribute a WHERE s.classoid = 'pg_class'::pg_catalog.regclass AND a.attrelid = s.objoid AND a.attnum = s.objsubid AND s.objsubid > 0), ''), pg_catalog.quote_nullable(s.label)
FROM object o JOIN pg_catalog.pg_seclabel s ON s.classoid = o.classid AND s.objoid = o.objid;

-- Owners and privileges; the catalogue's NULL is the default privileges, which are written out here.
CREATE TEMP VIEW owned AS
SELECT 'pg_class'::pg_catalog.regclass::pg_catalog.oid AS classid, oid AS objid, relowner AS owner,
    COALESCE(relacl, pg_catalog.acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl
FROM pg_catalog.pg_class
UNION ALL SELECT 'pg_type'::pg_catalog.regclass, oid, typowner, COALESCE(typacl, pg_catalog.acldefault('T', typowner)) FROM pg_catalog.pg_type
UNION ALL SELECT 'pg_proc'::pg_catalog.regclass, oid, proowner, COALESCE(proacl, pg_catalog.acldefault('f', proowner)) FROM pg_catalog.pg_proc
UNION ALL SELECT 'pg_namespace'::pg_catalog.regclass, oid, nspowner, COALESCE(nspacl, pg_catalog.acldefault('n', nspowner)) FROM pg_catalog.pg_namespace
UNION ALL SELECT 'pg_foreign_data_wrapper'::pg_catalog.regclass, oid, fdwowner, COALESCE(fdwacl, pg_catalog.acldefault('F', fdwowner)) FROM pg_catalog.pg_foreign_data_wrapper
UNION ALL SELECT 'pg_foreign_server'::pg_catalog.regclass, oid, srvowner, COALESCE(srvacl, pg_catalog.acldefault('S', srvowner)) FROM pg_catalog.pg_foreign_server
UNION ALL SELECT 'pg_language'::pg_catalog.regclass, oid, lanowner, COALESCE(lanacl, pg_catalog.acldefault('l', lanowner)) FROM pg_catalog.pg_language
UNION ALL SELECT 'pg_largeobject'::pg_catalog.regclass, oid, lomowner, COALESCE(lomacl, pg_catalog.acldefault('L', lomowner)) FROM pg_catalog.pg_largeobject_metadata
UNION ALL SELECT 'pg_operator'::pg_catalog.regclass, oid, oprowner, NULL FROM pg_catalog.pg_operator
UNION ALL SELECT 'pg_opclass'::pg_catalog.regclass, oid, opcowner, NULL FROM pg_catalog.pg_opclass
UNION ALL SELECT 'pg_opfamily'::pg_catalog.regclass, oid, opfowner, NULL FROM pg_catalog.pg_opfamily
UNION ALL SELECT 'pg_collation'::pg_catalog.regclass, oid, collowner, NULL FROM pg_catalog.pg_collation
UNION ALL SELECT 'pg_conversion'::pg_catalog.regclass, oid, conowner, NULL FROM pg_catalog.pg_conversion
UNION ALL SELECT 'pg_extension'::pg_catalog.regclass, oid, extowner, NULL FROM pg_catalog.pg_extension
UNION ALL SELECT 'pg_event_trigger'::pg_catalog.regclass, oid, evtowner, NULL FROM pg_catalog.pg_event_trigger
UNION ALL SELECT 'pg_publication'::pg_catalog.regclass, oid, pubowner, NULL FROM pg_catalog.pg_publication
UNION ALL SELECT 'pg_subscription'::pg_catalog.regclass, oid, subowner, NULL FROM pg_catalog.pg_subscription
UNION ALL SELECT 'pg_statistic_ext'::pg_catalog.regclass, oid, stxowner, NULL FROM pg_catalog.pg_statistic_ext
UNION ALL SELECT 'pg_ts_config'::pg_catalog.regclass, oid, cfgowner, NULL FROM pg_catalog.pg_ts_config
UNION ALL SELECT 'pg_ts_dict'::pg_catalog.regclass, oid, dictowner, NULL FROM pg_catalog.pg_ts_dict
UNION ALL SELECT 'pg_default_acl'::pg_catalog.regclass, oid, defaclrole, defaclacl FROM pg_catalog.pg_default_acl;
SELECT o.kind, o.name, 'owner', pg_catalog.pg_get_userbyid(w.owner) FROM object o JOIN owned w USING (classid, objid);
SELECT DISTINCT o.kind, o.name, 'privilege', a::pg_catalog.text FROM object o JOIN owned w USING (classid, objid), pg_catalog.unnest(w.acl) AS a;

-- Relations. A dump writes options in the order of their names.
SELECT o.kind, o.name, 'relation', pg_catalog.concat_ws(' ', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispartition,
    am.amname, (SELECT pg_catalog.string_agg(x, ',' ORDER BY x) FROM pg_catalog.unnest(c.reloptions) x), (SELECT (SELECT pg_catalog.string_agg(x, ',' ORDER BY x) FROM pg_catalog.unnest(t.reloptions) x) FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid), s.spcname)
FROM object o JOIN pg_catalog.pg_class c ON o.classid = 'pg_class'::pg_catalog.regclass AND c.oid = o.objid
    LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace;
SELECT o.kind, o.name, 'populated', c.relispopulated FROM object o JOIN pg_catalog.pg_class c ON o.classid = 'pg_class'::pg_catalog.regclass AND c.oid = o.objid WHERE c.relkind = 'm';
SELECT o.kind, o.name, 'parents', (SELECT pg_catalog.string_agg(i.inhparent::pg_catalog.regclass::pg_catalog.text, ', ' ORDER BY i.inhseqno) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = o.objid)
FROM object o WHERE o.classid = 'pg_class'::pg_catalog.regclass;
SELECT o.kind, o.name, 'column ' || pg_catalog.quote_ident(a.attname), pg_catalog.concat_ws(' ',
    pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, a.attcompression, a.attstattarget, a.attidentity, a.attgenerated, a.attislocal,
    -- The server's own mark in there is another in every database.
    (SELECT pg_catalog.string_agg(x, ',' ORDER BY x) FROM pg_catalog.unnest(a.attoptions) x WHERE x NOT LIKE 'pg\_attver=%'),
    (SELECT pg_catalog.string_agg(x, ',' ORDER BY x) FROM pg_catalog.unnest(a.attfdwoptions) x), (SELECT l.collname FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation),
    (SELECT pg_catalog.string_agg(x::pg_catalog.text, ',' ORDER BY x::pg_catalog.text) FROM pg_catalog.unnest(a.attacl) x))
FROM object o JOIN pg_catalog.pg_attribute a ON o.classid = 'pg_class'::pg_catalog.regclass AND a.attrelid = o.objid AND a.attnum > 0 AND NOT a.attisdropped
WHERE o.kind NOT IN ('index', 'sequence');
-- The order of columns counts. Those that a parent has too come where the parent has them: only the others count, among themselves.
SELECT o.kind, o.name, CASE WHEN own.own THEN 'order of own columns' ELSE 'text of order of columns' END,
    pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attinhcount = 0 OR NOT own.own)
FROM object o JOIN pg_catalog.pg_attribute a ON o.classid = 'pg_class'::pg_catalog.regclass AND a.attrelid = o.objid AND a.attnum > 0 AND NOT a.attisdropped,
    (VALUES (true), (false)) AS own (own)
WHERE o.kind NOT IN ('index', 'sequence') GROUP BY 1, 2, 3, own.own;
SELECT 'default', o.name, 'text of it', pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM object o JOIN pg_catalog.pg_attrdef d ON o.classid = 'pg_attrdef'::pg_catalog.regclass AND d.oid = o.objid;
SELECT o.kind, o.name, 'text of bound and key', pg_catalog.concat_ws(' / ', pg_catalog.pg_get_expr(c.relpartbound, c.oid), CASE c.relkind WHEN 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END)
FROM object o JOIN pg_catalog.pg_class c ON o.classid = 'pg_class'::pg_catalog.regclass AND c.oid = o.objid WHERE c.relispartition OR c.relkind = 'p';
SELECT o.kind, o.name, 'text of view', pg_catalog.pg_get_viewdef(c.oid)
FROM object o JOIN pg_catalog.pg_class c ON o.classid = 'pg_class'::pg_catalog.regclass AND c.oid = o.objid WHERE c.relkind IN ('v', 'm');
SELECT o.kind, o.name, 'index', pg_catalog.concat_ws(' ', i.indisunique, i.indisprimary, i.indisexclusion, i.indisclustered, i.indisreplident, i.indisvalid)
FROM object o JOIN pg_catalog.pg_index i ON o.classid = 'pg_class'::pg_catalog.regclass AND i.indexrelid = o.objid;
SELECT o.kind, o.name, 'text of index', pg_catalog.pg_get_indexdef(i.indexrelid)
FROM object o JOIN pg_catalog.pg_index i ON o.classid = 'pg_class'::pg_catalog.regclass AND i.indexrelid = o.objid;
SELECT o.kind, o.name, 'sequence', pg_catalog.concat_ws(' ', s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle, s.seqtypid::pg_catalog.regtype)
FROM object o JOIN pg_catalog.pg_sequence s ON o.classid = 'pg_class'::pg_catalog.regclass AND s.seqrelid = o.objid;
SELECT pg_catalog.format('SELECT %L, %L, %L, pg_catalog.concat_ws('' '', last_value, is_called) FROM %s', o.kind, o.name, 'stands at', o.name)
FROM object o WHERE o.kind = 'sequence' \gexec

-- Constraints, triggers, rules, policies, statistics.
SELECT o.kind, o.name, 'constraint', pg_catalog.concat_ws(' ', c.contype, c.convalidated, c.condeferrable, c.condeferred, CASE WHEN c.contype IN ('c', 'n') THEN c.connoinherit END)
FROM object o JOIN pg_catalog.pg_constraint c ON o.classid = 'pg_constraint'::pg_catalog.regclass AND c.oid = o.objid;
SELECT o.kind, o.name, 'text of constraint', pg_catalog.pg_get_constraintdef(c.oid)
FROM object o JOIN pg_catalog.pg_constraint c ON o.classid = 'pg_constraint'::pg_catalog.regclass AND c.oid = o.objid;
SELECT o.kind, o.name, 'enabled', t.tgenabled FROM object o JOIN pg_catalog.pg_trigger t ON o.classid = 'pg_trigger'::pg_catalog.regclass AND t.oid = o.objid;
SELECT o.kind, o.name, 'text of trigger', pg_catalog.pg_get_triggerdef(t.oid) FROM object o JOIN pg_catalog.pg_trigger t ON o.classid = 'pg_trigger'::pg_catalog.regclass AND t.oid = o.objid;
-- Those of foreign keys have no name that lasts; how many are off is told.
SELECT 'table', t.tgrelid::pg_catalog.regclass, 'internal triggers not as made', pg_catalog.count(*) FROM pg_catalog.pg_trigger t WHERE t.tgisinternal AND t.tgenabled <> 'O' GROUP BY 2;
SELECT o.kind, o.name, 'enabled', r.ev_enabled FROM object o JOIN pg_catalog.pg_rewrite r ON o.classid = 'pg_rewrite'::pg_catalog.regclass AND r.oid = o.objid;
SELECT o.kind, o.name, 'text of rule', pg_catalog.pg_get_ruledef(r.oid) FROM object o JOIN pg_catalog.pg_rewrite r ON o.classid = 'pg_rewrite'::pg_catalog.regclass AND r.oid = o.objid;
SELECT o.kind, o.name, 'policy', pg_catalog.concat_ws(' ', p.polcmd, p.polpermissive, (SELECT pg_catalog.string_agg(pg_catalog.pg_get_userbyid(x), ',' ORDER BY 1) FROM pg_catalog.unnest(p.polroles) x))
FROM object o JOIN pg_catalog.pg_policy p ON o.classid = 'pg_policy'::pg_catalog.regclass AND p.oid = o.objid;
SELECT o.kind, o.name, 'text of policy', pg_catalog.concat_ws(' / ', pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
FROM object o JOIN pg_catalog.pg_policy p ON o.classid = 'pg_policy'::pg_catalog.regclass AND p.oid = o.objid;
SELECT o.kind, o.name, 'text of statistics', pg_catalog.pg_get_statisticsobjdef(o.objid) FROM object o WHERE o.classid = 'pg_statistic_ext'::pg_catalog.regclass;

-- Functions, types, operators and the small kinds.
SELECT o.kind, o.name, 'function', pg_catalog.concat_ws(' ', p.prokind, l.lanname, p.prosecdef, p.proleakproof, p.proisstrict, p.provolatile, p.proparallel, p.procost, p.prorows,
    p.proconfig::pg_catalog.text, pg_catalog.md5(p.prosrc), p.probin)
FROM object o JOIN pg_catalog.pg_proc p ON o.classid = 'pg_proc'::pg_catalog.regclass AND p.oid = o.objid JOIN pg_catalog.pg_language l ON l.oid = p.prolang;
SELECT o.kind, o.name, 'text of function', pg_catalog.concat_ws(' ', pg_catalog.pg_get_function_arguments(p.oid), '->', pg_catalog.pg_get_function_result(p.oid), pg_catalog.pg_get_function_sqlbody(p.oid))
FROM object o JOIN pg_catalog.pg_proc p ON o.classid = 'pg_proc'::pg_catalog.regclass AND p.oid = o.objid;
SELECT o.kind, o.name, 'aggregate', pg_catalog.concat_ws(' ', a.aggkind, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggtranstype::pg_catalog.regtype, a.agginitval)
FROM object o JOIN pg_catalog.pg_aggregate a ON o.classid = 'pg_proc'::pg_catalog.regclass AND a.aggfnoid = o.objid;
SELECT o.kind, o.name, 'type', pg_catalog.concat_ws(' ', t.typtype, t.typlen, t.typbyval, t.typcategory, t.typinput, t.typalign, t.typstorage, t.typnotnull, t.typbasetype::pg_catalog.regtype,
    (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
FROM object o JOIN pg_catalog.pg_type t ON o.classid = 'pg_type'::pg_catalog.regclass AND t.oid = o.objid;
SELECT o.kind, o.name, 'text of default', t.typdefault FROM object o JOIN pg_catalog.pg_type t ON o.classid = 'pg_type'::pg_catalog.regclass AND t.oid = o.objid WHERE t.typdefault IS NOT NULL;
SELECT o.kind, o.name, 'operator', pg_catalog.concat_ws(' ', p.oprcode, p.oprrest, p.oprjoin, p.oprcanmerge, p.oprcanhash, p.oprcom::pg_catalog.regoperator, p.oprnegate::pg_catalog.regoperator)
FROM object o JOIN pg_catalog.pg_operator p ON o.classid = 'pg_operator'::pg_catalog.regclass AND p.oid = o.objid;
SELECT o.kind, o.name, 'language', pg_catalog.concat_ws(' ', l.lanpltrusted, l.lanplcallfoid::pg_catalog.regproc, l.laninline::pg_catalog.regproc)
FROM object o JOIN pg_catalog.pg_language l ON o.classid = 'pg_language'::pg_catalog.regclass AND l.oid = o.objid;
SELECT o.kind, o.name, 'event trigger', pg_catalog.concat_ws(' ', e.evtevent, e.evtenabled, e.evtfoid::pg_catalog.regproc, e.evttags::pg_catalog.text)
FROM object o JOIN pg_catalog.pg_event_trigger e ON o.classid = 'pg_event_trigger'::pg_catalog.regclass AND e.oid = o.objid;
SELECT o.kind, o.name, 'wrapper', pg_catalog.concat_ws(' ', w.fdwhandler::pg_catalog.regproc, w.fdwvalidator::pg_catalog.regproc, (SELECT pg_catalog.string_agg(x, ',' ORDER BY x) FROM pg_catalog.unnest(w.fdwoptions) x))
FROM object o JOIN pg_catalog.pg_foreign_data_wrapper w ON o.classid = 'pg_foreign_data_wrapper'::pg_catalog.regclass AND w.oid = o.objid;
SELECT o.kind, o.name, 'server', pg_catalog.concat_ws(' ', s.srvtype, s.srvversion, (SELECT pg_catalog.string_agg(x, ',' ORDER BY x) FROM pg_catalog.unnest(s.srvoptions) x))
FROM object o JOIN pg_catalog.pg_foreign_server s ON o.classid = 'pg_foreign_server'::pg_catalog.regclass AND s.oid = o.objid;
SELECT o.kind, o.name, 'options', (SELECT pg_catalog.string_agg(x, ',' ORDER BY x) FROM pg_catalog.unnest(u.umoptions) x) FROM object o JOIN pg_catalog.pg_user_mapping u ON o.classid = 'pg_user_mapping'::pg_catalog.regclass AND u.oid = o.objid;
SELECT o.kind, o.name, 'options', (SELECT pg_catalog.string_agg(x, ',' ORDER BY x) FROM pg_catalog.unnest(f.ftoptions) x) FROM object o JOIN pg_catalog.pg_foreign_table f ON o.classid = 'pg_class'::pg_catalog.regclass AND f.ftrelid = o.objid;
SELECT o.kind, o.name, 'version', pg_catalog.concat_ws(' ', e.extversion, n.nspname, e.extrelocatable)
FROM object o JOIN pg_catalog.pg_extension e ON o.classid = 'pg_extension'::pg_catalog.regclass AND e.oid = o.objid JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace;
SELECT o.kind, o.name, 'publication', pg_catalog.concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot)
FROM object o JOIN pg_catalog.pg_publication p ON o.classid = 'pg_publication'::pg_catalog.regclass AND p.oid = o.objid;
SELECT o.kind, o.name, 'text of filter', pg_catalog.concat_ws(' / ', r.prattrs::pg_catalog.text, pg_catalog.pg_get_expr(r.prqual, r.prrelid))
FROM object o JOIN pg_catalog.pg_publication_rel r ON o.classid = 'pg_publication_rel'::pg_catalog.regclass AND r.oid = o.objid;
SELECT o.kind, o.name, 'dictionary', d.dictinitoption FROM object o JOIN pg_catalog.pg_ts_dict d ON o.classid = 'pg_ts_dict'::pg_catalog.regclass AND d.oid = o.objid;
SELECT o.kind, o.name, 'mapping ' || m.maptokentype, pg_catalog.string_agg(m.mapdict::pg_catalog.regdictionary::pg_catalog.text, ',' ORDER BY m.mapseqno)
FROM object o JOIN pg_catalog.pg_ts_config_map m ON o.classid = 'pg_ts_config'::pg_catalog.regclass AND m.mapcfg = o.objid GROUP BY 1, 2, m.maptokentype;
SELECT 'large object', m.oid, 'content', pg_catalog.md5(pg_catalog.lo_get(m.oid)) FROM pg_catalog.pg_largeobject_metadata m;

-- What the database is set to.
SELECT 'database', '', 'setting of ' || COALESCE(r.rolname, 'everybody'), c
FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, pg_catalog.unnest(s.setconfig) c
WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database());
SELECT 'database', '', 'properties', pg_catalog.concat_ws(' ', pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, pg_catalog.pg_get_userbyid(datdba), pg_catalog.shobj_description(oid, 'pg_database'))
FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database();

-- Rows: the number and a sum over each row's hash, of every table whoever owns it, the columns by name. One statement a table, so that
-- one that cannot be read spoils no other.
SELECT pg_catalog.format('SELECT %L, %L, ''rows'', pg_catalog.concat_ws('' '', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(ROW(%s)::pg_catalog.text, 0))) FROM ONLY %s AS t',
    o.kind, o.name, (SELECT pg_catalog.string_agg('t.' || pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attname) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), o.name)
FROM object o JOIN pg_catalog.pg_class c ON o.classid = 'pg_class'::pg_catalog.regclass AND c.oid = o.objid WHERE c.relkind = 'r' \gexec
