CREATE EXTENSION bool_plperl CASCADE;
CREATE FUNCTION flip(boolean) RETURNS boolean LANGUAGE plperl TRANSFORM FOR TYPE bool AS 'return !$_[0];';
CREATE TABLE switch (id int PRIMARY KEY, position boolean NOT NULL, turned boolean);
INSERT INTO switch SELECT g, g % 2 = 0, flip(g % 2 = 0) FROM generate_series(1, 10) g;
