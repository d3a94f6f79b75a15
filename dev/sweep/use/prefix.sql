CREATE EXTENSION prefix;
CREATE TABLE route (p prefix_range PRIMARY KEY, carrier text);
INSERT INTO route SELECT ('0' || g)::prefix_range, 'c' || g FROM generate_series(1, 50) g;
INSERT INTO route VALUES ('12[3-5]', 'range');
CREATE INDEX route_gist ON route USING gist (p);
CREATE VIEW route_of AS SELECT carrier FROM route WHERE p @> '0123456';
