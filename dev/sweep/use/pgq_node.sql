CREATE EXTENSION pgq_node CASCADE;
SELECT pgq.create_queue('moves');
SELECT pgq_node.register_location('moves', 'here', 'dbname=shop', false);
SELECT pgq_node.register_location('moves', 'there', 'dbname=shop2', false);
SELECT pgq_node.create_node('moves', 'root', 'here', 'worker', NULL, NULL, NULL);
