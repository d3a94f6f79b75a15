CREATE SCHEMA mimeo;
CREATE EXTENSION dblink SCHEMA mimeo;
CREATE EXTENSION mimeo SCHEMA mimeo CASCADE;
INSERT INTO mimeo.dblink_mapping_mimeo (data_source, username, pwd) VALUES ('host=elsewhere dbname=a', 'reader', '');
CREATE TABLE kept (id int);
INSERT INTO kept VALUES (1);
