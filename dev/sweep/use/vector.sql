CREATE EXTENSION vector;
CREATE TABLE item (id int PRIMARY KEY, e vector(3) NOT NULL, h halfvec(3), s sparsevec(5), b bit(8), CHECK (vector_dims(e) = 3));
INSERT INTO item SELECT g, ARRAY[g, g * 0.5, 1]::vector(3), ARRAY[g, 1, 2]::halfvec(3), ('{1:' || g || '}/5')::sparsevec, g::bit(8) FROM generate_series(1, 100) g;
CREATE INDEX item_hnsw ON item USING hnsw (e vector_l2_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX item_ivf ON item USING ivfflat (e vector_cosine_ops) WITH (lists = 5);
CREATE INDEX item_half ON item USING hnsw ((e::halfvec(3)) halfvec_ip_ops);
CREATE INDEX item_sparse ON item USING hnsw (s sparsevec_l2_ops);
CREATE VIEW item_near AS SELECT id, e <-> '[1,2,3]' AS far FROM item ORDER BY e <=> '[1,2,3]'::vector LIMIT 5;
