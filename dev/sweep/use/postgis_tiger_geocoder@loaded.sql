CREATE EXTENSION postgis_tiger_geocoder CASCADE;
INSERT INTO tiger.geocode_settings (name, setting, unit, category, short_desc) VALUES ('mine', '1', 'boolean', 'debug', 'ours') ON CONFLICT DO NOTHING;
UPDATE tiger.loader_variables SET staging_fold = '/data' ;
