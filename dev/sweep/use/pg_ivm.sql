-- preload: pg_ivm
-- says: its views are plain tables after a restore, and no longer kept up
CREATE EXTENSION pg_ivm;
CREATE TABLE sale (id int PRIMARY KEY, shop int, total numeric);
INSERT INTO sale SELECT g, g % 3, g FROM generate_series(1, 30) g;
SELECT pgivm.create_immv('sale_sum', 'SELECT shop, sum(total) AS total, count(*) AS n FROM sale GROUP BY shop');
