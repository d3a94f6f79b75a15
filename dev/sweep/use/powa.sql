-- preload: pg_stat_statements,powa
-- set: powa.frequency = '-1'
-- says: CREATE EXTENSION fills tables whose rows are in the dump as well
CREATE EXTENSION powa CASCADE;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
