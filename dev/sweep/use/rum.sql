CREATE EXTENSION rum;
CREATE TABLE page (id int PRIMARY KEY, body tsvector, at timestamp);
INSERT INTO page SELECT g, to_tsvector('simple', 'word' || g || ' common'), timestamp '2024-01-01' + g * interval '1 hour' FROM generate_series(1, 100) g;
CREATE INDEX page_body ON page USING rum (body rum_tsvector_ops);
CREATE INDEX page_at ON page USING rum (body rum_tsvector_addon_ops, at) WITH (attach = 'at', to = 'body');
