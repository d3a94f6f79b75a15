CREATE EXTENSION intarray;
CREATE TABLE basket (id int, items int[] NOT NULL, CHECK (icount(items) > 0));
INSERT INTO basket SELECT g, ARRAY[g, g * 2, g % 5] FROM generate_series(1, 100) g;
CREATE INDEX basket_gist ON basket USING gist (items gist__int_ops);
CREATE INDEX basket_gin ON basket USING gin (items gin__int_ops);
CREATE VIEW basket_few AS SELECT id, sort(uniq(items)) FROM basket WHERE items @@ '1&(2|3)'::query_int;
CREATE TABLE question (q query_int);
INSERT INTO question VALUES ('1&!2'), ('3|4');
