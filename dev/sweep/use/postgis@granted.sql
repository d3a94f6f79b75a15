-- says: privileges on an extension's objects are in the dump, changed owners are not
CREATE EXTENSION postgis;
CREATE ROLE mapper;
GRANT SELECT, UPDATE ON spatial_ref_sys TO mapper;
CREATE TABLE place (id int, at geometry(Point, 4326));
INSERT INTO place VALUES (1, ST_SetSRID(ST_MakePoint(1, 2), 4326));
