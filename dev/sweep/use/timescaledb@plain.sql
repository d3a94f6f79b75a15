-- preload: timescaledb
-- set: timescaledb.telemetry_level = off
CREATE EXTENSION timescaledb;
CREATE TABLE plain (id int);
INSERT INTO plain VALUES (1);
