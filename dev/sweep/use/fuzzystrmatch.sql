CREATE EXTENSION fuzzystrmatch;
CREATE TABLE person (name text, sound text GENERATED ALWAYS AS (soundex(name)) STORED);
INSERT INTO person SELECT 'Name' || g FROM generate_series(1, 30) g;
CREATE INDEX person_sound ON person (dmetaphone(name));
