-- says: an index, a column's default and a comment that a user puts on an extension's table are in no dump
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE TABLE measure (id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at);
SELECT partman.create_parent('public.measure', 'at', '1 month', p_start_partition := '2024-01-01');
CREATE INDEX part_config_mine ON partman.part_config (retention);
COMMENT ON TABLE partman.part_config IS 'ours';
ALTER TABLE partman.part_config ALTER COLUMN premake SET DEFAULT 7;
