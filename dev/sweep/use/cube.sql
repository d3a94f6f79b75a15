CREATE EXTENSION cube;
CREATE TABLE point3 (id int PRIMARY KEY, at cube NOT NULL CHECK (cube_dim(at) = 3), box cube DEFAULT '(0,0,0),(1,1,1)');
INSERT INTO point3 SELECT g, cube(ARRAY[g, g * 2, g * 0.1]) FROM generate_series(1, 100) g;
CREATE INDEX point3_at ON point3 USING gist (at);
CREATE VIEW point3_near AS SELECT id, at <-> '(0,0,0)'::cube AS far FROM point3 WHERE at <@ '(0,0,0),(50,100,5)'::cube;
