-- says: a member that a user took out of an extension and dropped is there again
CREATE EXTENSION pg_trgm;
ALTER EXTENSION pg_trgm DROP FUNCTION show_limit();
DROP FUNCTION show_limit();
CREATE TABLE title (t text);
INSERT INTO title VALUES ('book');
