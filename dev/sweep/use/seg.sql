CREATE EXTENSION seg;
CREATE TABLE span (s seg PRIMARY KEY);
INSERT INTO span SELECT (g || '.50 .. ' || g + 1 || '.0')::seg FROM generate_series(1, 40) g;
INSERT INTO span VALUES ('~ 100.0'), ('< 5.00'), ('200 (+-) 3');
CREATE INDEX span_s ON span USING gist (s);
