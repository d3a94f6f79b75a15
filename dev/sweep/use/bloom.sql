CREATE EXTENSION bloom;
CREATE TABLE measure (a int, b int, c int, note text);
INSERT INTO measure SELECT g, g % 7, g % 11, 'n' || g FROM generate_series(1, 500) g;
CREATE INDEX measure_bloom ON measure USING bloom (a, b, c, note) WITH (length = 100, col1 = 4, col2 = 3);
