CREATE EXTENSION age;
LOAD 'age';
SET search_path = ag_catalog, "$user", public;
SELECT create_graph('roads');
SELECT * FROM cypher('roads', $$ CREATE (a:Town {name: 'A'})-[:ROAD {km: 3}]->(b:Town {name: 'B'}) RETURN a $$) AS (a agtype);
CREATE TABLE public.kept (id int, a ag_catalog.agtype);
INSERT INTO public.kept VALUES (1, '{"k": 1}');
