CREATE EXTENSION pg_pwhash;
CREATE TABLE account (id int, hash text);
INSERT INTO account SELECT g, pwhash_crypt('pw' || g, pwhash_gen_salt('yescrypt')) FROM generate_series(1, 2) g;
