CREATE EXTENSION hypopg;
CREATE TABLE big (id int, v text);
INSERT INTO big SELECT g, 'v' || g FROM generate_series(1, 100) g;
SELECT * FROM hypopg_create_index('CREATE INDEX ON big (id)');
