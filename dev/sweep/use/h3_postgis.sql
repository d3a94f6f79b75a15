-- says: its functions name types of postgis without their schema, which a restore does not look in
CREATE EXTENSION h3_postgis CASCADE;
CREATE TABLE shop_place (id int PRIMARY KEY, at geometry(Point, 4326), cell h3index GENERATED ALWAYS AS (h3_lat_lng_to_cell(at, 7)) STORED);
INSERT INTO shop_place (id, at) SELECT g, ST_SetSRID(ST_MakePoint(g, g), 4326) FROM generate_series(1, 20) g;
