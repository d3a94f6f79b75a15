-- set: roaringbitmap.output_format = 'array'
CREATE EXTENSION roaringbitmap;
CREATE TABLE member (day date PRIMARY KEY, who roaringbitmap NOT NULL DEFAULT '{}');
INSERT INTO member VALUES ('2024-01-01', '{1,2,3}'), ('2024-01-02', '{100}');
