CREATE EXTENSION hll;
CREATE TABLE visit (day date PRIMARY KEY, visitors hll NOT NULL DEFAULT hll_empty());
INSERT INTO visit SELECT date '2024-01-01' + d, (SELECT hll_add_agg(hll_hash_integer(g)) FROM generate_series(1, d * 50) g) FROM generate_series(1, 10) d;
CREATE VIEW visit_count AS SELECT day, round(hll_cardinality(visitors)) AS n FROM visit;
