-- What extensions own, and what stands on their tables and views, each with a fingerprint of its definition (G4). Asked under an
-- empty search_path, so that names are printed in full. No OID goes in. Privileges are lines of their own: a dump holds how they
-- differ from what scripts of extensions gave (pg_init_privs), and takes it for granted that CREATE EXTENSION gives that again.
WITH m AS MATERIALIZED (
  SELECT d.classid, d.objid, e.extname, e.extowner FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
  WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' AND d.objsubid = 0
), r AS MATERIALIZED (
  SELECT m.extname, m.extowner, c.oid, c.relkind FROM m JOIN pg_catalog.pg_class c
    ON c.oid = m.objid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
), o (extname, extowner, classid, objid, parent, owner, def) AS (
  SELECT extname, extowner, 'pg_catalog.pg_extension'::pg_catalog.regclass, e.oid, 0::oid, 0::oid,
    jsonb_build_array(e.extrelocatable, (SELECT jsonb_agg(jsonb_build_array(x.t::regclass::text, x.f) ORDER BY x.t::regclass::text COLLATE "C")
      FROM unnest(e.extconfig, e.extcondition) AS x(t, f)))
  FROM pg_catalog.pg_extension e
 UNION ALL
  SELECT extname, extowner, classid, p.oid, 0, p.proowner, CASE WHEN p.prokind <> 'a' THEN to_jsonb(pg_get_functiondef(p.oid))
    ELSE jsonb_build_array(to_jsonb(a) - '{aggfnoid,aggsortop,aggtranstype,aggmtranstype}'::text[], a.aggsortop::regoperator::text,
      a.aggtranstype::regtype::text, a.aggmtranstype::regtype::text, p.proparallel, p.prosupport::text) END
  FROM m JOIN pg_catalog.pg_proc p ON p.oid = m.objid AND m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid
 UNION ALL
  SELECT extname, extowner, 'pg_catalog.pg_class'::regclass, c.oid, 0, c.relowner, jsonb_build_array(c.relkind, c.relpersistence, c.reloptions,
    c.relrowsecurity, c.relforcerowsecurity, c.relreplident, (SELECT amname FROM pg_catalog.pg_am WHERE oid = c.relam),
    CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
    (SELECT to_jsonb(s) - '{seqrelid,seqtypid}'::text[] FROM pg_catalog.pg_sequence s WHERE s.seqrelid = c.oid),
    -- Where a sequence stands, unless the dump says so.
    CASE WHEN c.relkind = 'S' AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE c.oid = ANY (e.extconfig)) THEN pg_sequence_last_value(c.oid) END,
    pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
    (SELECT jsonb_build_array(f.ftoptions, s.srvname) FROM pg_catalog.pg_foreign_table f JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
    (SELECT jsonb_agg(i.inhparent::regclass::text ORDER BY i.inhseqno) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
    (SELECT jsonb_agg(p.pubname ORDER BY p.pubname) FROM pg_catalog.pg_publication_rel x JOIN pg_catalog.pg_publication p ON p.oid = x.prpubid WHERE x.prrelid = c.oid),
    (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
       a.attcollation::regcollation::text, a.attstorage,
       -- The server's own counter is no option of anybody's.
       (SELECT jsonb_agg(x ORDER BY x) FROM unnest(a.attoptions) AS x WHERE x NOT LIKE 'pg\_attver=%'), a.attfdwoptions, nullif(a.attstattarget, -1), pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)) ORDER BY a.attnum)
       FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'S'))
  FROM r JOIN pg_catalog.pg_class c ON c.oid = r.oid
 UNION ALL
  SELECT extname, extowner, 'pg_catalog.pg_class'::regclass, i.indexrelid, r.oid, 0, jsonb_build_array(pg_get_indexdef(i.indexrelid), i.indisclustered,
    i.indisreplident, i.indisvalid)
  FROM r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
 UNION ALL
  SELECT extname, extowner, 'pg_catalog.pg_constraint'::regclass, x.oid, r.oid, 0, jsonb_build_array(pg_get_constraintdef(x.oid), x.convalidated,
    (SELECT count(*) FROM pg_catalog.pg_trigger t WHERE t.tgconstraint = x.oid AND t.tgrelid = r.oid AND t.tgenabled <> 'O'))
  FROM r JOIN pg_catalog.pg_constraint x ON x.conrelid = r.oid AND x.contype <> 'n'
 UNION ALL
  SELECT extname, extowner, 'pg_catalog.pg_trigger'::regclass, x.oid, r.oid, 0, jsonb_build_array(pg_get_triggerdef(x.oid), x.tgenabled)
  FROM r JOIN pg_catalog.pg_trigger x ON x.tgrelid = r.oid AND NOT x.tgisinternal
 UNION ALL
  SELECT extname, extowner, 'pg_catalog.pg_policy'::regclass, x.oid, r.oid, 0, jsonb_build_array(x.polcmd, x.polpermissive, x.polroles::regrole[]::text[],
    pg_get_expr(x.polqual, x.polrelid), pg_get_expr(x.polwithcheck, x.polrelid))
  FROM r JOIN pg_catalog.pg_policy x ON x.polrelid = r.oid
 UNION ALL
  SELECT extname, extowner, 'pg_catalog.pg_rewrite'::regclass, x.oid, r.oid, 0, jsonb_build_array(pg_get_ruledef(x.oid), x.ev_enabled)
  FROM r JOIN pg_catalog.pg_rewrite x ON x.ev_class = r.oid AND x.rulename <> '_RETURN'
 UNION ALL
  SELECT extname, extowner, 'pg_catalog.pg_statistic_ext'::regclass, x.oid, r.oid, x.stxowner, jsonb_build_array(pg_get_statisticsobjdef(x.oid), nullif(x.stxstattarget, -1))
  FROM r JOIN pg_catalog.pg_statistic_ext x ON x.stxrelid = r.oid
 UNION ALL
  SELECT extname, extowner, classid, t.oid, 0, t.typowner, jsonb_build_array(t.typtype, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typispreferred, t.typdelim,
    t.typinput::text, t.typoutput::text, t.typreceive::text, t.typsend::text, t.typmodin::text, t.typmodout::text, t.typanalyze::text, format_type(nullif(t.typbasetype, 0), t.typtypmod), t.typnotnull, t.typdefault,
    (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
    (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT jsonb_agg(jsonb_build_array(x.conname, pg_get_constraintdef(x.oid), x.convalidated) ORDER BY x.conname) FROM pg_catalog.pg_constraint x WHERE x.contypid = t.oid))
  FROM m JOIN pg_catalog.pg_type t ON t.oid = m.objid AND m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
    LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
  -- The types of rows and of arrays come with what they are of.
  WHERE t.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c'
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.oprowner, jsonb_build_array(x.oprcode::text, x.oprrest::text, x.oprjoin::text, x.oprcanmerge, x.oprcanhash,
    x.oprcom::regoperator::text, x.oprnegate::regoperator::text)
  FROM m JOIN pg_catalog.pg_operator x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.opcowner, jsonb_build_array(x.opcdefault, x.opcintype::regtype::text, x.opckeytype::regtype::text)
  FROM m JOIN pg_catalog.pg_opclass x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_opclass'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.opfowner, jsonb_build_array(
    (SELECT jsonb_agg(jsonb_build_array(a.amopstrategy, a.amopopr::regoperator::text) ORDER BY a.amopstrategy, a.amopopr::regoperator::text COLLATE "C") FROM pg_catalog.pg_amop a WHERE a.amopfamily = x.oid),
    (SELECT jsonb_agg(jsonb_build_array(a.amprocnum, a.amproc::regprocedure::text) ORDER BY a.amprocnum, a.amproc::regprocedure::text COLLATE "C") FROM pg_catalog.pg_amproc a WHERE a.amprocfamily = x.oid))
  FROM m JOIN pg_catalog.pg_opfamily x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, 0, jsonb_build_array(x.castfunc::regprocedure::text, x.castcontext, x.castmethod)
  FROM m JOIN pg_catalog.pg_cast x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.lanowner, jsonb_build_array(x.lanpltrusted, x.lanplcallfoid::regprocedure::text, x.laninline::regprocedure::text, x.lanvalidator::regprocedure::text)
  FROM m JOIN pg_catalog.pg_language x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_language'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.fdwowner, jsonb_build_array(x.fdwhandler::regprocedure::text, x.fdwvalidator::regprocedure::text, x.fdwoptions)
  FROM m JOIN pg_catalog.pg_foreign_data_wrapper x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.srvowner, jsonb_build_array(x.srvtype, x.srvversion, x.srvoptions)
  FROM m JOIN pg_catalog.pg_foreign_server x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_foreign_server'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.evtowner, jsonb_build_array(x.evtevent, x.evtenabled, x.evttags, x.evtfoid::regprocedure::text)
  FROM m JOIN pg_catalog.pg_event_trigger x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.cfgowner, (SELECT jsonb_agg(jsonb_build_array(a.maptokentype, a.mapseqno, a.mapdict::regdictionary::text) ORDER BY 1)
    FROM pg_catalog.pg_ts_config_map a WHERE a.mapcfg = x.oid)
  FROM m JOIN pg_catalog.pg_ts_config x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_ts_config'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.dictowner, to_jsonb(x.dictinitoption)
  FROM m JOIN pg_catalog.pg_ts_dict x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_ts_dict'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, x.oid, 0, x.nspowner, NULL
  FROM m JOIN pg_catalog.pg_namespace x ON x.oid = m.objid AND m.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
 UNION ALL
  SELECT extname, extowner, classid, objid, 0, 0, NULL FROM m
  WHERE classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass, 'pg_cast'::regclass,
   'pg_language'::regclass, 'pg_foreign_data_wrapper'::regclass, 'pg_foreign_server'::regclass, 'pg_event_trigger'::regclass, 'pg_ts_config'::regclass, 'pg_ts_dict'::regclass, 'pg_namespace'::regclass)
), a (classid, objid, owner, kind, acl) AS (
  SELECT 'pg_catalog.pg_proc'::regclass, oid, proowner, 'f'::"char", proacl FROM pg_catalog.pg_proc
 UNION ALL SELECT 'pg_catalog.pg_class'::regclass, oid, relowner, CASE WHEN relkind = 'S' THEN 's'::"char" ELSE 'r'::"char" END, relacl
    FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
 UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typowner, 'T'::"char", typacl FROM pg_catalog.pg_type
 UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, oid, nspowner, 'n'::"char", nspacl FROM pg_catalog.pg_namespace
 UNION ALL SELECT 'pg_catalog.pg_language'::regclass, oid, lanowner, 'l'::"char", lanacl FROM pg_catalog.pg_language
 UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid, fdwowner, 'F'::"char", fdwacl FROM pg_catalog.pg_foreign_data_wrapper
 UNION ALL SELECT 'pg_catalog.pg_foreign_server'::regclass, oid, srvowner, 'S'::"char", srvacl FROM pg_catalog.pg_foreign_server
), g (extname, classid, objid, def) AS (
  -- Of members, and of what else a script of some extension gave privileges on: which one, nobody knows. Only what is not the default.
  SELECT coalesce(m.extname::text, ''), a.classid, a.objid, p.held FROM a LEFT JOIN m ON m.classid = a.classid AND m.objid = a.objid
    CROSS JOIN LATERAL (
      SELECT jsonb_agg(t.said ORDER BY t.said::text COLLATE "C") FILTER (WHERE t.now) AS held, jsonb_agg(t.said ORDER BY t.said::text COLLATE "C") FILTER (WHERE NOT t.now) AS usual
      FROM (SELECT w.now, jsonb_build_array(w.part, CASE WHEN x.grantee = a.owner THEN '' ELSE x.grantee::regrole::text END,
          CASE WHEN x.grantor = a.owner THEN '' ELSE x.grantor::regrole::text END, x.privilege_type, x.is_grantable) AS said
        FROM (SELECT true, '', coalesce(a.acl, acldefault(a.kind, a.owner)) UNION ALL SELECT false, '', acldefault(a.kind, a.owner)
          UNION ALL SELECT true, c.attname::text, c.attacl FROM pg_catalog.pg_attribute c
            WHERE a.classid = 'pg_catalog.pg_class'::regclass AND c.attrelid = a.objid AND c.attacl IS NOT NULL) AS w (now, part, acl)
          CROSS JOIN LATERAL aclexplode(w.acl) AS x) AS t) AS p
  WHERE p.held IS DISTINCT FROM p.usual AND (m.objid IS NOT NULL OR EXISTS (SELECT FROM pg_catalog.pg_init_privs i
    WHERE i.classoid = a.classid AND i.objoid = a.objid AND i.privtype = 'e'))
)
SELECT o.extname::text, i.type, convert_to(i.identity, getdatabaseencoding()), convert_to(p.identity, getdatabaseencoding()), left(encode(sha256(convert_to((jsonb_build_array(o.def,
    CASE WHEN o.owner IN (0, 10, o.extowner) THEN '' ELSE pg_get_userbyid(o.owner) END,
    CASE WHEN o.classid <> 'pg_catalog.pg_extension'::regclass THEN obj_description(o.objid, o.classid::regclass::name) END,
    (SELECT jsonb_agg(jsonb_build_array(l.provider, l.objsubid, l.label) ORDER BY l.provider, l.objsubid) FROM pg_catalog.pg_seclabel l WHERE l.classoid = o.classid AND l.objoid = o.objid))
    || coalesce((SELECT jsonb_agg(e.extname ORDER BY e.extname) FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
      WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'x' AND d.refclassid = 'pg_catalog.pg_extension'::regclass), '[]'))::text, getdatabaseencoding())), 'hex'), 16)
FROM o CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.classid, o.objid, 0) AS i
  -- Before 14 it is no answer but an error that there is no such object, and it may be asked before the condition is.
  LEFT JOIN LATERAL pg_catalog.pg_identify_object('pg_catalog.pg_class'::regclass,
    CASE WHEN o.parent <> 0 THEN o.parent ELSE 'pg_catalog.pg_class'::regclass::oid END, 0) AS p ON o.parent <> 0
UNION ALL
SELECT g.extname, 'privileges of ' || i.type, convert_to(i.identity, getdatabaseencoding()), NULL,
  left(encode(sha256(convert_to(coalesce(g.def::text, ''), getdatabaseencoding())), 'hex'), 16)
FROM g CROSS JOIN LATERAL pg_catalog.pg_identify_object(g.classid, g.objid, 0) AS i
ORDER BY 1, 2, 3 LIMIT $1
