-- says: a column that a user adds to an extension's table is in no dump, and its rows then fit no table
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE TABLE measure (id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at);
SELECT partman.create_parent('public.measure', 'at', '1 month', p_start_partition := '2024-01-01');
ALTER TABLE partman.part_config ADD COLUMN team text DEFAULT 'ours';
