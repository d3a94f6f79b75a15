CREATE EXTENSION insert_username;
CREATE TABLE entry (what text, who text NOT NULL);
CREATE TRIGGER entry_who BEFORE INSERT OR UPDATE ON entry FOR EACH ROW EXECUTE FUNCTION insert_username(who);
INSERT INTO entry (what) VALUES ('a'), ('b');
