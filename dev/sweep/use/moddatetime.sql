CREATE EXTENSION moddatetime;
CREATE TABLE note (id int, body text, changed timestamptz);
CREATE TRIGGER note_changed BEFORE UPDATE ON note FOR EACH ROW EXECUTE FUNCTION moddatetime(changed);
INSERT INTO note SELECT g, 'n' || g FROM generate_series(1, 5) g;
UPDATE note SET body = 'other' WHERE id < 3;
