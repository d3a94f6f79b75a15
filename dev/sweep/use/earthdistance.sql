CREATE EXTENSION earthdistance CASCADE;
CREATE TABLE town (name text PRIMARY KEY, lat float8, lon float8, at earth);
INSERT INTO town SELECT 'town ' || g, g % 80, g % 170, ll_to_earth(g % 80, g % 170) FROM generate_series(1, 60) g;
CREATE INDEX town_at ON town USING gist (at);
CREATE INDEX town_place ON town USING gist (ll_to_earth(lat, lon));
