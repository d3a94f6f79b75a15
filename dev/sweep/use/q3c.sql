CREATE EXTENSION q3c;
CREATE TABLE star (id int, ra float8, dec float8);
INSERT INTO star SELECT g, g % 360, g % 90 FROM generate_series(1, 200) g;
CREATE INDEX star_sky ON star (q3c_ang2ipix(ra, dec));
CLUSTER star USING star_sky;
CREATE VIEW star_near AS SELECT id FROM star WHERE q3c_radial_query(ra, dec, 10, 10, 5);
