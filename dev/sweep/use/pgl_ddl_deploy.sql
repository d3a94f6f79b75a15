-- preload: pglogical
CREATE EXTENSION pglogical;
CREATE EXTENSION pgl_ddl_deploy;
CREATE TABLE t (id int PRIMARY KEY);
INSERT INTO t VALUES (1);
SELECT pglogical.create_node('here', 'dbname=shop');
SELECT pglogical.create_replication_set('main');
INSERT INTO pgl_ddl_deploy.set_configs (set_name, include_schema_regex, driver) VALUES ('main', '.*', 'pglogical');
