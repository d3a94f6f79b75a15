CREATE EXTENSION unaccent;
CREATE TEXT SEARCH CONFIGURATION plain_words (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION plain_words ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple;
CREATE TABLE page (id int, body text);
INSERT INTO page VALUES (1, 'Hôtel de la Mer'), (2, 'Zoë');
CREATE INDEX page_words ON page USING gin (to_tsvector('public.plain_words', body));
