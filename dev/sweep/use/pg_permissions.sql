CREATE EXTENSION pg_permissions;
CREATE TABLE t (id int);
CREATE ROLE reader;
GRANT SELECT ON t TO reader;
INSERT INTO permission_target (id, role_name, permissions, object_type, schema_name, object_name) VALUES (1, 'reader', '{SELECT}', 'TABLE', 'public', 't');
