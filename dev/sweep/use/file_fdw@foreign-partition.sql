CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE TABLE log_line (year int, line text) PARTITION BY LIST (year);
CREATE TABLE log_line_2024 PARTITION OF log_line FOR VALUES IN (2024);
CREATE FOREIGN TABLE log_line_2023 PARTITION OF log_line FOR VALUES IN (2023) SERVER files OPTIONS (program 'echo 2023,old', format 'csv');
INSERT INTO log_line VALUES (2024, 'new');
