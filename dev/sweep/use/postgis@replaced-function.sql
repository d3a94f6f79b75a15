-- says: a member function that a user replaced is as the extension makes it after a restore
CREATE EXTENSION postgis;
CREATE OR REPLACE FUNCTION postgis_extensions_upgrade(target_version text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$ SELECT 'no'::text $$;
CREATE TABLE place (id int, at geometry(Point, 4326));
INSERT INTO place VALUES (1, ST_SetSRID(ST_MakePoint(1, 2), 4326));
