CREATE EXTENSION extra_window_functions;
CREATE TABLE reading (g int, v int);
INSERT INTO reading SELECT g % 3, g FROM generate_series(1, 30) g;
CREATE VIEW reading_flip AS SELECT g, v, flip_flop(v % 5 = 0) OVER (PARTITION BY g ORDER BY v) AS on_off FROM reading;
