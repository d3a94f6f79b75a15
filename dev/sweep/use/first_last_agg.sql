CREATE EXTENSION first_last_agg;
CREATE TABLE tick (at int, price numeric);
INSERT INTO tick SELECT g, g * 1.5 FROM generate_series(1, 30) g;
CREATE VIEW tick_span AS SELECT at / 10 AS bar, first(price ORDER BY at), last(price ORDER BY at) FROM tick GROUP BY 1;
