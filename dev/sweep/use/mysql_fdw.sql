CREATE EXTENSION mysql_fdw;
CREATE SERVER theirs FOREIGN DATA WRAPPER mysql_fdw OPTIONS (host '127.0.0.1', port '3306');
CREATE FOREIGN TABLE their_order (id int, what text) SERVER theirs OPTIONS (dbname 'shop', table_name 'orders');
CREATE TABLE mine (id int);
INSERT INTO mine VALUES (1);
