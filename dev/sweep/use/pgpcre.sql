CREATE EXTENSION pgpcre;
CREATE TABLE rule (p pcre);
INSERT INTO rule VALUES ('^a+b?$'), ('(?i)x\d{2}');
CREATE TABLE word (w text CHECK (w =~ pcre '^\w+$'));
INSERT INTO word VALUES ('abc'), ('x12');
