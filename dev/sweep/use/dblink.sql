CREATE EXTENSION dblink;
CREATE TABLE mine (id int);
INSERT INTO mine VALUES (1);
CREATE SERVER elsewhere FOREIGN DATA WRAPPER dblink_fdw OPTIONS (hostaddr '127.0.0.1', dbname 'other');
CREATE VIEW theirs AS SELECT * FROM dblink('elsewhere', 'SELECT 1') AS t (id int);
