CREATE EXTENSION pg_similarity;
CREATE TABLE word (w text);
INSERT INTO word SELECT 'word ' || g FROM generate_series(1, 20) g;
CREATE VIEW word_near AS SELECT w, lev(w, 'word 1'), w ~== 'word 2' AS same FROM word;
