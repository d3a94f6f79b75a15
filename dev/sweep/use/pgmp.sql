CREATE EXTENSION pgmp;
CREATE TABLE huge (z mpz PRIMARY KEY, q mpq);
INSERT INTO huge SELECT (10::mpz ^ g) + 1, mpq(g, 7) FROM generate_series(1, 50) g;
CREATE INDEX huge_q ON huge (q);
