CREATE EXTENSION tdigest;
CREATE TABLE latency (day date PRIMARY KEY, d tdigest);
INSERT INTO latency SELECT date '2024-01-01' + a, tdigest(b, 100) FROM generate_series(1, 5) a, generate_series(1, 200) b GROUP BY a;
CREATE VIEW latency_95 AS SELECT day, tdigest_percentile(d, 0.95) FROM latency GROUP BY day;
