CREATE EXTENSION pre_prepare;
CREATE TABLE statement (name text, statement text);
INSERT INTO statement VALUES ('one', 'PREPARE one AS SELECT 1');
