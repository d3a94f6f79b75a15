CREATE EXTENSION postgis;
CREATE TABLE land (id int PRIMARY KEY, shape geometry(Polygon, 4326) NOT NULL CHECK (ST_IsValid(shape)), at geography(Point), height geometry(PointZ, 3857));
INSERT INTO land SELECT g, ST_SetSRID(ST_MakeEnvelope(g, g, g + 1, g + 1), 4326), ST_MakePoint(g, g)::geography, ST_SetSRID(ST_MakePoint(g, g, g), 3857) FROM generate_series(1, 40) g;
CREATE INDEX land_shape ON land USING gist (shape);
CREATE INDEX land_brin ON land USING brin (shape);
CREATE INDEX land_spgist ON land USING spgist (height);
CREATE VIEW land_area AS SELECT id, ST_Area(shape) AS area, geometrytype(shape) FROM land WHERE shape && ST_MakeEnvelope(0, 0, 9, 9, 4326);
CREATE MATERIALIZED VIEW land_all AS SELECT ST_Union(shape) AS shape FROM land;
