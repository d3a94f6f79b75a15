CREATE EXTENSION postgres_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'x');
CREATE ROLE worker;
CREATE USER MAPPING FOR worker SERVER elsewhere OPTIONS (user 'reader');
CREATE FOREIGN TABLE their_sale (id int NOT NULL, total numeric) SERVER elsewhere OPTIONS (table_name 'sale');
CREATE TABLE sale (year int, total numeric) PARTITION BY LIST (year);
CREATE TABLE sale_2024 PARTITION OF sale FOR VALUES IN (2024);
CREATE FOREIGN TABLE sale_2023 PARTITION OF sale FOR VALUES IN (2023) SERVER elsewhere;
INSERT INTO sale VALUES (2024, 10);
