CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE TABLE measure (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, v int) PARTITION BY RANGE (at);
CREATE INDEX ON measure (at);
SELECT partman.create_parent('public.measure', 'at', '1 month', p_start_partition := '2024-01-01');
INSERT INTO measure (at, v) SELECT timestamptz '2024-01-01 UTC' + g * interval '3 days', g FROM generate_series(1, 60) g;
UPDATE partman.part_config SET retention = '3 years', retention_keep_table = true;
