-- preload: timescaledb
-- set: timescaledb.telemetry_level = off
CREATE EXTENSION timescaledb;
CREATE TABLE reading (at timestamptz NOT NULL, sensor int, v float8);
SELECT create_hypertable('reading', 'at', chunk_time_interval => interval '7 days');
INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + g * interval '6 hours', g % 5, g * 0.5 FROM generate_series(1, 200) g;
CREATE INDEX reading_sensor ON reading (sensor, at DESC);
CREATE TABLE plain (id int);
INSERT INTO plain VALUES (1);
