CREATE EXTENSION pg_uuidv7;
CREATE TABLE t (id uuid PRIMARY KEY DEFAULT uuid_generate_v7(), v int);
INSERT INTO t (v) SELECT generate_series(1, 20);
