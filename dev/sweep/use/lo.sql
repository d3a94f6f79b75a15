CREATE EXTENSION lo;
CREATE TABLE picture (id int PRIMARY KEY, raster lo);
CREATE TRIGGER picture_raster BEFORE UPDATE OR DELETE ON picture FOR EACH ROW EXECUTE FUNCTION lo_manage(raster);
INSERT INTO picture SELECT g, lo_from_bytea(0, ('picture ' || g)::bytea) FROM generate_series(1, 5) g;
