CREATE EXTENSION h3;
CREATE TABLE cell (id h3index PRIMARY KEY, n int);
INSERT INTO cell SELECT h3_lat_lng_to_cell(point(g, g), 6), g FROM generate_series(1, 30) g;
CREATE INDEX cell_hash ON cell USING hash (id);
CREATE VIEW cell_parent AS SELECT h3_cell_to_parent(id, 4) AS parent, sum(n) FROM cell GROUP BY 1;
