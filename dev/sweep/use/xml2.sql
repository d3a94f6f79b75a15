CREATE EXTENSION xml2;
CREATE TABLE doc (id int, x text);
INSERT INTO doc VALUES (1, '<a><b>1</b></a>');
CREATE VIEW doc_b AS SELECT id, xpath_string(x, '/a/b') FROM doc;
