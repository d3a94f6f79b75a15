-- set: pg_trgm.similarity_threshold = 0.1
-- says: the check holds only with the source's own setting of postgresql.conf
CREATE EXTENSION pg_trgm;
CREATE TABLE title (id int PRIMARY KEY, t text NOT NULL, CHECK (t % 'abcdefgh'));
INSERT INTO title VALUES (1, 'abcx'), (2, 'abcdefgh');
