CREATE EXTENSION postgis;
INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text)
SELECT 990001, 'OWN', 990001, srtext, proj4text FROM spatial_ref_sys WHERE srid = 3857;
CREATE TABLE zone (id int, at geometry(Point, 990001));
INSERT INTO zone VALUES (1, ST_SetSRID(ST_MakePoint(1, 2), 990001));
