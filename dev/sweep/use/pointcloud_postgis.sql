CREATE EXTENSION pointcloud_postgis CASCADE;
CREATE TABLE t (id int, g geometry);
INSERT INTO t VALUES (1, ST_MakePoint(1, 2));
CREATE FUNCTION corner(pcpatch) RETURNS geometry LANGUAGE sql AS 'SELECT public.PC_EnvelopeGeometry($1)';
