CREATE EXTENSION refint;
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (parent_id int);
CREATE TRIGGER child_of AFTER INSERT OR UPDATE ON child FOR EACH ROW EXECUTE FUNCTION check_primary_key('parent_id', 'parent', 'id');
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1), (2);
