CREATE EXTENSION debversion;
CREATE TABLE package (name text, v debversion, PRIMARY KEY (name, v));
INSERT INTO package SELECT 'p', ('1:' || g || '.0~rc1-1')::debversion FROM generate_series(1, 20) g;
CREATE INDEX package_hash ON package USING hash (v);
