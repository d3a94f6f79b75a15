-- preload: pglogical
-- says: nodes, subscriptions and replication sets are not among what a dump holds
CREATE EXTENSION pglogical;
CREATE TABLE t (id int PRIMARY KEY);
INSERT INTO t SELECT generate_series(1, 10);
SELECT pglogical.create_node('here', 'host=/nowhere dbname=shop');
SELECT pglogical.replication_set_add_table('default', 't');
