CREATE EXTENSION icu_ext;
CREATE TABLE name (n text, k bytea GENERATED ALWAYS AS (icu_sort_key(n, 'fr')) STORED);
INSERT INTO name (n) VALUES ('été'), ('ete'), ('Zoë');
