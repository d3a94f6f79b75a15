CREATE EXTENSION ogr_fdw;
CREATE TABLE mine (id int);
INSERT INTO mine VALUES (1);
\! printf 'id,name\n1,a\n2,b\n' >/mnt/work/towns.csv
CREATE SERVER towns FOREIGN DATA WRAPPER ogr_fdw OPTIONS (datasource '/mnt/work/towns.csv', format 'CSV');
CREATE FOREIGN TABLE town (fid bigint, id varchar, name varchar) SERVER towns OPTIONS (layer 'towns');
INSERT INTO mine SELECT fid FROM town;
