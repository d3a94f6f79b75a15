CREATE EXTENSION postgis_raster CASCADE;
CREATE TABLE tile (rid int PRIMARY KEY, rast raster);
INSERT INTO tile SELECT g, ST_AddBand(ST_MakeEmptyRaster(4, 4, g * 4, 0, 1, -1, 0, 0, 4326), '8BUI'::text, g, 0) FROM generate_series(1, 8) g;
CREATE INDEX tile_hull ON tile USING gist (ST_ConvexHull(rast));
SELECT AddRasterConstraints('public'::name, 'tile'::name, 'rast'::name, 'srid', 'scale_x', 'blocksize', 'pixel_types');
