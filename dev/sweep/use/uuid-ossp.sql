CREATE EXTENSION "uuid-ossp";
CREATE TABLE t (id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), n uuid GENERATED ALWAYS AS (uuid_generate_v5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', v)) STORED, v text);
INSERT INTO t (v) SELECT 'v' || g FROM generate_series(1, 10) g;
