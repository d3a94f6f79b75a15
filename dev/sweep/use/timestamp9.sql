CREATE EXTENSION timestamp9;
CREATE TABLE tick (at timestamp9 PRIMARY KEY, n int);
INSERT INTO tick SELECT '2024-01-01 00:00:00.123456789 +0000'::timestamp9 + g * interval '1 hour', g FROM generate_series(1, 20) g;
