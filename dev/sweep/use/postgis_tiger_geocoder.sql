CREATE EXTENSION postgis_tiger_geocoder CASCADE;
CREATE TABLE asked (a tiger.norm_addy);
INSERT INTO asked VALUES (ROW(1, NULL, 'Main', 'St', NULL, NULL, 'Boston', 'MA', '02101', true, NULL, NULL)::tiger.norm_addy);
