CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE passwd (line text) SERVER files OPTIONS (filename '/etc/debian_version', format 'text');
CREATE MATERIALIZED VIEW version_line AS SELECT line FROM passwd;
CREATE TABLE seen (line text);
INSERT INTO seen SELECT line FROM passwd;
