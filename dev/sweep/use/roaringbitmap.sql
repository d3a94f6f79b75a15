CREATE EXTENSION roaringbitmap;
CREATE TABLE member (day date PRIMARY KEY, who roaringbitmap NOT NULL DEFAULT '{}');
INSERT INTO member SELECT date '2024-01-01' + d, rb_build_agg(g) FROM generate_series(1, 8) d, generate_series(1, d * 20) g GROUP BY d;
CREATE VIEW member_count AS SELECT day, rb_cardinality(who) FROM member WHERE who @> 5;
