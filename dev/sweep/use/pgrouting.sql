CREATE EXTENSION pgrouting CASCADE;
CREATE TABLE road (id int PRIMARY KEY, source int, target int, cost float8, way geometry(LineString, 4326));
INSERT INTO road SELECT g, g, g + 1, g * 0.5, ST_SetSRID(ST_MakeLine(ST_MakePoint(g, 0), ST_MakePoint(g + 1, 0)), 4326) FROM generate_series(1, 20) g;
CREATE INDEX road_way ON road USING gist (way);
CREATE VIEW road_way_out AS SELECT seq, node FROM pgr_dijkstra('SELECT id, source, target, cost FROM public.road', 1, 10);
