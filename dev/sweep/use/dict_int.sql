CREATE EXTENSION dict_int;
CREATE TEXT SEARCH DICTIONARY short_number (TEMPLATE = intdict_template, maxlen = 4, rejectlong = false);
CREATE TEXT SEARCH CONFIGURATION numbers (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION numbers ALTER MAPPING FOR int, uint WITH short_number;
CREATE TABLE page (id int, body text, found tsvector GENERATED ALWAYS AS (to_tsvector('public.numbers', body)) STORED);
INSERT INTO page (id, body) SELECT g, 'number ' || g * 12345 FROM generate_series(1, 20) g;
CREATE INDEX page_found ON page USING gin (found);
