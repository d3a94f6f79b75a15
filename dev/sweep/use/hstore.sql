CREATE EXTENSION hstore;
CREATE TABLE thing (id int PRIMARY KEY, has hstore NOT NULL DEFAULT '"k"=>"v", "n"=>NULL', CHECK (has ? 'k'));
INSERT INTO thing SELECT g, hstore('k', 'v "quoted" ' || g) || 'n=>NULL' FROM generate_series(1, 40) g;
CREATE INDEX thing_has ON thing USING gin (has);
CREATE INDEX thing_gist ON thing USING gist (has gist_hstore_ops (siglen = 32));
CREATE VIEW thing_k AS SELECT id, has -> 'k' AS k FROM thing WHERE has @> 'k=>1' OR exist(has, 'n');
