CREATE EXTENSION postgis_sfcgal CASCADE;
CREATE TABLE solid (id int, g geometry);
INSERT INTO solid SELECT g, ST_Extrude(ST_MakeEnvelope(0, 0, g, g), 0, 0, 1) FROM generate_series(1, 3) g;
