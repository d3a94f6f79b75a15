CREATE EXTENSION mongo_fdw;
CREATE SERVER theirs FOREIGN DATA WRAPPER mongo_fdw OPTIONS (address '127.0.0.1', port '27017');
CREATE FOREIGN TABLE their_doc (_id name, v int) SERVER theirs OPTIONS (database 'x', collection 'docs');
CREATE TABLE mine (id int);
INSERT INTO mine VALUES (1);
