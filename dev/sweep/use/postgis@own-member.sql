-- says: an object that a user added to an extension by ALTER EXTENSION ADD is in no dump
CREATE EXTENSION postgis;
CREATE TABLE palette (name text PRIMARY KEY);
INSERT INTO palette VALUES ('sea'), ('land');
ALTER EXTENSION postgis ADD TABLE palette;
CREATE TABLE place (id int, at geometry(Point, 4326));
INSERT INTO place VALUES (1, ST_SetSRID(ST_MakePoint(1, 2), 4326));
