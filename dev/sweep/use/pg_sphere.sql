CREATE EXTENSION pg_sphere;
CREATE TABLE star (id int PRIMARY KEY, at spoint, around scircle, box sbox);
INSERT INTO star SELECT g, spoint(g * 0.01, g * 0.005), scircle(spoint(g * 0.01, 0.1), 0.01), sbox(spoint(0, 0), spoint(g * 0.01, 0.5)) FROM generate_series(1, 60) g;
CREATE INDEX star_at ON star USING gist (at);
CREATE VIEW star_near AS SELECT id FROM star WHERE at <@ scircle '<(0d,0d),20d>';
