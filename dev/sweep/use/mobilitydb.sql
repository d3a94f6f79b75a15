-- preload: postgis-3
-- set: max_locks_per_transaction = 512
CREATE EXTENSION mobilitydb CASCADE;
CREATE TABLE trip (id int PRIMARY KEY, way tgeompoint, during tstzspan, speed tfloat);
INSERT INTO trip SELECT g, '[Point(0 0)@2024-01-01 00:00:00+00, Point(1 1)@2024-01-01 01:00:00+00]'::tgeompoint,
    '[2024-01-01 00:00:00+00, 2024-01-02 00:00:00+00)'::tstzspan, '[1.5@2024-01-01 00:00:00+00, 2.5@2024-01-01 01:00:00+00]'::tfloat FROM generate_series(1, 10) g;
CREATE INDEX trip_during ON trip USING gist (during);
CREATE INDEX trip_way ON trip USING gist (way);
