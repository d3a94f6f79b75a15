CREATE EXTENSION intagg;
CREATE TABLE pair (a int, b int);
INSERT INTO pair SELECT g % 3, g FROM generate_series(1, 12) g;
CREATE VIEW pair_list AS SELECT a, int_array_aggregate(b) AS bs FROM pair GROUP BY a;
