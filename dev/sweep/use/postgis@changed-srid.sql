-- says: a change to a row that the extension itself made is in no dump
CREATE EXTENSION postgis;
UPDATE spatial_ref_sys SET proj4text = proj4text || ' +towgs84=1,2,3' WHERE srid = 31467;
CREATE TABLE place (id int, at geometry(Point, 31467));
INSERT INTO place VALUES (1, ST_SetSRID(ST_MakePoint(3500000, 5500000), 31467));
