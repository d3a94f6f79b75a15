CREATE EXTENSION postgis_topology CASCADE;
SELECT topology.CreateTopology('city', 4326);
CREATE TABLE lot (id int PRIMARY KEY);
SELECT topology.AddTopoGeometryColumn('city', 'public', 'lot', 'shape', 'POLYGON');
INSERT INTO lot SELECT g, topology.toTopoGeom(ST_SetSRID(ST_MakeEnvelope(2 * g, 0, 2 * g + 1, 1), 4326), 'city', 1) FROM generate_series(1, 5) g;
