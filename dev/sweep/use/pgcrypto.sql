CREATE EXTENSION pgcrypto;
CREATE TABLE secret (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), hash text, box bytea);
INSERT INTO secret (hash, box) SELECT crypt('pw' || g, gen_salt('bf', 4)), encrypt(('x' || g)::bytea, 'key', 'aes') FROM generate_series(1, 10) g;
CREATE INDEX secret_digest ON secret (digest(hash, 'sha256'));
