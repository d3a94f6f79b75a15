-- says: a generated column that needs an own SRID is computed before the table of SRIDs is loaded, if its table's name sorts earlier
CREATE EXTENSION postgis;
INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text)
SELECT 990001, 'OWN', 990001, srtext, proj4text FROM spatial_ref_sys WHERE srid = 3857;
CREATE TABLE area (id int, at geometry(Point, 4326), own geometry(Point, 990001) GENERATED ALWAYS AS (ST_Transform(at, 990001)) STORED);
INSERT INTO area (id, at) VALUES (1, ST_SetSRID(ST_MakePoint(1, 2), 4326));
