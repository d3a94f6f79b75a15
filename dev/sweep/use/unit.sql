CREATE EXTENSION unit;
CREATE TABLE length (id int, l unit);
INSERT INTO length SELECT g, (g || ' km')::unit FROM generate_series(1, 20) g;
CREATE VIEW length_mile AS SELECT id, l @ 'mile' AS miles FROM length WHERE l > '2 km'::unit;
