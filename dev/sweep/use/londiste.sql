CREATE EXTENSION londiste CASCADE;
CREATE TABLE account (id int PRIMARY KEY, n int);
INSERT INTO account SELECT g, g FROM generate_series(1, 10) g;
SELECT pgq.create_queue('moves');
SELECT pgq_node.register_location('moves', 'here', 'dbname=shop', false);
SELECT pgq_node.create_node('moves', 'root', 'here', 'worker', NULL, NULL, NULL);
SELECT londiste.local_add_table('moves', 'public.account');
