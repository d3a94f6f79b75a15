-- says: an index that a user puts on an extension's table is in no dump
CREATE EXTENSION postgis;
CREATE INDEX spatial_ref_sys_mine ON spatial_ref_sys (auth_name);
CREATE TABLE place (id int, at geometry(Point, 4326));
INSERT INTO place VALUES (1, ST_SetSRID(ST_MakePoint(1, 2), 4326));
