-- preload: pg_textsearch
CREATE EXTENSION pg_textsearch;
CREATE TABLE page (id int PRIMARY KEY, body text);
INSERT INTO page SELECT g, 'word' || g || ' common text' FROM generate_series(1, 50) g;
CREATE INDEX page_bm25 ON page USING bm25 (body) WITH (text_config = 'english');
