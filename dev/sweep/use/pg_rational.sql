CREATE EXTENSION pg_rational;
CREATE TABLE ordered (id int PRIMARY KEY, at rational NOT NULL UNIQUE);
INSERT INTO ordered SELECT g, (g || '/7')::rational FROM generate_series(1, 40) g;
INSERT INTO ordered VALUES (100, rational_intermediate('1/7', '2/7'));
CREATE INDEX ordered_hash ON ordered USING hash (at);
