CREATE EXTENSION amcheck;
CREATE TABLE parcel (id int PRIMARY KEY, code text UNIQUE);
INSERT INTO parcel SELECT g, 'P' || g FROM generate_series(1, 100) g;
CREATE FUNCTION parcel_is_sound() RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT bt_index_check('parcel_pkey'::regclass); END;
SELECT parcel_is_sound();
