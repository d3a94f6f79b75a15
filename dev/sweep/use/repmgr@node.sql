CREATE EXTENSION repmgr;
INSERT INTO repmgr.nodes (node_id, active, node_name, type, location, priority, conninfo, repluser, slot_name, config_file)
VALUES (1, true, 'one', 'primary', 'default', 100, 'host=one', 'repmgr', NULL, '/etc/repmgr.conf');
INSERT INTO repmgr.events (node_id, event, successful) VALUES (1, 'cluster_created', true);
