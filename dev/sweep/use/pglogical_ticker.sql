-- preload: pglogical,pglogical_ticker
CREATE EXTENSION pglogical;
CREATE EXTENSION pglogical_ticker;
CREATE TABLE t (id int PRIMARY KEY);
INSERT INTO t VALUES (1);
SELECT pglogical.create_node('here', 'dbname=shop');
SELECT pglogical_ticker.deploy_ticker_tables();
SELECT pglogical_ticker.tick();
