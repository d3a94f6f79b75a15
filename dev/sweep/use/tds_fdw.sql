CREATE EXTENSION tds_fdw;
CREATE SERVER theirs FOREIGN DATA WRAPPER tds_fdw OPTIONS (servername '127.0.0.1', port '1433', database 'x');
CREATE FOREIGN TABLE their_order (id int) SERVER theirs OPTIONS (table_name 'orders');
CREATE TABLE mine (id int);
INSERT INTO mine VALUES (1);
