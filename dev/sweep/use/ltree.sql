CREATE EXTENSION ltree;
CREATE TABLE tree (path ltree PRIMARY KEY, q lquery, t ltxtquery, all_paths ltree[], CHECK (nlevel(path) < 10));
INSERT INTO tree SELECT ('top.a' || g % 5 || '.b' || g)::ltree, 'top.*{1,2}.b1', 'top & !b2', ARRAY['a.b'::ltree] FROM generate_series(1, 40) g;
CREATE INDEX tree_path ON tree USING gist (path gist_ltree_ops (siglen = 16));
CREATE INDEX tree_all ON tree USING gist (all_paths);
CREATE VIEW tree_a1 AS SELECT path FROM tree WHERE path ~ 'top.a1.*'::lquery AND path <@ 'top';
