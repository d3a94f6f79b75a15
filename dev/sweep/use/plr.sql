CREATE EXTENSION plr;
CREATE FUNCTION r_mean(float8[]) RETURNS float8 LANGUAGE plr IMMUTABLE AS 'mean(arg1)';
CREATE TABLE t (id int, m float8);
INSERT INTO t SELECT g, g * 1.25 FROM generate_series(1, 5) g;
