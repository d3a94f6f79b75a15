CREATE EXTENSION btree_gin;
CREATE TABLE event (id bigint, kind text, at timestamptz, tags text[]);
INSERT INTO event SELECT g, 'k' || g % 5, timestamptz '2024-01-01 UTC' + g * interval '1 hour', ARRAY['t' || g % 3] FROM generate_series(1, 300) g;
CREATE INDEX event_all ON event USING gin (id, kind, at, tags) WITH (fastupdate = off);
