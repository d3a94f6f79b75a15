CREATE EXTENSION pg_trgm;
CREATE TABLE title (id int PRIMARY KEY, t text NOT NULL, CHECK (similarity(t, 'book') >= 0));
INSERT INTO title SELECT g, 'A book called ' || md5(g::text) FROM generate_series(1, 100) g;
CREATE INDEX title_gin ON title USING gin (t gin_trgm_ops);
CREATE INDEX title_gist ON title USING gist (t gist_trgm_ops (siglen = 32));
CREATE VIEW title_near AS SELECT t, t <-> 'book' AS far FROM title WHERE t % 'book' OR 'book' <% t;
