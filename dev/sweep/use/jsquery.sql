CREATE EXTENSION jsquery;
CREATE TABLE doc (d jsonb, q jsquery);
INSERT INTO doc SELECT jsonb_build_object('a', g, 'b', jsonb_build_array(g, 'x')), 'a > 3 AND b.# = "x"'::jsquery FROM generate_series(1, 50) g;
CREATE INDEX doc_path ON doc USING gin (d jsonb_path_value_ops);
CREATE INDEX doc_value ON doc USING gin (d jsonb_value_path_ops);
CREATE VIEW doc_hit AS SELECT d FROM doc WHERE d @@ 'a IN (1, 2, 3)'::jsquery;
