-- preload: pg_hint_plan
CREATE EXTENSION pg_hint_plan;
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t SELECT g, g FROM generate_series(1, 100) g;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'hint_plan.hints'::regclass AND attname = 'norm_query_string') THEN
        INSERT INTO hint_plan.hints (norm_query_string, application_name, hints) VALUES ('SELECT * FROM t WHERE id = ?', '', 'SeqScan(t)');
    ELSE
        INSERT INTO hint_plan.hints (query_id, application_name, hints) VALUES (42, '', 'SeqScan(t)');
    END IF;
END $$;
